"""Notices engines that hang: a run that does not end, or a known request that does not come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.runtime.batching.lane import ModelIdentity
from services.runtime.data_plane import DataPlane
from services.runtime.errors import ServiceError
from services.runtime.logs import get_logger
from services.runtime.pipeline import Pipeline, Prepared
from services.runtime.repository.loader import LoadedModel
from services.runtime.request_context import Priority, RequestContext, enter_request

# Its requests are no tenant's: usage and metrics show them under this name.
NAME = "watchdog"
_IDENTITY = ModelIdentity(NAME, "")
_TICK_SECONDS = 1.0
_logger = get_logger(__name__)

Tensors = Mapping[str, Any]


class Canary(Pipeline[Tensors, Tensors, Tensors, None]):
    """Runs a model on its first golden case, through the queue and the engines like any request."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model

    def prepare(self, request: Tensors) -> Prepared[Tensors]:
        """Take the tensors as they are."""
        return Prepared([request], cost=1)

    def run(self, batch: Tensors) -> Tensors:
        """Run the model once."""
        return self._model.onnx.run(batch)

    def finish(self, prepared: Prepared[Tensors], outputs: Sequence[Tensors]) -> None:
        """Say nothing: what counts is that it came back."""


class Watchdog:
    """Looks at the engines every second and sends a canary through them now and then.

    Args:
        plane: the engines.
        model: returns the model to send the canary to; None when nothing serves.
        verdict: called with what is wrong, and with an empty text when all is well again.
        every_seconds: time between canaries while all is well; one goes out every second while it is not.
        limit_seconds: how long a run, or a canary's way there and back, may take.
        tick_seconds: time between looks.
    """

    def __init__(
        self,
        plane: DataPlane,
        model: Callable[[], LoadedModel | None],
        verdict: Callable[[str], None],
        *,
        every_seconds: float,
        limit_seconds: float,
        tick_seconds: float = _TICK_SECONDS,
    ) -> None:
        self._plane = plane
        self._model = model
        self._verdict = verdict
        self._every = every_seconds
        self._limit = limit_seconds
        self._tick = tick_seconds
        self._canary: asyncio.Task[None] | None = None
        self._sent = time.monotonic()
        self._lost = ""
        self._problem = ""

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._tick)
                self.look()
        finally:
            if self._canary is not None:
                self._canary.cancel()

    def look(self) -> None:
        """Look once, send a canary when it is time, and tell when the verdict changed."""
        now = time.monotonic()
        self._follow_canary(now)
        if self._canary is None and (now - self._sent >= self._every or self._problem):
            model = self._model()
            # Without a model there is nothing to ask, and nothing to hang.
            self._lost = "" if model is None else self._lost
            if model is not None:
                self._sent = now
                self._canary = asyncio.create_task(self._send(model))
        problem = self._hung_engine(now) or self._lost
        if bool(problem) != bool(self._problem):
            (_logger.error if problem else _logger.info)("watchdog", reason=problem or "the engines answer again")
            self._verdict(problem)
        self._problem = problem

    async def _send(self, model: LoadedModel) -> None:
        enter_request(RequestContext(tenant=NAME))
        await self._plane.infer(Canary(model), model.sample, model=_IDENTITY, priority=Priority.HIGH)

    def _follow_canary(self, now: float) -> None:
        canary = self._canary
        if canary is None:
            return
        if not canary.done():
            if now - self._sent > self._limit:
                self._lost = f"a known request has not come back for {now - self._sent:.0f} s"
            return
        self._canary = None
        error = None if canary.cancelled() else canary.exception()
        if error is None:
            self._lost = ""
        elif not isinstance(error, ServiceError):
            _logger.error("canary failed", exc_info=error)
            self._lost = "a known request failed; the service's log says why"
        # A refusal for overload says nothing about the engines.

    def _hung_engine(self, now: float) -> str:
        longest = max((now - since for since in self._plane.busy_since() if since is not None), default=0.0)
        return f"an engine has been busy with one run for {longest:.0f} s" if longest > self._limit else ""
