"""Calls a mesh from inside its network, as a backend does, until it is stopped; writes a line of JSON each second.

The trainer's image has all it needs: the test gives this file to `python -c`. Each line holds the counts since the
start, so that the last line of the log is the report. Variables: MARQUEE_TARGET and MARQUEE_TLS_* as for the
`marquee` command; LOAD_RATE, calls a second; LOAD_SECONDS, after which it ends by itself; LOAD_DEADLINE_SECONDS of
each call, the client's own retries included; LOAD_METHODS, which of `calls_of` to make, in turn.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import sys
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from marquee.entertainment.v1 import content_service_pb2 as content_pb
from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import media_service_pb2 as media_pb
from marquee_client import AsyncMarqueeClient, MarqueeError, Tls

METHODS = ("recommend", "moderate_text", "analyze_text", "analyze_image", "write_events")
_EXAMPLES = 5
_USERS = 20
_NEVER = 86_400.0


def picture() -> bytes:
    """Return a small PNG of coloured squares."""
    width = height = 64
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 4, y * 4, 128 if (x // 8 + y // 8) % 2 else 32)) for x in range(width))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


class Load:
    """Sends calls at fixed times, whether or not earlier ones have come back.

    Args:
        client: of the orchestrators.
        deadline: seconds that a call may take, retries included.

    Attributes:
        writer: user whose events it writes.
    """

    def __init__(self, client: AsyncMarqueeClient, deadline: float) -> None:
        self.writer = f"load-{uuid.uuid4().hex[:12]}"
        self._client = client
        self._deadline = deadline
        self._picture = picture()
        self._began = time.monotonic()
        self._number = 0
        self._calls: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._incomplete: Counter[str] = Counter()
        self._acknowledged = 0
        self._slowest = 0.0
        self._last_good = self._longest_gap = 0.0
        self._examples: list[str] = []
        self._running: set[asyncio.Task[None]] = set()

    def calls_of(self) -> dict[str, Callable[[int], Awaitable[Any]]]:
        """Return the kinds of calls: each needs one of the model services, but for `write_events`."""
        client, deadline = self._client, self._deadline
        return {
            "recommend": lambda number: client.recommend(f"user-{number % _USERS}", page_size=5, timeout=deadline),
            "moderate_text": lambda number: client.moderate_text([f"well played, round {number}"], timeout=deadline),
            "analyze_text": lambda number: client.analyze_text(
                [f"The finale was wonderful, take {number}."],
                features=[content_pb.TEXT_FEATURE_SENTIMENT],
                timeout=deadline,
            ),
            "analyze_image": lambda _: client.analyze_image(
                self._picture, features=[media_pb.MEDIA_FEATURE_LABELS], timeout=deadline
            ),
            "write_events": self._write,
        }

    def start(self, method: str) -> None:
        """Begin one call."""
        self._number += 1
        task = asyncio.create_task(self._call(method, self._number))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def finish(self) -> None:
        """Wait for the calls that have not come back."""
        await asyncio.gather(*self._running)

    def report(self, *, done: bool = False) -> str:
        """Return what happened since the start."""
        now = time.monotonic()
        return json.dumps(
            {
                "seconds": round(now - self._began, 2),
                "calls": dict(self._calls),
                "failed": dict(self._failed),
                "incomplete": dict(self._incomplete),
                "in_flight": len(self._running),
                "acknowledged": self._acknowledged,
                "slowest_seconds": round(self._slowest, 3),
                "longest_gap_seconds": round(max(self._longest_gap, now - self._began - self._last_good), 2),
                "examples": self._examples,
                "writer": self.writer,
                "done": done,
            }
        )

    async def _call(self, method: str, number: int) -> None:
        began = time.monotonic()
        try:
            answer = await self.calls_of()[method](number)
        except MarqueeError as error:
            self._failed[method] += 1
            if len(self._examples) < _EXAMPLES:
                self._examples.append(f"{method} {error.code.name} {error.reason}: {error.message}"[:300])
        else:
            if getattr(answer, "degraded", False):
                self._incomplete[method] += 1
            good = time.monotonic() - self._began
            self._longest_gap = max(self._longest_gap, good - self._last_good)
            self._last_good = good
        self._calls[method] += 1
        self._slowest = max(self._slowest, time.monotonic() - began)

    async def _write(self, number: int) -> Any:
        event = event_pb.Event(
            event_id=f"{self.writer}-{number}",
            user_id=self.writer,
            item_id=f"item-{number % 40}",
            kind=event_pb.EVENT_KIND_VIEW,
        )
        event.event_time.GetCurrentTime()
        written = await self._client.write_events([event], timeout=self._deadline)
        self._acknowledged += 1
        return written


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def run() -> None:
    """Send calls until a signal to stop, or for as long as LOAD_SECONDS says."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    rate = float(os.environ.get("LOAD_RATE", "20"))
    seconds = float(os.environ.get("LOAD_SECONDS", str(_NEVER)))
    methods = os.environ.get("LOAD_METHODS", ",".join(METHODS)).split(",")
    files = [os.environ.get(f"MARQUEE_TLS_{name}_FILE") for name in ("CA", "CERTIFICATE", "KEY")]
    tls = Tls(files[0], files[1], files[2]) if any(files) else None
    client = AsyncMarqueeClient(os.environ["MARQUEE_TARGET"], tls=tls)
    load = Load(client, float(os.environ.get("LOAD_DEADLINE_SECONDS", "10")))
    began = time.monotonic()
    sent, told = 0, 0.0
    while not stop.is_set() and time.monotonic() - began < seconds:
        load.start(methods[sent % len(methods)])
        sent += 1
        if time.monotonic() - told >= 1:
            told = time.monotonic()
            say(load.report())
        pause = began + sent / rate - time.monotonic()
        try:
            await asyncio.wait_for(stop.wait(), max(pause, 0))
        except TimeoutError:
            continue
    await load.finish()
    say(load.report(done=True))
    await client.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
