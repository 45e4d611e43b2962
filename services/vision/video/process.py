"""A program beside the service, with its pipes in the event loop.

Not by the event loop's own means: uvloop forks the whole service, and what gRPC and Python do in the copy before it
becomes the program can crash it, rarely. Here the copy is none (`vfork`), and nothing runs in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Mapping, Sequence


class Process:
    """A running program. `kill` ends it, and `wait` says how it ended.

    Attributes:
        pid: its number.
        stdin: takes its input; None where that is a file.
        stdout: what it says.
    """

    def __init__(
        self, program: subprocess.Popen[bytes], stdin: asyncio.StreamWriter | None, stdout: asyncio.StreamReader
    ) -> None:
        self.pid = program.pid
        self.stdin = stdin
        self.stdout = stdout
        self._program = program
        self._output: asyncio.ReadTransport | None = None

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], file: int | None, read_ahead_bytes: int
    ) -> Process:
        """Start a program; what it writes to standard error is dropped.

        Args:
            command: its path and arguments.
            environment: all of its variables.
            file: descriptor of its standard input; None opens a pipe.
            read_ahead_bytes: half of what is read of its output before anybody asks.
        """
        program = subprocess.Popen(  # noqa: ASYNC220  # milliseconds; a thread's could not be undone by who leaves
            command,
            bufsize=0,
            stdin=subprocess.PIPE if file is None else file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        process = cls(program, None, asyncio.StreamReader(read_ahead_bytes))
        try:
            await process._connect()
        except BaseException:
            await process.end()
            raise
        return process

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(self.stdout)
        self._output, _ = await loop.connect_read_pipe(lambda: protocol, self._program.stdout)
        if self._program.stdin is not None:
            flow = asyncio.streams.FlowControlMixin()
            transport, _ = await loop.connect_write_pipe(lambda: flow, self._program.stdin)
            self.stdin = asyncio.StreamWriter(transport, flow, None, loop)

    async def wait(self, seconds: float | None = None) -> int:
        """Return its exit status, negative for the signal that ended it.

        Raises:
            TimeoutError: it still runs.
        """
        try:
            return await asyncio.to_thread(self._program.wait, seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error

    async def end(self) -> None:
        """Kill it, close its pipes, and return once it is gone."""
        self.close()
        await self.wait()

    def close(self) -> None:
        """Kill it and close its pipes."""
        with contextlib.suppress(ProcessLookupError):
            self._program.kill()
        for transport in (self._output, self.stdin):
            if transport is not None:
                transport.close()
        # Where they did not get as far as the event loop; those that did belong to it.
        for pipe, transport in ((self._program.stdout, self._output), (self._program.stdin, self.stdin)):
            if pipe is not None and transport is None:
                pipe.close()
