"""Filters answer for every item what the library's own evaluation answers, and say what is wrong with themselves."""

from __future__ import annotations

import random

import celpy
import pytest
from celpy import celtypes

from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.recommend.filters import FilterInvalid, compile_filter
from tests.unit.services.orchestrator.recommend.catalogue import record, snapshot_of

TAGS = ("Drama", "drama", "Sci-Fi", "Kids", "für Eltern", "a\\b")
CONDITIONS = (
    '"Drama" in tags',
    '"nowhere" in tags',
    "release_year >= 1990",
    "1990 < release_year",
    "release_year != 2000",
    "release_year in [1990, 2001]",
    "maturity_age + 1985 > release_year - 3 * 2",
    "-maturity_age < -6",
    'title.startsWith("Star")',
    'title.endsWith("7")',
    'title.contains("ar 1")',
    'title.matches("^Star [0-3]")',
    'title >= "Star 5"',
    '"Star 5" == title',
    "item_id != title",
    'item_id in ["i1", "i3"]',
    "size(tags) == 2",
    "tags.size() > 1",
    "size(title) < 7",
    'tags.exists(t, t.startsWith("D") || t == "Kids")',
    "tags.all(t, size(t) > 4)",
    "maturity_age > 6 ? release_year < 2000 : release_year >= 2000",
    "true",
    '"a" < "b"',
    '"Drama" in ["Drama"]',
    r'r"a\b" in tags',
    r'"a\\b" in tags',
    "release_year == 0x7C6",
)


@pytest.fixture(scope="module")
def snapshot() -> CatalogSnapshot:
    chance = random.Random(3)
    return snapshot_of(
        *(
            record(
                f"i{number}",
                title=f"Star {number}" if number % 2 else f"Über {number % 5}",
                tags=tuple(chance.sample(TAGS, chance.randrange(4))),
                maturity_age=chance.choice([0, 6, 12, 16]),
                release_year=chance.randrange(1988, 2004),
            )
            for number in range(60)
        )
    )


def by_the_library(text: str, snapshot: CatalogSnapshot) -> list[bool]:
    """Evaluate a filter item by item."""
    environment = celpy.Environment()
    program = environment.program(environment.compile(text))
    return [
        bool(
            program.evaluate(
                {
                    "item_id": celtypes.StringType(snapshot.item_ids[row]),
                    "title": celtypes.StringType(snapshot.titles[row]),
                    "tags": celtypes.ListType(map(celtypes.StringType, snapshot.tags[row])),
                    "maturity_age": celtypes.IntType(snapshot.maturity_ages[row]),
                    "release_year": celtypes.IntType(snapshot.release_years[row]),
                }
            )
        )
        for row in range(len(snapshot))
    ]


@pytest.mark.parametrize("text", CONDITIONS)
def test_each_condition_means_what_the_language_says(text: str, snapshot: CatalogSnapshot) -> None:
    assert compile_filter(text).mask(snapshot).tolist() == by_the_library(text, snapshot)


@pytest.mark.parametrize("seed", range(40))
def test_so_do_their_combinations(seed: int, snapshot: CatalogSnapshot) -> None:
    chance = random.Random(seed)
    text = chance.choice(CONDITIONS)
    for _ in range(3):
        sign = chance.choice(["", "!"])
        text = f"({text}) {chance.choice(['&&', '||'])} {sign}({chance.choice(CONDITIONS)})"
    assert compile_filter(text).mask(snapshot).tolist() == by_the_library(text, snapshot)


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("release_year >", (1, 14), "ends too early"),
        ('title == "open', (1, 10), "cannot be read"),
        ("true\n  && relase_year > 1", (2, 6), "did you mean release_year?"),
        ('release_year > "1990"', (1, 1), "> cannot compare int with string"),
        ('tags == "Drama"', (1, 1), 'ask for a tag with "name" in tags'),
        ("release_year", (1, 1), "true or false for each item; this is int"),
        ("!title", (1, 2), "a condition is needed here; this is string"),
        ("1 in tags", (1, 1), "one quoted tag before it, not int"),
        ('release_year in ["x"]', (1, 1), "looks for int in a list of string"),
        ("release_year / 2 == 5", (1, 1), "/ cannot be used in a filter"),
        ('tags[0] == "x"', (1, 1), "an index cannot be used"),
        ("null == null", (1, 1), "'null' cannot be used"),
        ("length(tags) > 1", (1, 1), "no function 'length'; there is size"),
        ('title.lower() == "x"', (1, 7), "no method 'lower' here; string has contains"),
        ('title.matches("(")', (1, 15), "no RE2 expression: missing )"),
        ("title.contains(item_id)", (1, 7), "contains takes one quoted string"),
        ("tags.exists(t, release_year > 1)", (1, 16), "inside exists there is only the tag itself, t"),
        ("tags.exists(t)", (1, 6), "takes a name and a condition"),
        ("release_year < 9223372036854775808", (1, 16), "64 bits"),
        ("(" * 60 + "true" + ")" * 60, (1, 51), "nested deeper than 50 levels"),
        ("!" * 60 + "true", (1, 51), "nested deeper than 50 levels"),
        ("true" + " " * 2_000, (1, 2_001), "2,004 characters; at most 2,000"),
        ("release_year @ 3", (1, 14), "cannot be read from '@ 3' on"),
        (" ", (1, 1), "ends too early"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, place: tuple[int, int], part: str) -> None:
    with pytest.raises(FilterInvalid) as caught:
        compile_filter(text)
    assert (caught.value.line, caught.value.column) == place
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"line {place[0]}, column {place[1]}: ")


def test_a_mask_is_made_once_for_a_state_of_the_catalogue(snapshot: CatalogSnapshot) -> None:
    compiled = compile_filter('"Kids" in tags')
    assert compile_filter('"Kids" in tags') is compiled
    first = compiled.mask(snapshot)
    assert compiled.mask(snapshot) is first
    assert compiled.mask(snapshot.with_statistics([])) is first
    changed = snapshot_of(record("i0", tags=("Kids",)), sequence=2)
    assert compiled.mask(changed).tolist() == [True]
    with pytest.raises(ValueError, match="read-only"):
        first[0] = True


def test_an_empty_catalogue_has_an_empty_mask() -> None:
    for text in CONDITIONS:
        assert compile_filter(text).mask(snapshot_of()).tolist() == []
