"""Screenshots come from one version of the emulator, and the parts share neither seeds nor seconds of play."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from services.runtime.sources import SourceUnavailable
from services.vision.training.data import atari_screenshots
from services.vision.training.data.atari_screenshots import PARTS


def test_the_test_part_has_other_seeds_and_lies_later_in_play() -> None:
    fit, validation, test = PARTS["fit"], PARTS["validation"], PARTS["test"]

    assert not set(fit.seeds) & set(test.seeds)
    assert not set(validation.seeds) & (set(fit.seeds) | set(test.seeds))
    assert test.start > max(fit.end, validation.end)


def test_without_the_emulator_it_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)

    with pytest.raises(SourceUnavailable, match=r"not installed here; use \.venv-training"):
        atari_screenshots.game_names()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other, roms = ModuleType("ale_py"), ModuleType("ale_py.roms")
    other.__dict__["__version__"] = "0.0.1"
    monkeypatch.setitem(sys.modules, "ale_py", other)
    monkeypatch.setitem(sys.modules, "ale_py.roms", roms)

    with pytest.raises(SourceUnavailable, match=r"ale-py is 0\.0\.1"):
        atari_screenshots.load_screenshots("test")


def test_play_is_the_same_again_for_a_seed_and_differs_for_another() -> None:
    pytest.importorskip("ale_py")
    part = atari_screenshots.Part((0,), 5, 12, 3)

    first, again = (list(atari_screenshots._played("breakout", 0, part)) for _ in range(2))
    other = list(atari_screenshots._played("breakout", 1, part))

    assert len(first) == 3
    assert first == again
    assert first != other
    assert atari_screenshots.stretched(first).shape == (3, 84, 84, 3)
