"""One log line for a finished call, where the settings want one."""

from __future__ import annotations

import time
from typing import Literal, TypeAlias

import grpc

from services.runtime.logs import get_logger

Mode: TypeAlias = Literal["all", "slow", "failures"]
_OK = grpc.StatusCode.OK
_NO_WARNING = (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED)


class AccessLog:
    """Logs finished calls; whoever calls it for a call that needs no line pays a comparison.

    Args:
        mode: which calls get a line: all, those that failed or were slow, or those that failed.
        slow_seconds: from which duration a call is slow.
        lines_a_second: most lines within one second, for the modes that do not promise all: a service that refuses
            thousands of calls must not spend its time on saying so. How many were left out is logged too; 0 for no
            limit.
    """

    __slots__ = ("_all", "_begin", "_left_out", "_lines", "_logger", "_most", "_slow")

    def __init__(self, mode: Mode = "all", slow_seconds: float = 1.0, lines_a_second: int = 100) -> None:
        self._all = mode == "all"
        self._slow = slow_seconds if mode == "slow" else float("inf")
        self._most = 0 if self._all else lines_a_second
        self._begin = 0.0
        self._lines = 0
        self._left_out = 0
        self._logger = get_logger(__name__)

    def finished(
        self,
        method: str,
        code: grpc.StatusCode,
        seconds: float,
        request_id: str,
        reason: str = "",
        message: str = "",
    ) -> None:
        """Note a finished call: with what code, after how long, and for a failure the reason and message of its
        answer.
        """
        if code is _OK and seconds < self._slow and not self._all:
            return
        if self._most and not self._may_log():
            return
        milliseconds = round(seconds * 1000, 3)
        log = self._logger.info if code in _NO_WARNING else self._logger.warning
        if code is _OK:
            log("call", request_id=request_id, method=method, code="OK", milliseconds=milliseconds)
            return
        log(
            "call",
            request_id=request_id,
            method=method,
            code=code.name,
            reason=reason,
            message=message,
            milliseconds=milliseconds,
        )

    def _may_log(self) -> bool:
        now = time.monotonic()
        if now - self._begin >= 1.0:
            left_out, self._left_out = self._left_out, 0
            self._begin, self._lines = now, 0
            if left_out:
                self._logger.warning("calls without a line of their own", count=left_out)
        self._lines += 1
        if self._lines <= self._most:
            return True
        self._left_out += 1
        return False
