"""`marquee catalog` against a real orchestrator: files in three formats, good, bad and cut off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee_client import MarqueeClient
from services.cli.catalog.progress import ImportProgress

Run = Callable[..., Any]
HEADER = "item_id,title,tags,release_year,regions,end_time\n"


def items(target: str) -> dict[str, Any]:
    with MarqueeClient(target) as client:
        return {item.item_id: item for item in client.list_items()}


def refused(file: Path) -> list[tuple[int, str]]:
    lines = file.with_name(file.name + ".refused.jsonl").read_text().splitlines()
    return [(entry["row"], entry["problems"][0]) for entry in map(json.loads, lines)]


def test_a_csv_goes_in_and_comes_out_in_every_format(run: Run, target: str, tmp_path: Path) -> None:
    source = tmp_path / "films.csv"
    source.write_text(HEADER + 'f1,"The Kid, 1921",Comedy|Silent,1921,US|DE,2030-01-01T00:00:00Z\nf2,Heat,,,,\n')
    result = run("catalog", "import", str(source))
    assert result.exit_code == 0, result.output
    assert "2 new" in result.output
    found = items(target)
    assert list(found["f1"].tags) == ["Comedy", "Silent"]
    assert list(found["f1"].availability.regions) == ["US", "DE"]
    for form in ("jsonl", "csv", "parquet"):
        copy = tmp_path / f"copy.{form}"
        assert run("catalog", "export", str(copy)).exit_code == 0
        assert run("catalog", "delete", "f1").exit_code == 0
        again = run("catalog", "import", str(copy))
        assert again.exit_code == 0, again.output
        assert "1 new, 1 replaced" in again.output
        found["f1"].ClearField("update_time")
        stored = items(target)["f1"]
        stored.ClearField("update_time")
        assert stored == found["f1"]


def test_bad_rows_are_reported_and_the_others_stored(run: Run, target: str, tmp_path: Path) -> None:
    source = tmp_path / "films.csv"
    rows = [
        "f1,One,,,,",
        "f2,,,,,",
        "f3,Three,,soon,,",
        "f4,Four,,,Germany,",
        "f5,Five",
        "f6,S\xe9is,,,,",
        "f1,Again,,,,",
    ]
    source.write_bytes((HEADER + "\n".join(rows) + "\n").encode("latin-1"))
    result = run("catalog", "import", str(source))
    assert result.exit_code == 1
    assert items(target)["f1"].title == "Again"
    problems = dict(refused(source))
    assert sorted(problems) == [3, 4, 5, 6, 7]
    assert problems[3].startswith("title is empty")
    assert problems[4] == "release_year 'soon' is no whole number"
    assert "regions[0]" in problems[5]
    assert problems[6] == "has 2 cells; the header has 6"
    assert problems[7] == "is not UTF-8"


@pytest.mark.parametrize(
    ("header", "words"),
    [("id,title", "missing: 'item_id'; unknown: 'id'"), ("item_id,title,title", "repeated: 'title'"), ("", "missing")],
)
def test_a_wrong_header_stores_nothing(run: Run, target: str, tmp_path: Path, header: str, words: str) -> None:
    source = tmp_path / "films.csv"
    source.write_text(f"{header}\nf1,One,x\n")
    result = run("catalog", "import", str(source))
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
    assert not items(target)


def test_parquet_of_wrong_types_is_refused(run: Run, target: str, tmp_path: Path) -> None:
    source = tmp_path / "films.parquet"
    parquet.write_table(pyarrow.table({"item_id": [1, 2], "title": ["a", "b"], "tags": ["x", "y"]}), source)
    result = run("catalog", "import", str(source))
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "item_id is int64, must be a string" in said
    assert "tags is string, must be a list of strings" in said


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_a_truncated_file_keeps_what_was_whole(run: Run, target: str, tmp_path: Path, form: str) -> None:
    whole = tmp_path / "films.csv"
    whole.write_text("item_id,title\n" + "".join(f'f{number},"Film {number}"\n' for number in range(20)))
    run("catalog", "import", str(whole))
    source = tmp_path / f"cut.{form}"
    run("catalog", "export", str(source))
    source.write_bytes(source.read_bytes()[:-9])
    result = run("catalog", "import", str(source))
    assert result.exit_code in {1, 2}
    if form == "parquet":
        assert "no whole Parquet file" in result.output
    else:
        assert [row for row, _ in refused(source)] == [20 if form == "jsonl" else 21]


def test_an_item_of_ten_megabytes_is_told_its_limit(run: Run, target: str, tmp_path: Path) -> None:
    source = tmp_path / "films.jsonl"
    big = json.dumps({"item_id": "big", "title": "x", "description": "d" * 10_000_000})
    source.write_text(big + '\n{"item_id": "f1", "title": "One"}\n')
    assert run("catalog", "import", str(source)).exit_code == 1
    assert refused(source) == [(1, "description has 10,000,000 characters; the limit is 10,000")]
    assert list(items(target)) == ["f1"]


def test_an_import_that_was_cut_off_goes_on(run: Run, target: str, tmp_path: Path) -> None:
    source = tmp_path / "films.csv"
    source.write_text("item_id,title\n" + "".join(f"f{number},Film\n" for number in range(1_200)))
    ImportProgress(source, target).keep(1_001, 0)
    result = run("catalog", "import", str(source))
    assert "going on behind row 1,001" in result.output
    assert len(items(target)) == 200
    assert not source.with_name("films.csv.progress").exists()
    ImportProgress(source, target).keep(1_001, 0)
    source.write_text("item_id,title\nother,Film\n")
    assert "1 new" in run("catalog", "import", str(source)).output


def test_single_fields_are_changed(run: Run, target: str) -> None:
    with MarqueeClient(target) as client:
        client.upsert_items([Item(item_id="f1", title="Old")])
    result = run("catalog", "update", "f1", "--set", "title=New", "--set", "tags=a|b", "--set", "end_time=2030-01-01")
    assert result.exit_code == 0, result.output
    assert json.loads(run("catalog", "get", "f1").output)["availability"]["end_time"] == "2030-01-01T00:00:00Z"
    assert run("catalog", "update", "f1", "--set", "colour=red").exit_code == 2
    assert run("catalog", "update", "f9", "--set", "title=x").exit_code == 1


def test_what_csv_cannot_keep_is_said_and_the_old_export_stays(run: Run, target: str, tmp_path: Path) -> None:
    file = tmp_path / "films.csv"
    with MarqueeClient(target) as client:
        client.upsert_items([Item(item_id="f1", title="Old", tags=["a"])])
        assert run("catalog", "export", str(file)).exit_code == 0
        before = file.read_bytes()
        client.upsert_items([Item(item_id="f1", title="Old", tags=["a|b"])])
    result = run("catalog", "export", str(file))
    assert result.exit_code == 1
    assert "cannot keep" in " ".join(result.output.split())
    assert file.read_bytes() == before
    assert list(tmp_path.glob("*.new")) == []


def test_parquet_with_holes_in_lists_is_refused_by_row(run: Run, target: str, tmp_path: Path) -> None:
    file = tmp_path / "films.parquet"
    rows = {"item_id": ["f1", "f2"], "title": ["One", "Two"], "tags": [["a", None], ["b"]]}
    parquet.write_table(pyarrow.table(rows), file)
    assert run("catalog", "import", str(file)).exit_code == 1
    [(row, problem)] = refused(file)
    assert (row, problem[:4]) == (1, "tags")
    assert list(items(target)) == ["f2"]
