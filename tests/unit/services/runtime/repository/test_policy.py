from __future__ import annotations

import pytest

from services.runtime.repository.policy import PolicyInvalid, VersionPolicies, VersionPolicy, in_order
from services.runtime.settings import ModelServiceSettings

VERSIONS = ["2", "10", "beta", "9", "alpha"]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("latest", ["10"]),
        ("latest:1", ["10"]),
        (" latest:2 ", ["10", "9"]),
        ("latest:1000", ["10", "9", "2", "beta", "alpha"]),
        ("specific:2,10", ["10", "2"]),
        ("specific:7", []),
        ("specific: beta , 9", ["9", "beta"]),
        ("all", ["10", "9", "2", "beta", "alpha"]),
    ],
)
def test_a_policy_chooses_versions_newest_first(text: str, chosen: list[str]) -> None:
    assert VersionPolicy.parse(text).choose(VERSIONS) == chosen


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not known"),
        ("newest", "use latest:<count>, specific:<version>,<version>… or all"),
        ("latest:0", "the count must be a whole number from 1 to 1000"),
        ("latest:-1", "whole number"),
        ("latest:two", "whole number"),
        ("latest:" + "9" * 5000, "whole number"),
        ("latest:²", "whole number"),
        ("specific", "'' is no version"),
        ("specific:1,,3", "'' is no version"),
        ("specific:../../etc", "'../../etc' is no version"),
        ("all:3", "is not known"),
    ],
)
def test_a_bad_policy_is_refused_and_says_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        VersionPolicy.parse(text)
    assert said in str(refused.value)


def test_a_model_without_its_own_policy_has_the_default() -> None:
    policies = VersionPolicies.parse({"*": "latest:2", "lab": "all"})
    assert (str(policies.of("lab")), str(policies.of("other"))) == ("all", "latest:2")
    assert str(VersionPolicies.parse({}).of("any")) == "latest:1"


def test_numbers_are_newer_than_names() -> None:
    assert in_order(["backup", "7", "70", "8"]) == ["70", "8", "7", "backup"]


def test_a_bad_policy_in_the_settings_names_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"ranker: version policy 'newest' is not known; use latest"):
        ModelServiceSettings(model_repository="models", version_policies={"ranker": "newest"})  # type: ignore[arg-type]
    monkeypatch.setenv("VERSION_POLICIES", '{"*": "all"}')
    assert ModelServiceSettings(model_repository="models").version_policies == {"*": "all"}  # type: ignore[arg-type]
