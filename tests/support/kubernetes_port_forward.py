"""The server's side of a forwarded port: RFC 6455 frames with the channels of `v4.channel.k8s.io`."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.kubernetes_api import FakeCluster

PROTOCOL = "v4.channel.k8s.io"
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE = 2, 8


def forward(handler: BaseHTTPRequestHandler, cluster: FakeCluster, pod: str, port: int) -> None:
    """Lead a WebSocket to whatever stands for the port of a pod, until either side ends."""
    assert PROTOCOL in handler.headers["Sec-WebSocket-Protocol"].split(",")
    accept = base64.b64encode(hashlib.sha1((handler.headers["Sec-WebSocket-Key"] + _MAGIC).encode()).digest())
    handler.send_response(101)
    handler.send_header("Upgrade", "websocket")
    handler.send_header("Connection", "Upgrade")
    handler.send_header("Sec-WebSocket-Accept", accept.decode())
    handler.send_header("Sec-WebSocket-Protocol", PROTOCOL)
    handler.end_headers()
    handler.close_connection = True
    link, lock = handler.connection, threading.Lock()
    for channel in (0, 1):
        _send(link, lock, bytes([channel]) + struct.pack("<H", port))
    try:
        target = socket.create_connection(("127.0.0.1", cluster.ports[pod, port]))
    except (KeyError, OSError):
        _send(link, lock, b"\x01" + f"error forwarding port {port} to pod {pod}: connection refused".encode())
        return

    def close() -> None:
        for one in (target, link):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def back() -> None:
        with contextlib.suppress(OSError):
            while content := target.recv(1 << 16):
                _send(link, lock, b"\x00" + content)
            _send(link, lock, b"", _CLOSE)
        close()

    cluster.links.append(close)
    thread = threading.Thread(target=back, daemon=True)
    thread.start()
    with contextlib.suppress(OSError, EOFError), target:
        while True:
            opcode, content = _receive(handler)
            if opcode == _CLOSE:
                break
            if opcode == _BINARY and content[0] == 0:
                target.sendall(content[1:])
    close()
    thread.join()


def _send(link: socket.socket, lock: threading.Lock, content: bytes, opcode: int = _BINARY) -> None:
    length = len(content)
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([length])
    elif length < 1 << 16:
        head += bytes([126]) + struct.pack(">H", length)
    else:
        head += bytes([127]) + struct.pack(">Q", length)
    with lock:
        link.sendall(head + content)


def _receive(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
    def read(count: int) -> bytes:
        content = handler.rfile.read(count)
        if len(content) < count:
            raise EOFError
        return content

    first, second = read(2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack(">H", read(2))
    elif length == 127:
        (length,) = struct.unpack(">Q", read(8))
    mask = read(4)
    content = read(length)
    return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
