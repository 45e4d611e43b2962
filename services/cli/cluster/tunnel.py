"""A local TCP port that leads to a pod, through the API server.

Each accepted connection gets a WebSocket of its own to a pod chosen then, so that whoever connects again after a pod
is gone reaches another one.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from services.cli.cluster.api import ClusterApi
from services.cli.failures import CommandFailed

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_PIECE_BYTES = 32 << 10
_BLOCKED_SECONDS = 30.0
_HALF_CLOSED_SECONDS = 10.0
_LOOK_SECONDS = 0.5

PickPod = Callable[[], tuple[str, str]]
"""Returns namespace and name of the pod that the next connection goes to."""


class Tunnel:
    """Listens on a port of this machine and leads each connection to a pod.

    Args:
        api: the cluster.
        pick: chooses the pod for a connection; may raise `CommandFailed`.
        port: port of the pod.
        local_port: port to listen on; 0 takes a free one.
        tell: told in a sentence what connects, breaks and fails.

    Attributes:
        failure: why the last connection could not be made; None when it could.
    """

    def __init__(
        self,
        api: ClusterApi,
        pick: PickPod,
        port: int,
        *,
        local_port: int = 0,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.failure: CommandFailed | None = None
        self._api = api
        self._pick = pick
        self._port = port
        self._tell = tell
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", local_port))
        self._listener.settimeout(_LOOK_SECONDS)

    @property
    def local_port(self) -> int:
        """Port of this machine."""
        return int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
        return f"127.0.0.1:{self.local_port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()  # the threads see it within half a second; nobody has to wait for them
        self._listener.close()

    def _start(self, work: Callable[..., None], *words: Any) -> None:
        threading.Thread(target=work, args=words, name=f"tunnel to port {self._port}", daemon=True).start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                try:
                    caller, _ = self._listener.accept()
                except TimeoutError:
                    raise
                except OSError:  # closed
                    return
                self._start(self._serve, caller)

    def _serve(self, caller: socket.socket) -> None:
        pod = "the pod"
        with caller:
            try:
                namespace, pod = self._pick()
                path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
                link = self._api.websocket(path, {"ports": str(self._port)}, _PROTOCOL)
            except CommandFailed as error:
                self.failure = error
                self._tell(str(error))
                return
            self.failure = None
            self._tell(f"connected to {pod}")
            try:
                said = _relay(caller, link, self._stopping)
            except OSError:  # of the caller, or of the cluster: either way it is over
                said = "the connection broke"
            except Exception as error:  # websocket-client has a dozen, for frames that break the protocol
                said = f"the connection broke: {type(error).__name__}"
            finally:
                with contextlib.suppress(Exception):
                    link.shutdown()
            if said and not self._stopping.is_set():
                self.failure = CommandFailed(f"{pod}, port {self._port}: {said}")
                self._tell(f"{pod}: {said}")


def _relay(caller: socket.socket, link: Any, stopping: threading.Event) -> str:
    """Copy both ways until one side is done; returns what went wrong, if anything did.

    The protocol has no way to say that only one direction ended. After the caller's end the pod's answer still comes
    through, until it pauses for ten seconds.
    """
    caller.settimeout(_BLOCKED_SECONDS)
    link.sock.settimeout(_BLOCKED_SECONDS)
    begun: set[int] = set()
    caller_ended: float | None = None
    poll = select.poll()
    poll.register(link.sock, select.POLLIN)
    poll.register(caller, select.POLLIN)
    while not stopping.is_set():
        decrypted = isinstance(link.sock, ssl.SSLSocket) and link.sock.pending()
        ready = {number for number, _ in poll.poll(0 if decrypted else _LOOK_SECONDS * 1000)}
        if caller.fileno() in ready:
            content = caller.recv(_PIECE_BYTES)
            if content:
                link.send_binary(bytes([_DATA]) + content)
            else:
                poll.unregister(caller)
                caller_ended = time.monotonic()
        if decrypted or link.sock.fileno() in ready:
            opcode, frame = link.recv_data_frame(True)
            if opcode == _opcodes().OPCODE_CLOSE:
                return ""
            if opcode != _opcodes().OPCODE_BINARY or not frame.data:
                continue
            channel, content = frame.data[0], frame.data[1:]
            if channel not in begun:  # the first frame of each channel repeats the port
                begun.add(channel)
            elif channel == _ERROR:
                return bytes(content).decode(errors="replace").strip()
            else:
                caller.sendall(content)
                caller_ended = caller_ended and time.monotonic()
        if caller_ended is not None and time.monotonic() - caller_ended > _HALF_CLOSED_SECONDS:
            return ""
    return ""


def _opcodes() -> Any:
    import websocket

    return websocket.ABNF
