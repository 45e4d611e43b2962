"""The pod that calls the mesh from inside its network, made of the pod of `helm test`, and what it reports."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Object = dict[str, Any]

PROGRAM = Path(__file__).with_name("load_program.py")
NAME = "marquee-load"


@dataclass(frozen=True)
class LoadReport:
    """What the callers saw up to a moment.

    Attributes:
        seconds: since the start.
        calls: finished calls by method.
        failed: calls that ended with an error after the client's own retries, by method.
        incomplete: answers that a part is missing from ("degraded"), by method.
        acknowledged: events that were acknowledged as stored.
        slowest_seconds: longest call.
        longest_gap_seconds: longest time without any good answer.
        examples: the first failures.
        writer: user whose events were written.
        done: the program has ended and nothing is in flight.
    """

    seconds: float = 0.0
    calls: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    incomplete: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0
    acknowledged: int = 0
    slowest_seconds: float = 0.0
    longest_gap_seconds: float = 0.0
    examples: tuple[str, ...] = ()
    writer: str = ""
    done: bool = False

    @property
    def total(self) -> int:
        """Finished calls."""
        return sum(self.calls.values())

    def __str__(self) -> str:
        lost = f"{sum(self.failed.values())} failed, {sum(self.incomplete.values())} incomplete"
        return (
            f"{self.total} calls in {self.seconds:.0f} s, {lost}, slowest {self.slowest_seconds:.2f} s, longest time "
            f"without an answer {self.longest_gap_seconds:.2f} s"
        )


def read_report(log: str) -> LoadReport:
    """Return the newest report in a log.

    Raises:
        AssertionError: there is none; the text is the log.
    """
    lines = [line for line in log.splitlines() if line.startswith('{"seconds"') and line.endswith("}")]
    assert lines, f"the load program reported nothing:\n{log}"
    found = json.loads(lines[-1])
    return LoadReport(**{**found, "examples": tuple(found["examples"])})


def load_pod(test_pod: Object, namespace: str, variables: Mapping[str, str], name: str = NAME) -> Object:
    """Return a pod that runs the load program with the image, the address and the certificates of `helm test`.

    Args:
        test_pod: the pod of `helm test`, as the chart renders it.
        namespace: where it goes.
        variables: of the load program.
        name: its name.
    """
    pod = copy.deepcopy(test_pod)
    # Without the release's labels: it is a caller, no part of the mesh.
    pod["metadata"] = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": NAME}}
    spec = pod["spec"]
    spec.pop("activeDeadlineSeconds", None)
    spec["terminationGracePeriodSeconds"] = 30
    spec.pop("serviceAccountName", None)
    container = spec["containers"][0]
    container["command"] = ["python", "-c"]
    container["args"] = [PROGRAM.read_text()]
    container["env"] = [*container["env"], *({"name": key, "value": value} for key, value in variables.items())]
    return pod
