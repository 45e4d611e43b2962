"""The services of a drill, as processes: three model services, one or more orchestrators, and their store."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

import marquee
import marquee_client
import services
from marquee_client import MarqueeClient, MarqueeError
from services.cli.ports import free_ports
from tests.chaos import namespaces
from tests.chaos.clock import ShiftedClock
from tests.chaos.database import Database
from tests.chaos.disks import SmallDisk
from tests.chaos.fault_proxy import FaultProxy
from tests.chaos.ledger import Ledger
from tests.chaos.needs import Needs
from tests.chaos.prepared import Prepared
from tests.chaos.processes import ServiceProcess

MODEL_SERVICES = ("text", "vision", "classical")
STORE = "store"
"""Name of the proxy in front of PostgreSQL."""
_HOST = "127.0.0.1"
_TOKEN_KEYS = "the key of drills which guards nothing at all"
_WHOLE_SECONDS = 60.0


class ChaosMesh:
    """Starts what a drill needs, and ends it. `start` first; `stop` may be called at any time.

    Args:
        folder: for everything the mesh writes; created.
        needs: what the drill needs.
        prepared: catalogue, history and bundle.

    Attributes:
        processes: name → process: "text", "vision", "classical", "orchestrator-1" …
        proxies: name → proxy in front of a model service or of the store, when the needs name them.
        ledger: the acknowledged events of this mesh's store.
    """

    def __init__(self, folder: Path, needs: Needs, prepared: Prepared) -> None:
        folder.mkdir(parents=True)
        self.folder, self.needs, self.prepared = folder, needs, prepared
        self.processes: dict[str, ServiceProcess] = {}
        self.proxies: dict[str, FaultProxy] = {}
        self.ledger = Ledger(folder / "ledger.txt")
        self.disk: SmallDisk | None = None
        self.database: Database | None = None
        self.cable: namespaces.Cable | None = None
        self.clock: ShiftedClock | None = None

    @property
    def orchestrators(self) -> list[ServiceProcess]:
        """The processes of the orchestrators."""
        return [one for one in self.processes.values() if one.service == "orchestrator"]

    @property
    def target(self) -> str:
        """gRPC target of a client: all orchestrators."""
        return "ipv4:" + ",".join(one.address for one in self.orchestrators)

    @property
    def bundles(self) -> Path:
        """Folder of the default tenant's bundles."""
        return self.folder / "bundles" / "default"

    @property
    def sqlite_path(self) -> Path:
        """The store's file, when it is SQLite."""
        return (self.disk.folder if self.disk else self.folder) / "marquee.sqlite"

    async def start(self) -> None:
        """Start everything and wait until lists are whole.

        Raises:
            NotReady: a service does not serve.
            TimeoutError: lists stay degraded.
        """
        if self.needs.disk_megabytes:
            self.disk = SmallDisk(self.folder / "disk", self.needs.disk_megabytes)
        await asyncio.to_thread(self._prepare_store)
        if self.needs.shifted_clock:
            self.clock = ShiftedClock(self.folder / "clock")
        await self._lay_out()
        for name in self.processes:
            await asyncio.to_thread(self.start_process, name)
        await asyncio.gather(*(asyncio.to_thread(one.wait_ready) for one in self.processes.values()))
        if self.database is not None:
            await asyncio.to_thread(self._fill)
        await self.wait_whole()

    def start_process(self, name: str) -> None:
        """Start one service; it is not ready yet."""
        process = self.processes[name]
        process.start()
        if name == self.needs.apart:
            if self.cable is not None:
                self.cable.remove()
            self.cable = namespaces.Cable()
            self.cable.plug_into(process.pid)

    async def wait_whole(self, seconds: float = _WHOLE_SECONDS) -> float:
        """Wait until every process is ready and each orchestrator answers a list that misses nothing; returns the
        seconds that took.

        Raises:
            NotReady: a process is not ready in time.
            TimeoutError: lists stay degraded.
        """
        start = time.monotonic()
        await asyncio.gather(*(asyncio.to_thread(one.wait_ready, seconds) for one in self.processes.values()))
        for one in self.orchestrators:
            await asyncio.to_thread(self._wait_undegraded, one.address, start + seconds)
        return time.monotonic() - start

    def _wait_undegraded(self, address: str, deadline: float) -> None:
        with MarqueeClient(f"ipv4:{address}") as client:
            while True:
                try:
                    answer = client.recommend(self.prepared.users[0], timeout=2.0)
                    missing = "; ".join(step.detail for step in answer.steps if step.detail)
                    if not answer.degraded:
                        return
                except MarqueeError as error:
                    missing = f"{error.code.name}: {error.message}"
                if time.monotonic() > deadline:
                    raise TimeoutError(f"lists of {address} are not whole again: {missing}")
                time.sleep(0.05)

    async def stop(self) -> None:
        """End everything."""
        for process in self.processes.values():
            await asyncio.to_thread(process.kill)
        for proxy in self.proxies.values():
            await proxy.stop()
        if self.cable is not None:
            self.cable.remove()
        if self.database is not None:
            await asyncio.to_thread(self.database.stop)
        if self.disk is not None:
            self.disk.unmount()
        self.ledger.close()
        shutil.rmtree(self.folder / "bundles", ignore_errors=True)

    def _prepare_store(self) -> None:
        is_sqlite = self.needs.store == "SQLite"
        self.prepared.copy_to(self.folder, with_store=is_sqlite)
        if is_sqlite:
            if self.disk is not None:
                shutil.move(self.folder / "marquee.sqlite", self.sqlite_path)
        else:
            self.database = Database(self.disk.folder if self.disk else self.folder)
            self.database.start()

    def _fill(self) -> None:
        with MarqueeClient(f"ipv4:{self.orchestrators[0].address}", timeout=30) as client:
            self.prepared.write_to(client)

    async def _lay_out(self) -> None:
        """Choose ports, start proxies and define the processes."""
        ports = free_ports(_HOST, len(MODEL_SERVICES) + self.needs.replicas)
        listening = dict(zip(MODEL_SERVICES, ports, strict=False))
        hosts = {name: namespaces.THERE if name == self.needs.apart else _HOST for name in MODEL_SERVICES}
        addresses = {name: f"{hosts[name]}:{listening[name]}" for name in MODEL_SERVICES}
        seen = dict(addresses)
        store_url = f"sqlite:///{self.sqlite_path}"
        if self.needs.proxied:
            for name in MODEL_SERVICES:
                self.proxies[name] = FaultProxy(hosts[name], listening[name])
                await self.proxies[name].start()
                seen[name] = self.proxies[name].address
        if self.database is not None:
            store_url = self.database.url
            if self.needs.proxied:
                self.proxies[STORE] = FaultProxy(_HOST, self.database.port)
                await self.proxies[STORE].start()
                store_url = self.database.url_through(self.proxies[STORE].port)
        common = self._common_variables()
        for name in MODEL_SERVICES:
            prefix = f"MARQUEE_{name.upper()}_"
            host = "0.0.0.0" if name == self.needs.apart else _HOST
            variables = {prefix + "HOST": host, prefix + "PORT": str(listening[name]), prefix + "ENGINES": "1"}
            self._add(
                name, name, addresses[name], common | variables, namespaces.PREFIX if name == self.needs.apart else ()
            )
        for number, port in enumerate(ports[len(MODEL_SERVICES) :], 1):
            chosen = {"HOST": _HOST, "PORT": str(port), "STORE_URL": store_url, "TOKEN_KEYS": _TOKEN_KEYS}
            chosen |= {f"{name.upper()}_ADDRESS": address for name, address in seen.items()}
            chosen |= {name.upper(): value for name, value in self.needs.settings}
            variables = {f"MARQUEE_ORCHESTRATOR_{name}": value for name, value in chosen.items()}
            variables |= self.clock.variables(common["PYTHONPATH"]) if self.clock else {}
            self._add(f"orchestrator-{number}", "orchestrator", f"{_HOST}:{port}", common | variables)

    def _add(
        self, name: str, service: str, address: str, variables: dict[str, str], prefix: tuple[str, ...] = ()
    ) -> None:
        log = self.folder / f"{name}.log"
        self.processes[name] = ServiceProcess(name, service, address, variables, log, prefix)

    def _common_variables(self) -> dict[str, str]:
        roots = {
            str(Path(folder).parent) for package in (services, marquee, marquee_client) for folder in package.__path__
        }
        variables = {name: value for name, value in os.environ.items() if not name.startswith("MARQUEE_")}
        variables |= {
            "PYTHONPATH": os.pathsep.join(sorted(roots)),
            "PYTHONUNBUFFERED": "1",
            "MARQUEE_DATA_DIRECTORY": str(self.folder),
        }
        for name in (*MODEL_SERVICES, "orchestrator"):
            variables[f"MARQUEE_{name.upper()}_LOG_FORMAT"] = "json"
            variables[f"MARQUEE_{name.upper()}_DRAIN_SECONDS"] = "8"
            variables[f"MARQUEE_{name.upper()}_ACCESS_LOG"] = "failures"
        return variables
