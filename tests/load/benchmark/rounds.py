"""The interleaved run: in every round every system once, the order rotated, each on all of its workloads."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy
import numpy.typing

from services.runtime.sources import REPOSITORY_ROOT
from tests.load.benchmark.generator import Order
from tests.load.benchmark.in_process import open_session
from tests.load.benchmark.load import Load, offer, write_requests
from tests.load.benchmark.peer_systems import Peer
from tests.load.benchmark.results import IN_PROCESS, IN_PROCESS_CROWDED, Cell, Failure, Journal, Trial
from tests.load.benchmark.server_process import ServerFailed, environment, python
from tests.load.benchmark.systems import System, Target
from tests.load.benchmark.workloads import CLASSIFY_IMAGE, Workload, read_answer

Say = Callable[[str], None]
_MOST_DIFFERENCE = 5e-3


@dataclass(frozen=True)
class Lengths:
    """How long each measurement takes, in seconds, and the callers of the closed loop."""

    warmup: float = 0.7
    measure: float = 2.5
    in_process: float = 0.8
    tuning: float = 1.5
    callers: int = 32


class WrongAnswer(ServerFailed):
    """A server answers something else than the model."""


class Bench:
    """Runs rounds and keeps what comes out.

    Args:
        workloads: what is asked.
        journal: where results are kept.
        lengths: of each measurement.
        say: told what happens next.
        provider: execution provider of the in-process limit.
    """

    def __init__(
        self,
        workloads: Sequence[Workload],
        journal: Journal,
        lengths: Lengths,
        say: Say,
        provider: str = "CPUExecutionProvider",
    ) -> None:
        self._workloads = workloads
        self._journal = journal
        self._lengths = lengths
        self._say = say
        self._provider = provider
        self._expected = {one.name: _expected(one) for one in workloads}

    def tune(self, peers: Sequence[Peer]) -> None:
        """Try the settings of each peer once, and keep the one with the most requests a second for each workload."""
        for peer in peers:
            chosen = [one for one in self._workloads if peer.answers(one)]
            tried = [one for one in self._journal.trials if one.system == peer.name]
            if not tried:
                self._say(f"{peer.title}: trying its settings")
                try:
                    self._try_settings(peer, chosen)
                except ServerFailed as error:
                    self._journal.add(Failure(peer.name, "settings", 0, str(error)))
                finally:
                    peer.stop()
            _narrow(peer, chosen, self._journal)

    def run(self, systems: Sequence[System], rounds: int) -> None:
        """Run all rounds; what an earlier run did already is left out."""
        for number in range(1, rounds + 1):
            if not self._journal.has(IN_PROCESS, number):
                self._say(f"round {number}: in-process")
                self.in_process(number)
            shift = (number - 1) % max(1, len(systems))
            for system in [*systems[shift:], *systems[:shift]]:
                self.system(system, number)

    def in_process(self, number: int) -> None:
        """Measure the limit in a process of its own."""
        names = [one.name for one in self._workloads]
        order = {"workloads": names, "seconds": self._lengths.in_process, "provider": self._provider}
        finished = subprocess.run(
            [python(), "-m", "tests.load.benchmark.in_process"],
            input=json.dumps(order) + "\n",
            capture_output=True,
            text=True,
            cwd=REPOSITORY_ROOT,
            env=environment(),
            check=False,
            timeout=600,
        )
        if finished.returncode:
            raise RuntimeError(f"in-process measurement failed: {finished.stderr[-500:]}")
        for name, found in json.loads(finished.stdout).items():
            self._journal.add(Cell(IN_PROCESS, name, number, found["rate"], found["processor_microseconds"]))
            crowded = (found["rate_of_single_rows"], found["processor_microseconds_on_all_cores"])
            self._journal.add(Cell(IN_PROCESS_CROWDED, name, number, *crowded))

    def system(self, system: System, number: int) -> None:
        """Start one system, measure each of its workloads, end it. What fails is recorded and never stops the run."""
        chosen = [
            one
            for one in self._workloads
            if system.answers(one) and not self._journal.has(system.name, number, one.name)
        ]
        if not chosen:
            return
        self._say(f"round {number}: {system.title}")
        try:
            system.start(chosen)
            for workload in chosen:
                self._say(f"round {number}: {system.title} · {workload.name}")
                try:
                    self._journal.add(self.cell(system, workload, number))
                except ServerFailed as error:
                    self._journal.add(Failure(system.name, workload.name, number, str(error)))
                    self._say(f"[red]{system.title} · {workload.name}: {error}")
        except ServerFailed as error:
            for workload in chosen:
                self._journal.add(Failure(system.name, workload.name, number, str(error)))
            self._say(f"[red]{system.title}: {error}")
        finally:
            system.stop()

    def cell(self, system: System, workload: Workload, number: int) -> Cell:
        """Measure one workload on a system that runs."""
        target = system.target(workload)
        self._check_answer(target, workload)
        order_seconds = self._lengths.measure
        load = self._offer(target, workload, self._lengths.warmup, order_seconds, number)
        outcome = load.outcome
        answered = len(outcome.answered)
        if not answered:
            raise ServerFailed(f"no call was answered: {outcome.sample_errors}")
        # A peer's memory is that of one server for all models; ours is the sum over the services.
        memory = [load.peak, *(other.tree.memory() for other in system.processes if other is not target.process)]
        p50, p90, p99 = numpy.percentile(outcome.answered, [50, 90, 99]).tolist()
        return Cell(
            system=system.name,
            workload=workload.name,
            round=number,
            rate=answered / outcome.seconds,
            processor_microseconds=load.processor_seconds / answered * 1e6,
            generator_microseconds=outcome.processor_seconds / answered * 1e6,
            generator_share=outcome.processor_seconds / outcome.seconds / cores(),
            latency=(p50, p90, p99),
            errors={code: len(times) for code, times in outcome.refused.items()},
            resident_bytes=sum(one.resident for one in memory),
            proportional_bytes=sum(one.proportional for one in memory),
        )

    def _try_settings(self, peer: Peer, chosen: Sequence[Workload]) -> None:
        for workload in chosen:
            # One workload at a time: with all models under all settings at once, Triton runs out of something.
            peer.start([workload])
            for setting in peer.settings[workload.name]:
                target = peer.target_with(workload, setting)
                self._check_answer(target, workload)
                load = self._offer(target, workload, self._lengths.tuning / 2, self._lengths.tuning, 0)
                answered = max(1, len(load.outcome.answered))
                rate, used = answered / load.outcome.seconds, load.processor_seconds / answered * 1e6
                self._journal.add(Trial(peer.name, workload.name, asdict(setting), setting.words(), rate, used))
            peer.stop()

    def _offer(self, target: Target, workload: Workload, warmup: float, seconds: float, seed: int) -> Load:
        with tempfile.TemporaryDirectory(prefix="marquee-benchmark-") as folder:
            files = write_requests(Path(folder), workload.requests(target.model_name))
            order = Order(
                address=target.process.address,
                calls=[(workload.method, str(file), 1.0) for file in files],
                callers=self._lengths.callers,
                warmup_seconds=warmup,
                seconds=seconds,
                seed=seed,
            )
            return offer(order, target.process.tree)

    def _check_answer(self, target: Target, workload: Workload) -> None:
        if not target.checked:
            return
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(target.process.address, options=options) as channel:
            try:
                call: Any = channel.unary_unary(workload.method)
                answer: bytes = call(workload.requests(target.model_name)[0], timeout=30)
            except grpc.RpcError as error:
                raise ServerFailed(f"{error.code().name}: {error.details()}") from error
        found, expected = read_answer(workload, answer), self._expected[workload.name]
        difference = float(numpy.abs(found - expected[: len(found)]).max()) if len(found) else float("inf")
        if difference > _MOST_DIFFERENCE:
            raise WrongAnswer(f"the answer differs by {difference:.3g} from the model's own")


def cores() -> int:
    """Return the processors this process may use."""
    return len(os.sched_getaffinity(0))


def _expected(workload: Workload) -> numpy.typing.NDArray[numpy.float32]:
    session = open_session(workload)
    outputs = [one.name for one in session.get_outputs()]
    first = workload.model.manifest["outputs"][0]["name"]
    found = session.run(outputs, dict(workload.tensors[0]))[outputs.index(first)][0]
    # A typed answer lists the best labels first.
    return numpy.sort(found)[::-1] if workload.method == CLASSIFY_IMAGE else found


def _narrow(peer: Peer, chosen: Sequence[Workload], journal: Journal) -> None:
    for workload in chosen:
        tried = [one for one in journal.trials if (one.system, one.workload) == (peer.name, workload.name)]
        if tried:
            best = max(tried, key=lambda one: one.rate).setting
            peer.settings[workload.name] = [one for one in peer.settings[workload.name] if asdict(one) == best]
        else:
            peer.settings[workload.name] = peer.settings[workload.name][:1]
