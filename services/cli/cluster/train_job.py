"""The Job that fits a bundle, made from the CronJob that the chart brings."""

from __future__ import annotations

import copy
import datetime
import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus

from services.cli.cluster.api import Object
from services.cli.cluster.refusals import Refused
from services.cli.cluster.release import COMPONENT, Release, name_of
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed

TRAINER = "trainer"
_RUN = "marquee.dev/run"
_LONGEST_NAME = 63  # of a label's value, which the Job's name becomes on its pods
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


@dataclass(frozen=True)
class TrainWishes:
    """What the fit is to do, as in `marquee train`, and how many seconds its Job is kept after its end."""

    evaluate: bool = False
    more: tuple[str, ...] = ()
    even_if_worse: bool = False
    keep_seconds: int = 3600

    @property
    def arguments(self) -> list[str]:
        """Options of `marquee train`.

        Raises:
            CommandFailed: a part has a name that none can have.
        """
        for name in self.more:
            if not _WORD.fullmatch(name):
                raise CommandFailed(f"--with {name!r} names nothing that can be fitted", exit_code=EXIT_WRONG_INPUT)
        options = ["--evaluate"] * self.evaluate + ["--even-if-worse"] * self.even_if_worse
        return options + [word for name in self.more for word in ("--with", name)]


def train_template(release: Release) -> Object:
    """Return the CronJob that fits bundles.

    Raises:
        CommandFailed: the release brings none.
    """
    found = release.objects("cronjobs", "batch/v1", TRAINER)
    if not found:
        raise CommandFailed(
            f"release {release.name} has no CronJob of component {TRAINER}: training is switched off in its values",
            f"Switch it on: helm upgrade {release.name} charts/marquee --namespace {release.namespace} --reuse-values "
            "--set trainer.enabled=true",
        )
    return found[0]


def make_job(template: Object, wishes: TrainWishes) -> Object:
    """Return a Job of a CronJob's template, owned by it, with the wishes as arguments of its container."""
    job = copy.deepcopy(template["spec"]["jobTemplate"])
    metadata = dict(job.get("metadata") or {})
    spec = job["spec"]
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    name = f"{name_of(template)[: _LONGEST_NAME - len(moment) - 1].rstrip('-')}-{moment}"
    labels = {**(template["metadata"].get("labels") or {}), **(metadata.get("labels") or {}), COMPONENT: TRAINER}
    annotations = dict(metadata.get("annotations") or {})
    annotations |= {"cronjob.kubernetes.io/instantiate": "manual", _RUN: secrets.token_hex(8)}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": name_of(template),
        "uid": template["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    spec["ttlSecondsAfterFinished"] = wishes.keep_seconds
    container = spec["template"]["spec"]["containers"][0]
    if wishes.arguments:
        container["args"] = [*(container.get("args") or []), *wishes.arguments]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": annotations, "ownerReferences": [owner]},
        "spec": spec,
    }


def create_job(release: Release, job: Object) -> Object:
    """Create a Job. When an earlier try got through without its answer, that Job is returned.

    Raises:
        CommandFailed: another Job of the same second has the name.
    """
    path = release.path("jobs", "batch/v1")
    try:
        return release.api.create(path, job)
    except Refused as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        there = release.api.get(f"{path}/{name_of(job)}")
        if (there["metadata"].get("annotations") or {}).get(_RUN) == job["metadata"]["annotations"][_RUN]:
            return there
        raise CommandFailed(f"there is a Job {name_of(job)} already", "Try again in a second.") from error
