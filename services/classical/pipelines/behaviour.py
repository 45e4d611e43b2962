"""Behaviour: from event times to features, and from those to what one model says of each user."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from marquee.classical.v1 import classical_service_pb2 as pb
from services.classical.behaviour_features import FEATURES, Floats, behaviour_features, sessions
from services.runtime.pipeline import Pipeline, Prepared, Size
from services.runtime.repository.loader import LoadedModel
from services.runtime.validation import Violations

MAXIMUM_USERS = 256
MAXIMUM_EVENTS = 10_000
DEFAULT_HORIZON_DAYS = 30.0
LONGEST_HORIZON_DAYS = 3_650.0
SHORTEST_HORIZON_DAYS = 0.01
_DAY = 86_400.0


@dataclass(frozen=True)
class BehaviourQuery:
    """Checked users at a moment: features float32[U, F], and which users have any event before it."""

    features: Floats
    known: numpy.typing.NDArray[numpy.bool_]


class BehaviourPipeline(Pipeline[BehaviourQuery, Floats, Floats, Floats]):
    """One behaviour model; its answer is float32[U], not a number for users without events."""

    def __init__(self, model: LoadedModel) -> None:
        self.placement = model.manifest.placement.placement()
        self.max_batch = model.manifest.batching.max_batch
        self.cost_unit = model.manifest.batching.cost_unit
        self.labels = model.labels()
        self._model = model

    def prepare(self, request: BehaviourQuery) -> Prepared[Floats]:
        """Take the users who have events."""
        features = request.features[request.known]
        if not len(features):
            return Prepared([], 0, request.known)
        return Prepared([features], len(features), request.known, [Size(len(features), len(features))])

    def run(self, batch: Floats) -> Floats:
        """Run the model once: float32[B]."""
        return self._model.onnx.run({"features": batch})["value"].astype(numpy.float32)

    def join(self, batches: Sequence[Floats]) -> Floats:
        """Put users of several requests into one run."""
        return numpy.concatenate(batches)

    def split(self, output: Floats, batches: Sequence[Floats]) -> Sequence[Floats]:
        """Return each request's users."""
        return numpy.split(output, numpy.cumsum([len(batch) for batch in batches])[:-1])

    def finish(self, prepared: Prepared[Floats], outputs: Sequence[Floats]) -> Floats:
        """Put the answers into the places of their users."""
        known = numpy.asarray(prepared.state, numpy.bool_)
        values = numpy.full(len(known), numpy.nan, numpy.float32)
        if outputs:
            values[known] = outputs[0]
        return values


def read_query(check: Violations, request: pb.PredictBehaviourRequest) -> tuple[BehaviourQuery, float]:
    """Check a request; returns its users and the horizon in days. What is bad is added to the violations."""
    horizon = request.horizon_days or DEFAULT_HORIZON_DAYS
    check.within("horizon_days", horizon, SHORTEST_HORIZON_DAYS, LONGEST_HORIZON_DAYS)
    usable = check.count("users", request.users, minimum=1, maximum=MAXIMUM_USERS)
    for index, user in enumerate(request.users if usable else []):
        name = f"users[{index}]"
        check.count(f"{name}.event_seconds", user.event_seconds, minimum=1, maximum=MAXIMUM_EVENTS)
        if user.event_values and len(user.event_values) != len(user.event_seconds):
            check.add(
                f"{name}.event_values",
                f"has {len(user.event_values)} entries for {len(user.event_seconds)} times; give as many, or none",
            )
        for field, numbers in (("event_seconds", user.event_seconds), ("event_values", user.event_values)):
            if not all(map(math.isfinite, numbers)):
                check.add(f"{name}.{field}", "holds a number that is not finite")
    check.raise_if_any()
    now = request.now.seconds + request.now.nanos / 1e9 if request.HasField("now") else time.time()
    features = numpy.zeros((len(request.users), len(FEATURES)), numpy.float32)
    known = numpy.zeros(len(request.users), numpy.bool_)
    for index, user in enumerate(request.users):
        times = numpy.array(user.event_seconds, numpy.float64)
        values = numpy.array(user.event_values, numpy.float64) if user.event_values else numpy.ones(len(times))
        past = times <= now
        known[index] = past.any()
        if known[index]:
            features[index] = behaviour_features(sessions(times[past], values[past]), now, horizon * _DAY)
    return BehaviourQuery(features, known), horizon
