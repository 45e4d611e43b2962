"""All drills, in the order in which they run: those with the same needs follow each other."""

from __future__ import annotations

from tests.chaos.drill import Drill
from tests.chaos.drills import (
    bundles,
    clock_jumps,
    ledger_runs,
    model_services,
    network,
    orchestrators,
    postgresql,
    restarts,
    sqlite_store,
)


def all_drills(ledger_events: int) -> list[Drill]:
    """Return every drill.

    Args:
        ledger_events: events of the long runs with kills at random moments.
    """
    return [
        *model_services.DRILLS,
        *bundles.DRILLS,
        *orchestrators.DRILLS,
        *sqlite_store.DRILLS,
        *restarts.DRILLS,
        *network.DRILLS,
        *clock_jumps.DRILLS,
        *postgresql.DRILLS,
        *ledger_runs.drills(ledger_events),
    ]
