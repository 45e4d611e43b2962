"""The mesh of the chart's default values, in containers: what the images and the chart together make of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from deploy.images.engine import Engine
from marquee.common.v1.report_pb2 import STEP_OUTCOME_FAILED, STEP_OUTCOME_FALLBACK
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from marquee_client import MarqueeClient
from tests.cluster.small_catalogue import fill
from tests.e2e.containers.mesh import COMPONENTS, ContainerMesh, container_mesh

SERVING_SECONDS = 30
MEMORY_BYTES = 1_200_000_000
_GENERATED_TOKENS = 400
_PATIENCE_SECONDS = 30
# Few: callers give up a connection that is silent for 0.7 s, and the new pods load their models on the same processors.
_CALLS_A_SECOND = "8"
_MOST_INCOMPLETE = 0.05


@pytest.fixture(scope="module")
def mesh(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerMesh]:
    """The mesh, not started: the first test does that and looks at the clock."""
    with container_mesh(engine, tmp_path_factory.mktemp("mesh"), {}) as made:
        yield made


@pytest.fixture
def client(mesh: ContainerMesh) -> Iterator[MarqueeClient]:
    """A client of the orchestrator that runs now."""
    with mesh.client() as connected:
        yield connected


def lost(answer: recommendation_pb.RecommendResponse) -> set[str]:
    """Return the services that an answer had to do without."""
    return {step.service for step in answer.steps if step.outcome in (STEP_OUTCOME_FAILED, STEP_OUTCOME_FALLBACK)}


def wait_until_text_answers(mesh: ContainerMesh) -> None:
    """Wait until the orchestrator has found the text service, which may just have been replaced."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with mesh.client() as client:
        while client.analyze_text(["well done"]).degraded:
            assert time.monotonic() < deadline, "the text service does not answer the orchestrator"
            time.sleep(0.2)


def test_it_serves_soon(busy: str, mesh: ContainerMesh, tell: Callable[[str], None]) -> None:
    seconds = mesh.start()

    each = {name: round(pods[0].ready_seconds or 0, 1) for name, pods in mesh.pods.items()}
    tell(f"all serve after {seconds:.1f} s: {each}")
    # The promise is for a cluster; here the four start on as few processors as there are.
    assert seconds < 2 * SERVING_SECONDS or busy


def test_idle_it_is_small(mesh: ContainerMesh, tell: Callable[[str], None]) -> None:
    memory = mesh.memory_bytes()

    each = {name: f"{size / 1e6:.0f} MB" for name, size in memory.items()}
    tell(f"idle: {sum(memory.values()) / 1e6:.0f} MB: {each}")
    assert sum(memory.values()) <= MEMORY_BYTES


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_pod_can_write_nowhere_but_its_folders(mesh: ContainerMesh, component: str) -> None:
    container = mesh.pods[component][0].container
    look = """
import json, os
def writes(folder):
    try:
        with open(os.path.join(folder, "try"), "w"):
            pass
    except OSError:
        return False
    os.remove(os.path.join(folder, "try"))
    return True
status = dict(line.split(":", 1) for line in open("/proc/1/status").read().splitlines())
print(json.dumps({
    "user": os.getuid(), "capabilities": int(status["CapEff"], 16), "no_new_privileges": int(status["NoNewPrivs"]),
    "writes": [f for f in ("/", "/opt/marquee", "/etc", "/usr", "/run", "/var", "/var/tmp", "/tmp", "/var/lib/marquee",
                           "/var/lib/marquee/bundles") if os.path.isdir(f) and writes(f)],
}))
"""
    found = json.loads(container.exec("python", "-c", look))

    folders = ["/tmp", "/var/lib/marquee"]  # and not the bundles, which a model service only reads
    assert found == {"user": 65532, "capabilities": 0, "no_new_privileges": 1, "writes": folders}


def test_helm_test_passes_before_there_is_a_catalogue(mesh: ContainerMesh) -> None:
    code, log = mesh.run_job(mesh.rendered.test_pod())

    assert code == 0, log
    assert "Recommend answered" in log
    assert "catalogue is empty" in log


def test_the_training_job_makes_a_bundle_that_serves(mesh: ContainerMesh, client: MarqueeClient) -> None:
    fill(client)

    code, log = mesh.run_job(mesh.rendered.training_pod())

    assert code == 0, log
    answer = client.recommend("user-1", page_size=10)
    assert answer.bundle_version
    assert len(answer.items) == 10
    assert not answer.degraded
    assert not lost(answer)
    assert {"classical", "text"} <= {step.service for step in answer.steps}


@pytest.mark.parametrize("component", ["text", "orchestrator"])
def test_a_call_in_flight_outlives_sigterm(mesh: ContainerMesh, component: str) -> None:
    pod = mesh.pods[component][0]
    wait_until_text_answers(mesh)
    tokens: list[str] = []
    begun, errors = threading.Event(), []

    def generate() -> None:
        try:
            with mesh.client() as client:
                for piece in client.generate_text(
                    "The last night of the show", max_tokens=_GENERATED_TOKENS, seed=1, temperature=1.0
                ):
                    tokens.append(piece.text)
                    begun.set()
        except Exception as error:
            errors.append(error)
            begun.set()

    caller = threading.Thread(target=generate)
    caller.start()
    assert begun.wait(_PATIENCE_SECONDS)
    had = len(tokens)
    began = time.monotonic()
    code = pod.end()
    seconds = time.monotonic() - began
    caller.join(_PATIENCE_SECONDS)

    log = pod.container.logs()
    mesh.remove_pod(pod)
    mesh.start_pod(component).wait_ready()
    assert not errors, f"{errors}\n{log[-3000:]}"
    assert len(tokens) > had, "the stream was over before the pod was asked to end"
    assert code == 0, log[-3000:]
    assert seconds < pod.grace_seconds


def test_what_was_stored_survives_the_orchestrator(mesh: ContainerMesh, client: MarqueeClient) -> None:
    # The test before this one has replaced its pod.
    assert len(list(client.list_user_events("user-1"))) == 15
    assert client.serving_bundle().version


def test_a_killed_container_is_missed_and_no_more(mesh: ContainerMesh, client: MarqueeClient) -> None:
    pod = mesh.pods["classical"][0]
    pod.container.kill()
    mesh.remove_pod(pod)

    answer = client.recommend("user-2", page_size=10)
    assert answer.degraded
    assert len(answer.items) == 10
    assert "classical" in lost(answer)

    mesh.start_pod("classical").wait_ready()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (answer := client.recommend("user-2", page_size=10)).degraded:
        assert time.monotonic() < deadline, f"it stays degraded: {lost(answer)}"
        time.sleep(0.2)


def test_replacing_model_services_under_load_loses_no_call(
    busy: str, mesh: ContainerMesh, tell: Callable[[str], None]
) -> None:
    if busy:
        pytest.skip(busy)
    with mesh.load(LOAD_RATE=_CALLS_A_SECOND) as load:
        load.wait_until_it_calls()
        codes = {component: mesh.roll(component) for component in ("text", "vision", "classical")}
        report = load.finish()

    tell(f"three services replaced: {report}")
    assert not report.failed, report.examples
    # One pod's successor is found when the old one says that it ends: a moment's fallback.
    assert sum(report.incomplete.values()) <= _MOST_INCOMPLETE * report.total, report.incomplete
    assert codes == {"text": [0], "vision": [0], "classical": [0]}
