"""A client in another language gets a list with nothing but the published descriptor set."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import marquee
from marquee_client import MarqueeClient
from services.cli.local_mesh import LocalMesh

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).parent / "node_client" / "recommend.js"
DESCRIPTORS = Path(next(iter(marquee.__path__))) / "descriptor_set.binpb"
NODE_MODULES = Path(__file__).parents[2] / ".venv" / "node" / "node_modules"


def ask(address: str, user: str, count: int) -> dict[str, Any]:
    node = shutil.which("node")
    assert node, "Node.js is missing: run the tests with `make test`, which installs it"
    finished = subprocess.run(
        [node, str(SCRIPT), address, str(DESCRIPTORS), user, str(count)],
        env={**os.environ, "NODE_PATH": str(NODE_MODULES)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


def test_node_gets_the_same_list(movielens_mesh: LocalMesh, client: MarqueeClient) -> None:
    answer = ask(movielens_mesh.addresses["orchestrator"], "196", 7)
    assert [item["item_id"] for item in answer["items"]] == [
        item.item_id for item in client.recommend("196", page_size=7).items
    ]
    assert answer["items"][0]["title"]
    assert {step["service"] for step in answer["steps"]} >= {"orchestrator", "classical", "text"}


def test_node_gets_a_clear_error(movielens_mesh: LocalMesh) -> None:
    answer = ask(movielens_mesh.addresses["orchestrator"], "", 7)
    assert answer["code"] == 3  # INVALID_ARGUMENT
    assert answer["message"].startswith("user_id")
    assert answer["detail_bytes"] > 0
