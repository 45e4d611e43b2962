from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from services.runtime.repository.memory import give_memory_back
from tests.support.processes import REPOSITORY


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other C libraries keep what is freed")
def test_an_unloaded_model_gives_back_what_it_took_each_time() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MARQUEE_")}
    roots = [REPOSITORY, REPOSITORY / "protos" / "python", REPOSITORY / "services" / "client"]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.memory_return"],
        cwd=REPOSITORY,
        env={**environment, "PYTHONPATH": os.pathsep.join(map(str, roots))},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    figures = json.loads(ran.stdout.splitlines()[-1])
    taken = figures["loaded"] - figures["before"]
    assert taken > 30, figures
    assert figures["loaded"] - figures["unloaded"] >= 0.8 * taken, figures
    assert figures["at_last"] - figures["before"] <= 0.4 * taken, "what one round leaves behind must not add up"


def test_memory_may_be_given_back_at_any_time() -> None:
    give_memory_back()
    give_memory_back()
