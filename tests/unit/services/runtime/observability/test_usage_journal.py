# ruff: noqa: ASYNC240  # the files are tiny
from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from services.runtime.observability.usage import UsageMeter, UsageRecord
from services.runtime.observability.usage_journal import UsageJournal, as_json, from_json, read_usage
from services.runtime.startup import CannotStart


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage" / "text.jsonl"


def use(meter: UsageMeter, calls: int, tenant: str = "arcade") -> None:
    for _ in range(calls):
        meter.add(tenant, "minilm", "1", "tokens", 10, 0.5)


async def run(path: Path, calls: int) -> UsageMeter:
    """One life of a service that answers so many calls."""
    meter = UsageMeter()
    journal = UsageJournal(path, meter)
    await journal.start()
    use(meter, calls)
    await journal.stop()
    return meter


def read(*paths: Path) -> int:
    lines = [line for path in paths for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return sum(record.calls for record in read_usage(lines))


async def test_usage_survives_restarts(path: Path) -> None:
    await run(path, 2)
    await run(path, 3)
    meter = await run(path, 4)
    assert sum(record.calls for record in meter.records()) == 9
    assert sum(record.amount for record in meter.records()) == 90
    assert sum(record.compute_seconds for record in meter.records()) == pytest.approx(4.5)
    assert read(path) == 9


async def test_lines_are_deltas_with_a_name_of_their_own(path: Path) -> None:
    meter = UsageMeter()
    journal = UsageJournal(path, meter)
    await journal.start()
    use(meter, 2)
    await journal.write()
    await journal.write()  # nothing new, nothing written
    use(meter, 1)
    use(meter, 1, "cinéma")
    await journal.stop()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(line["sequence"], line["tenant"], line["calls"], line["amount"]) for line in lines] == [
        (1, "arcade", 2, 20),
        (2, "arcade", 1, 10),
        (3, "cinéma", 1, 10),
    ]
    assert {line["process"] for line in lines} == {meter.process}
    assert lines[0]["hour"].endswith(":00:00Z")


async def test_no_line_is_counted_twice_whatever_is_read(path: Path) -> None:
    await run(path, 5)
    copy = path.with_name("copy.jsonl")
    copy.write_bytes(path.read_bytes())
    await run(path, 6)
    assert read(copy, path, copy) == 11
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum(record.calls for record in read_usage(reversed([*lines, *lines]))) == 11


@pytest.mark.parametrize("torn", [b'{"process":"x","sequ', b"\xff\xfe\x00", b"[]", b'{"process":"x","sequence":1}'])
async def test_a_torn_last_line_costs_only_itself(path: Path, torn: bytes) -> None:
    await run(path, 2)
    with path.open("ab") as file:
        file.write(torn)
    meter = await run(path, 3)
    assert sum(record.calls for record in meter.records()) == 5
    assert read(path) == 5


async def test_the_file_may_be_renamed_away(path: Path) -> None:
    meter = UsageMeter()
    journal = UsageJournal(path, meter)
    await journal.start()
    use(meter, 1)
    await journal.write()
    old = path.rename(path.with_name("old.jsonl"))
    use(meter, 2)
    await journal.stop()
    assert read(old) == 1
    assert read(path) == 2
    assert read(path, old) == 3


async def test_a_disk_that_is_full_for_a_while_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = UsageMeter()
    journal = UsageJournal(path, meter)
    await journal.start()
    use(meter, 1)
    await journal.write()
    use(meter, 2)
    with monkeypatch.context() as patched:

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(os, "fsync", full)
        await journal.write()
        use(meter, 3)
        await journal.write()
        assert read(path) == 1
    await journal.write()
    await journal.stop()
    assert read(path) == 6


async def test_usage_is_written_while_the_service_runs(path: Path) -> None:
    meter = UsageMeter()
    journal = UsageJournal(path, meter, seconds=0.02)
    await journal.start()
    use(meter, 1)
    async with asyncio.timeout(5):
        while read(path) != 1:
            await asyncio.sleep(0.01)
    await journal.stop()


async def test_the_end_waits_for_a_write_in_progress(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, started = os.fsync, asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(descriptor: int) -> None:
        loop.call_soon_threadsafe(started.set)
        time.sleep(0.1)
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    meter = UsageMeter()
    journal = UsageJournal(path, meter, seconds=0.01)
    await journal.start()
    use(meter, 1)
    await started.wait()
    use(meter, 2)
    await journal.stop()
    assert [json.loads(line)["calls"] for line in path.read_text().splitlines()] == [1, 2]


async def test_two_processes_do_not_share_a_file(path: Path) -> None:
    first = UsageJournal(path, UsageMeter())
    await first.start()
    with pytest.raises(CannotStart, match="another process"):
        await UsageJournal(path, UsageMeter()).start()
    await first.stop()
    second = UsageJournal(path, UsageMeter())
    await second.start()
    await second.stop()


async def test_a_file_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match=r"usage_file .*(Not a directory|File exists)"):
        await UsageJournal(tmp_path / "file" / "usage.jsonl", UsageMeter()).start()


def test_records_keep_their_values() -> None:
    record = UsageRecord(1_760_000_400 // 3600 * 3600, "a", "b", "c", "d", 1, 2, 3.5)
    assert from_json(dict(as_json(record))) == record
