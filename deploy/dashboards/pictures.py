"""Draws the dashboards and a trace for the documentation: `make dashboards-pictures`.

Starts a mesh of its own with MovieLens in it, a Prometheus that scrapes it and a collector of spans, puts it under
load, kills the vision service in the middle, and draws what Prometheus has at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from deploy.dashboards import trace_picture
from deploy.dashboards.__main__ import FOLDER
from deploy.dashboards.draw import Prometheus, draw
from marquee_client import MarqueeClient, MarqueeError
from services.cli.local_mesh import LocalMesh
from services.runtime.sources import DataSettings

DOCS = Path("docs")
PICTURES = Path("tests/data/pictures")
DASHBOARDS = {
    "marquee-mesh": "dashboard-mesh.png",
    "marquee-orchestrator": "dashboard-orchestrator.png",
    "marquee-text": "dashboard-text.png",
    "marquee-vision": "dashboard-vision.png",
    "marquee-classical": "dashboard-classical.png",
}
_SCRAPE_SECONDS = 5
_QUERIES = ("space opera with robots", "a heist that goes wrong", "the godfather", "animated films for children")
_LINES = ("well played everyone", "you are a useless idiot", "anyone trading a blue hat?", "this boss is so hard")
_EVERYTHING = {"namespace": ".*", "release": ".*", "component": ".*", "pod": ".*", "__rate_interval": "30s"}


def main() -> None:
    """Run the mesh, the load and the pen."""
    parser = argparse.ArgumentParser(prog="python -m deploy.dashboards.pictures", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="how long the load lasts")
    parser.add_argument("--rate", type=float, default=8.0, help="calls a second of people who look around")
    parser.add_argument(
        "--data", type=Path, help="data folder of a mesh that has MovieLens and a bundle; else one is made"
    )
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the pictures")
    arguments = parser.parse_args()
    collector = trace_picture.Collector()
    ports = {name: _free_port() for name in ("orchestrator", "text", "vision", "classical", "prometheus")}
    environment = {f"MARQUEE_{name.upper()}_METRICS_PORT": str(port) for name, port in ports.items()}
    for name in ports:
        environment[f"MARQUEE_{name.upper()}_TRACING_ENDPOINT"] = collector.endpoint
        environment[f"MARQUEE_{name.upper()}_TRACING_SAMPLE_RATIO"] = "0.2"
    with TemporaryDirectory(prefix="marquee-pictures-") as name:
        folder = arguments.data or Path(name)
        if arguments.data is None:
            with contextlib.suppress(FileNotFoundError):
                (folder / "sources").symlink_to((DataSettings().data_directory / "sources").resolve(strict=True))
        with LocalMesh(folder, port=0, environment=environment) as mesh:
            mesh.wait_ready(600)
            for command in [] if arguments.data else [["import", "movielens"], ["train"]]:
                _say(f"marquee {' '.join(command)}")
                _marquee(mesh, *command)
            with _prometheus(Path(name), ports) as url:
                start = time.time()
                _load(mesh, arguments.minutes * 60, arguments.rate)
                asked = Prometheus(url, start, time.time(), _SCRAPE_SECONDS, _EVERYTHING)
                for one, picture in DASHBOARDS.items():
                    document = json.loads((FOLDER / f"{one}.json").read_text(encoding="utf-8"))
                    empty = draw(document, asked, arguments.out / picture)
                    _say(f"{picture}: {empty} panels without data")
    collector.stop()
    spans, of = collector.typical()
    title = f"One Recommend through the mesh: the middle one of {of} traces"
    _say(trace_picture.draw(spans, title, arguments.out / "trace-recommend.png"))


def _load(mesh: LocalMesh, seconds: float, rate: float) -> None:
    """Let people look around and write, and kill the vision service after two thirds."""
    _say(f"load for {seconds:.0f} s")
    browsing = _started(mesh, "load", "--scenario", "browse", "--rate", str(rate), "--duration", str(seconds))
    stop = threading.Event()
    others = threading.Thread(target=_other_calls, args=(mesh.addresses["orchestrator"], stop))
    others.start()
    try:
        time.sleep(seconds * 2 / 3)
        _say("the vision service is killed, and started again after 20 s")
        os.kill(mesh.pids["vision"], signal.SIGKILL)
        time.sleep(20)
        mesh.services["vision"].start()
        browsing.wait()
    finally:
        stop.set()
        others.join()
        browsing.terminate()


def _other_calls(target: str, stop: threading.Event) -> None:
    """Search, write, moderate and look at pictures, one call after another, about three a second."""
    pictures = sorted(PICTURES.glob("*.jpg"))
    number = 0
    with MarqueeClient(target) as client:
        while not stop.wait(0.3):
            number += 1
            with contextlib.suppress(MarqueeError):
                client.search(_QUERIES[number % len(_QUERIES)])
                client.moderate_text([_LINES[number % len(_LINES)]])
                if number % 3 == 0:
                    client.analyze_image(pictures[number % len(pictures)].read_bytes())
                if number % 10 == 0:
                    list(client.generate_text("The last train to", max_tokens=24))


@contextlib.contextmanager
def _prometheus(folder: Path, ports: dict[str, int]) -> Iterator[str]:
    scrapes = [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"namespace": "media", "release": "shop", "component": name, "pod": f"shop-marquee-{name}-0"},
        }
        for name, port in ports.items()
        if name != "prometheus"
    ]
    config = {
        "global": {"scrape_interval": f"{_SCRAPE_SECONDS}s"},
        "scrape_configs": [{"job_name": "marquee", "static_configs": scrapes}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{ports['prometheus']}"
    command = ["prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/tsdb"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def _marquee(mesh: LocalMesh, *arguments: str) -> None:
    process = _started(mesh, *arguments)
    if process.wait():
        sys.exit(f"marquee {' '.join(arguments)} ended with {process.returncode}")


def _started(mesh: LocalMesh, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "MARQUEE_TARGET": mesh.addresses["orchestrator"],
        "MARQUEE_DATA_DIRECTORY": str(mesh.data_directory),
    }
    with (mesh.log_directory / "commands.log").open("ab") as log:
        command = [sys.executable, "-m", "services.cli.main", *arguments]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
