from __future__ import annotations

from collections.abc import Callable

import pytest

from services.runtime.errors import InvalidRequest
from services.runtime.validation import Violations

Check = Callable[[Violations], object]


def found(check: Check) -> dict[str, str]:
    """Run a check and return field → description of what it found."""
    violations = Violations()
    check(violations)
    try:
        violations.raise_if_any()
    except InvalidRequest as error:
        return {violation.field: violation.description for violation in error.violations}
    return {}


@pytest.mark.parametrize(
    "check",
    [
        lambda check: check.text("f", "a", maximum=5),
        lambda check: check.text("f", "äöü😀!", maximum=5),
        lambda check: check.text("f", "", maximum=5, minimum=0),
        lambda check: check.text("f", "   ", maximum=5, blank=True),
        lambda check: check.identifier("f", "item-1 (2024)", maximum=128),
        lambda check: check.count("f", [1, 2], minimum=1, maximum=2),
        lambda check: check.unique("f", ["a", "A", " a"]),
        lambda check: check.within("f", -10.0, -10, 10),
        lambda check: check.within("f", 10.0, -10, 10),
        lambda check: check.tenant("f", ""),
        lambda check: check.tenant("f", "tenant-1"),
        lambda check: check.version("f", "2025-01-01T00.00_a"),
    ],
)
def test_good_values_pass(check: Check) -> None:
    assert found(check) == {}


@pytest.mark.parametrize(
    ("check", "description"),
    [
        (lambda check: check.text("f", "", maximum=5), "is empty; it is required"),
        (lambda check: check.text("f", "ab", minimum=3, maximum=5), "is shorter than 3 characters"),
        (lambda check: check.text("f", "x" * 10_001, maximum=10_000), "has 10,001 characters; the limit is 10,000"),
        (lambda check: check.text("f", " \t\n\u3000", maximum=5), "holds only white space; it needs text"),
        (lambda check: check.identifier("f", "a\x00b"), "holds a control character; identifiers are printable"),
        (lambda check: check.identifier("f", "x" * 129), "has 129 characters; the limit is 128"),
        (lambda check: check.count("f", [], minimum=1, maximum=2), "has 0 entries; at least 1 is required"),
        (lambda check: check.count("f", range(1_001), maximum=1_000), "has 1,001 entries; the limit is 1,000"),
        (lambda check: check.within("f", float("nan"), -1, 1), "is nan; the range is -1 to 1"),
        (lambda check: check.within("f", float("inf"), -1, 1), "is inf; the range is -1 to 1"),
        (lambda check: check.within("f", 1.5, -1, 1), "is 1.5; the range is -1 to 1"),
        (
            lambda check: check.size("f", -3, default=5, maximum=100),
            "is -3; it must not be negative (zero means 5, the limit is 100)",
        ),
        (lambda check: check.version("f", ""), "is empty; it is required"),
    ],
)
def test_bad_values_are_named_with_the_limit(check: Check, description: str) -> None:
    assert found(check) == {"f": description}


@pytest.mark.parametrize("value", ["Upper", "under_score", "a/b", "..", "ä", "x" * 65, "a b", "a\n"])
def test_bad_tenants_are_refused(value: str) -> None:
    assert "f" in found(lambda check: check.tenant("f", value))


@pytest.mark.parametrize("value", ["..", "../v1", ".hidden", "-rf", "a/b", "a\\b", "a\x00", "x" * 65, "v1\n"])
def test_versions_that_are_no_plain_folder_names_are_refused(value: str) -> None:
    assert "f" in found(lambda check: check.version("f", value))


def test_a_repeated_value_is_named_where_it_repeats() -> None:
    assert found(lambda check: check.unique("labels", ["a", "b", "a"])) == {"labels[2]": "repeats 'a'"}


@pytest.mark.parametrize(("value", "size"), [(0, 5), (1, 1), (100, 100), (2**31 - 1, 100)])
def test_sizes_default_at_zero_and_are_coerced_to_the_limit(value: int, size: int) -> None:
    check = Violations()
    assert check.size("f", value, default=5, maximum=100) == size
    check.raise_if_any()


def test_an_empty_tenant_is_the_default_one() -> None:
    assert Violations().tenant("f", "") == "default"
    assert Violations().tenant("f", "acme") == "acme"


def test_all_violations_are_reported_together_up_to_fifty() -> None:
    check = Violations()
    for index in range(70):
        check.add(f"texts[{index}]", "is empty")
    with pytest.raises(InvalidRequest) as refused:
        check.raise_if_any("INVALID_TEXT")
    assert len(refused.value.violations) == 50
    assert refused.value.reason == "INVALID_TEXT"


def test_checks_say_whether_they_passed() -> None:
    check = Violations()
    assert check.text("f", "a", maximum=1)
    assert not check.text("f", "ab", maximum=1)
