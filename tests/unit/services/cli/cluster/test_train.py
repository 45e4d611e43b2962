from __future__ import annotations

import threading

from tests.support.kubernetes_api import FakeCluster, Fault, Object, Place
from tests.support.kubernetes_objects import fill, labels
from tests.unit.services.cli.conftest import Run

JOBS = "/apis/batch/v1/namespaces/media/jobs"
PODS = "/api/v1/namespaces/media/pods"
AT = "2026-11-29T06:00:0{}.000000000Z {}"


def job_pod(job: str, phase: str, exit_code: int | None = None) -> Object:
    state = {"running": {}} if exit_code is None else {"terminated": {"exitCode": exit_code, "reason": "Error"}}
    image = "registry.example.com/marquee-trainer:0.7.0"
    status = {"name": "trainer", "image": image, "imageID": image, "ready": False, "restartCount": 0, "state": state}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{job}-x", "labels": {**labels("trainer"), "batch.kubernetes.io/job-name": job}},
        "spec": {"containers": [{"name": "trainer", "image": image}]},
        "status": {"phase": phase, "containerStatuses": [status]},
    }


def run_jobs(cluster: FakeCluster, exit_code: int, *, drop: bool = False) -> list[Object]:
    """Do what the Job controller and the node do."""
    made: list[Object] = []

    def work(job: Object) -> None:
        name = job["metadata"]["name"]
        cluster.put(PODS, job_pod(name, "Running"))
        cluster.say(f"{name}-x", AT.format(1, "reading"), AT.format(2, "fitting"))
        if drop:
            threading.Event().wait(0.3)
            cluster.drop_watches()
        cluster.say(f"{name}-x", AT.format(3, "done"))
        cluster.end_log(f"{name}-x")
        cluster.put(PODS, job_pod(name, "Succeeded" if exit_code == 0 else "Failed", exit_code))
        kind, reason = ("Complete", "CompletionsReached") if exit_code == 0 else ("Failed", "BackoffLimitExceeded")
        condition = {"type": kind, "status": "True", "reason": reason}
        cluster.put(JOBS, {**job, "status": {"conditions": [condition]}})

    def after(verb: str, place: Place, found: Object) -> None:
        if place.resource == "jobs":
            made.append(found)
            threading.Timer(0.2, work, (found,)).start()

    cluster.after = after
    return made


def test_the_job_comes_from_the_cron_job_and_its_log_is_followed(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    made = run_jobs(cluster, 0, drop=True)
    result = run("cluster", "train", "--with", "boosted", "--evaluate")
    assert result.exit_code == 0, result.output
    assert [result.output.count(word) for word in ("reading", "fitting", "done\n")] == [1, 1, 1]
    (job,) = made
    assert job["metadata"]["name"].startswith("marquee-train-20")
    assert job["metadata"]["ownerReferences"][0]["name"] == "marquee-train"
    assert job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["train", "--evaluate", "--with", "boosted"]


def test_the_exit_code_is_that_of_the_container(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    run_jobs(cluster, 3)
    result = run("cluster", "train")
    assert result.exit_code == 3
    assert "done" in result.output
    assert "BackoffLimitExceeded" in result.output
    assert "Error with exit code 3" in result.output


def test_not_followed(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    result = run("cluster", "train", "--no-follow")
    assert result.exit_code == 0
    assert "kubectl logs --namespace media --follow job/marquee-train-" in result.output


def test_a_busy_server_makes_one_job(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    cluster.faults = [Fault("/jobs", 429, method="POST", headers={"Retry-After": "0"})]
    assert run("cluster", "train", "--no-follow").exit_code == 0
    assert cluster.count("POST", "/jobs") == 2


def test_words_that_are_no_names_do_not_reach_the_cluster(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    assert run("cluster", "train", "--with", "--even-if-worse").exit_code == 2
    assert run("cluster", "train", "--with", "a b").exit_code == 2
    assert cluster.count("POST", "/jobs") == 0


def test_training_that_is_switched_off(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    cluster.remove("/apis/batch/v1/namespaces/media/cronjobs/marquee-train")
    result = run("cluster", "train")
    assert result.exit_code == 1
    assert "--set trainer.enabled=true" in result.output
