"""Bundles that are not what their manifest says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from marquee_client import MarqueeClient, MarqueeError
from tests.chaos.drill import Drill, Scene


async def corrupt_pushed(scene: Scene) -> None:
    """Activate bundles with a damaged scorer, a cut scorer, a cut manifest and none at all: the serving one stays."""
    serving = scene.mesh.prepared.bundle_version
    refused = []
    for number, damage in enumerate((_flip_a_byte, _cut_a_scorer, _cut_the_manifest, _empty), 1):
        version = f"{serving}-damaged{number}"
        folder = scene.mesh.bundles / version
        _copy_as(scene.mesh.bundles / serving, folder, version)
        damage(folder)
        code = _activate(scene, version)
        refused.append(f"{damage.__name__.strip('_').replace('_', ' ')}: {code}")
        if code != "FAILED_PRECONDITION":
            scene.outcome.problems.append(f"activating a bundle with {damage.__name__} ended with {code}")
        await scene.pause(0.5)
        shutil.rmtree(folder)
    scene.outcome.notes.append("damaged bundles: " + "; ".join(refused))
    with MarqueeClient(scene.mesh.target) as client:
        now = client.serving_bundle().version
    if now != serving:
        scene.outcome.problems.append(f"bundle {now!r} serves instead of {serving!r}")
    await scene.healed()
    if scene.load.tally.degraded:
        scene.outcome.problems.append(f"{scene.load.tally.degraded} lists were degraded by a bundle that never served")


def _activate(scene: Scene, version: str) -> str:
    with MarqueeClient(scene.mesh.target) as client:
        try:
            client.activate_bundle(version, timeout=20)
        except MarqueeError as error:
            return error.code.name
    return "OK"


def _copy_as(source: Path, target: Path, version: str) -> None:
    shutil.copytree(source, target)
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    manifest["version"] = version
    (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _largest_scorer(folder: Path) -> Path:
    return max(folder.rglob("*.onnx"), key=lambda path: path.stat().st_size)


def _flip_a_byte(folder: Path) -> None:
    scorer = _largest_scorer(folder)
    content = bytearray(scorer.read_bytes())
    content[len(content) // 2] ^= 0x10
    scorer.write_bytes(content)


def _cut_a_scorer(folder: Path) -> None:
    scorer = _largest_scorer(folder)
    scorer.write_bytes(scorer.read_bytes()[:-100])


def _cut_the_manifest(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-40])


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


DRILLS = [
    Drill(
        "corrupt bundle pushed",
        corrupt_pushed,
        "four damaged bundles are activated in turn: a flipped byte, a cut scorer, a cut manifest, no files",
    )
]
