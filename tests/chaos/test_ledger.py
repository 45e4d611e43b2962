"""The drills' bookkeeping finds what it is there to find."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.ledger import Findings, Ledger, Numbering, compare

NUMBERING = Numbering([f"item-{number}" for number in range(13)])


def test_every_number_has_a_key_of_its_own() -> None:
    keys = {NUMBERING.key(writer, number) for writer in ("1-0", "1-1") for number in range(500)}
    assert len(keys) == 1_000


def test_an_event_sent_again_is_the_same() -> None:
    assert NUMBERING.event("1-0", 7) == NUMBERING.event("1-0", 7)


def test_lost_doubled_and_foreign_events_are_found(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.txt") as ledger:
        ledger.sending("1-0", 20)
        ledger.acknowledge("1-0", 0, 10)
        stored = [NUMBERING.key("1-0", number) for number in range(1, 12)]  # 10 and 11 have an unknown fate
        stored += [stored[0], NUMBERING.key("1-0", 25)]
        assert compare(ledger, NUMBERING, stored) == Findings(10, 12, lost=1, doubled=1, foreign=1)


def test_a_right_store_has_no_problems(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.txt") as ledger:
        ledger.sending("1-0", 20)
        ledger.acknowledge("1-0", 0, 20)
        findings = compare(ledger, NUMBERING, (NUMBERING.key("1-0", number) for number in range(20)))
    assert findings.problems == []
    assert findings.stored == findings.acknowledged == 20
