"""A decoder process as its stream sees it: bytes in, messages out, and words for every way in which it can end.

What lies between upload and analysis is bounded: the pipe to the process (64 KiB and what its writer holds, one chunk),
what the process reads ahead, the pipe back (64 KiB), and `_READ_AHEAD_BYTES` twice. When nobody takes messages, all of
it fills up and the upload stands still.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from services.runtime.logs import get_logger
from services.vision.video.decoding.messages import (
    LENGTHS,
    MAXIMUM_HEADER_BYTES,
    MAXIMUM_PIXEL_BYTES,
    Ended,
    MalformedMessage,
    Message,
    decode,
)
from services.vision.video.process import Process

if TYPE_CHECKING:
    from services.vision.video.decoding.options import DecodingOptions

_READ_AHEAD_BYTES = 1 << 20
_LOOK_SECONDS = 0.5
_MODULE = "services.vision.video.decoding"
_logger = get_logger(__name__)


def is_decoder_installed() -> bool:
    """Return whether this environment can decode video (extra `video`); FFmpeg is not loaded to find out."""
    return importlib.util.find_spec("av") is not None


class DecoderPool:
    """Counts the decoder processes of a service.

    Args:
        maximum: most at the same time.
        hung_seconds: silence after which one that has work to do counts as hung.
    """

    def __init__(self, maximum: int, hung_seconds: float) -> None:
        self.maximum = maximum
        self.hung_seconds = hung_seconds
        self.running = 0
        self._ends: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        """Whether no further process may be started."""
        return self.running >= self.maximum

    async def start(self, options: DecodingOptions, file: int | None = None) -> Decoder:
        """Start a process.

        Args:
            options: its work.
            file: descriptor of the video, for one that is on disk; None opens a pipe to `Decoder.feed`.
        """
        self.running += 1
        try:
            process = await Process.start(
                [sys.executable, "-P", "-m", _MODULE, options.to_argument()],
                # Nothing of the service's own environment, which holds keys.
                {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part), "LC_ALL": "C.UTF-8"},
                file,
                _READ_AHEAD_BYTES,
            )
        except BaseException:
            self.running -= 1
            raise
        return Decoder(process, self)

    def released(self, process: Process) -> None:
        """End a process that its stream has left, and count it out once it is gone."""
        process.close()
        end = asyncio.create_task(self._reap(process))
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)

    async def _reap(self, process: Process) -> None:
        try:
            await process.wait()
        finally:
            self.running -= 1


class Decoder:
    """One process. `close` ends it, whatever it is doing."""

    def __init__(self, process: Process, pool: DecoderPool) -> None:
        self._process = process
        self._pool = pool
        self._closed = False
        # Since when it owes an answer: bytes wait for it, or it has them all. None while it may wait for bytes.
        self._owes_since: float | None = None if process.stdin else time.monotonic()
        self._heard = time.monotonic()
        self._time = 0.0
        self._decoded = 0

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    async def feed(self, chunk: bytes) -> None:
        """Hand over the next bytes; returns when there is room for more. Bytes for an ended process are dropped."""
        writer = self._process.stdin
        assert writer is not None
        # The event loop that serves (uvloop) does not take bytes for a pipe that is closed, and raises.
        if writer.is_closing():
            return
        self._owes_since = time.monotonic()
        with contextlib.suppress(ConnectionError):
            writer.write(chunk)
            await writer.drain()
        self._owes_since = None

    def end_of_input(self) -> None:
        """Say that no more bytes will come."""
        writer = self._process.stdin
        assert writer is not None
        writer.close()
        self._owes_since = time.monotonic()

    async def next_message(self) -> Message:
        """Wait for the next message; `Ended` is the last, also of a process that says nothing any more."""
        try:
            lengths = await self._read(LENGTHS.size)
            header_length, pixel_length = LENGTHS.unpack(lengths)
            if header_length > MAXIMUM_HEADER_BYTES or pixel_length > MAXIMUM_PIXEL_BYTES:
                return self._broken("DECODER_FAILED", "the decoder lost its way in the video")
            header = await self._read(header_length)
            message = decode(header, await self._read(pixel_length) if pixel_length else b"")
        except asyncio.IncompleteReadError:
            return await self._explain()
        except MalformedMessage:
            return self._broken("DECODER_FAILED", "the decoder lost its way in the video")
        except TimeoutError:
            seconds = self._pool.hung_seconds
            return self._broken("DECODER_HUNG", f"the decoder made no progress for {seconds:g} s and was ended")
        if isinstance(message, Ended):
            return message
        with contextlib.suppress(AttributeError):
            self._time = max(self._time, message.time)  # type: ignore[union-attr]
            self._decoded = message.decoded_frames  # type: ignore[union-attr]
        return message

    def close(self) -> None:
        """End the process if it runs."""
        if not self._closed:
            self._closed = True
            self._pool.released(self._process)

    async def _read(self, size: int) -> bytes:
        reader = self._process.stdout
        started = time.monotonic()
        while True:
            try:
                # Bytes stay in the reader until all are there, so a wait that is given up loses none.
                content = await asyncio.wait_for(reader.readexactly(size), _LOOK_SECONDS)
            except TimeoutError:
                owes, now = self._owes_since, time.monotonic()
                if owes is not None and now - max(owes, self._heard, started) > self._pool.hung_seconds:
                    raise
            else:
                self._heard = time.monotonic()
                return content

    async def _explain(self) -> Ended:
        """Say why the process is gone without a last word."""
        status = None
        with contextlib.suppress(TimeoutError):
            status = await self._process.wait(self._pool.hung_seconds)
        _logger.warning("video decoder ended", status=status, seconds=round(self._time, 3))
        if status == -signal.SIGKILL:
            return self._broken(
                "DECODER_OUT_OF_MEMORY", "the decoder was ended by the system, most likely for its memory"
            )
        if status in (-signal.SIGXCPU, -signal.SIGALRM):
            return self._broken("DECODER_TOO_SLOW", "the video takes more processor time than a decoder may use")
        return self._broken("DECODER_CRASHED", "the decoder crashed in the video")

    def _broken(self, reason: str, message: str) -> Ended:
        return Ended(self._time, self._decoded, reason, message)
