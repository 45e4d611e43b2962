"""The wrapper of docker and podman, against a program that stands in for them."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from deploy.images import engine as module
from deploy.images.engine import HARDENED, Container, Engine, EngineFailed, find_engine, podman_environment


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `podman` that writes down its arguments; it fails when asked for `fail`."""
    program = tmp_path / "podman"
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$*" >>"$(dirname "$0")/calls"\n'
        'case $1 in fail) echo "it broke" >&2; exit 3 ;; build) echo "STEP 1"; exit ${BROKEN:-0} ;; run) echo abc ;;\n'
        "esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.delenv("MARQUEE_CONTAINER_ENGINE", raising=False)
    return tmp_path / "calls"


def test_the_wanted_engine_is_found(stand_in: Path) -> None:
    assert find_engine("podman").program == "podman"
    assert stand_in.read_text() == "info\n"


def test_a_hardened_container_gets_what_the_pods_get(stand_in: Path) -> None:
    container = Engine("podman").run("image", "--help", name="a", network="n", environment={"K": "v"})
    assert container.identity == "abc"
    words = stand_in.read_text()
    for option in (*HARDENED, "--env=K=v"):
        assert option in words
    assert words.endswith("image --help\n")


def test_a_container_is_removed_at_the_end_of_its_block(stand_in: Path) -> None:
    with Container(Engine("podman"), "abc"):
        pass
    assert stand_in.read_text() == "rm --force --volumes abc\n"


@pytest.mark.usefixtures("stand_in")
def test_a_failure_says_what_the_engine_said() -> None:
    with pytest.raises(EngineFailed, match="it broke"):
        Engine("podman").call("fail")


def test_a_build_gives_its_lines_and_keeps_them(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = stand_in.parent / "logs" / "build.log"
    assert list(Engine("podman").build(["."], log)) == ["STEP 1"]
    assert log.read_text() == "STEP 1\n"
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(EngineFailed, match="STEP 1"):
        list(Engine("podman").build(["."], log))


def test_podman_never_gets_limits_above_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.delenv("CONTAINERS_CONF", raising=False)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (0, 500 if kind == resource.RLIMIT_NOFILE else -1))
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    path = Path(podman_environment()["CONTAINERS_CONF"])
    assert '"nofile=500:500", "nproc=16384:16384"' in path.read_text()
