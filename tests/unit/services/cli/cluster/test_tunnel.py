from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from services.cli.cluster.api import ClusterApi
from services.cli.cluster.tunnel import Tunnel
from services.cli.failures import CommandFailed
from tests.support.kubernetes_api import FakeCluster
from tests.support.kubernetes_objects import pod

PODS = "/api/v1/namespaces/media/pods"


class Echo(socketserver.StreamRequestHandler):
    """Answers each line with the port it came to."""

    def handle(self) -> None:
        port = self.request.getsockname()[1]
        for line in self.rfile:
            self.wfile.write(f"{port} ".encode() + line)


@pytest.fixture
def echoes() -> Iterator[list[int]]:
    servers = [socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) for _ in range(2)]
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield [int(server.server_address[1]) for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def ready(cluster: FakeCluster, echoes: list[int]) -> FakeCluster:
    for number, port in enumerate(echoes):
        cluster.put(PODS, pod("text", number))
        cluster.ports[f"marquee-text-{number}", 7] = port
    return cluster


def first_pod() -> tuple[str, str]:
    return "media", "marquee-text-0"


def exchange(tunnel: Tunnel, content: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", tunnel.local_port), 10) as link:
        link.sendall(content)
        link.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: link.recv(1 << 16), b""))


def test_the_answer_comes_through_after_the_caller_has_ended(
    ready: FakeCluster, api: ClusterApi, echoes: list[int]
) -> None:
    with Tunnel(api, first_pod, 7) as tunnel, socket.create_connection(("127.0.0.1", tunnel.local_port), 10) as link:
        link.sendall(b"hello\n")
        link.shutdown(socket.SHUT_WR)
        assert link.recv(100) == f"{echoes[0]} hello\n".encode()


def test_many_connections_at_once_and_much_content(ready: FakeCluster, api: ClusterApi, echoes: list[int]) -> None:
    line = b"x" * 300_000 + b"\n"
    answers: list[bytes] = []

    def talk() -> None:
        with socket.create_connection(("127.0.0.1", tunnel.local_port), 30) as link:
            link.sendall(line)
            with link.makefile("rb") as file:
                answers.append(file.readline())

    with Tunnel(api, first_pod, 7) as tunnel:
        threads = [threading.Thread(target=talk) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [f"{echoes[0]} ".encode() + line] * 6


def test_when_the_pod_is_gone_the_next_connection_reaches_another(
    ready: FakeCluster, api: ClusterApi, echoes: list[int]
) -> None:
    pods = ["marquee-text-0", "marquee-text-1"]
    with Tunnel(api, lambda: ("media", pods[0]), 7) as tunnel:
        with socket.create_connection(("127.0.0.1", tunnel.local_port), 10) as link:
            link.sendall(b"a\n")
            assert link.recv(100) == f"{echoes[0]} a\n".encode()
            pods.pop(0)
            ready.break_links()
            assert link.recv(100) == b""
        with socket.create_connection(("127.0.0.1", tunnel.local_port), 10) as link:
            link.sendall(b"b\n")
            assert link.recv(100) == f"{echoes[1]} b\n".encode()


def test_a_port_that_nobody_listens_on(ready: FakeCluster, api: ClusterApi) -> None:
    with Tunnel(api, first_pod, 8) as tunnel:
        assert exchange(tunnel, b"") == b""
        assert "marquee-text-0, port 8" in str(tunnel.failure)
        assert "connection refused" in str(tunnel.failure)


def test_no_right_and_no_pod_are_told(ready: FakeCluster, api: ClusterApi) -> None:
    said: list[str] = []
    with Tunnel(api, lambda: ("media", "nobody"), 7, tell=said.append) as tunnel:
        assert exchange(tunnel, b"") == b""
    assert said == ["there is no pod nobody in namespace media"]
    ready.denied = {("get", "pods/portforward")}
    with Tunnel(api, first_pod, 7) as tunnel:
        assert exchange(tunnel, b"") == b""
    assert str(tunnel.failure) == "no right to get pods/portforward in namespace media"


def test_a_choice_that_fails_ends_the_connection(ready: FakeCluster, api: ClusterApi) -> None:
    def nobody() -> tuple[str, str]:
        raise CommandFailed("no pod of text is ready")

    with Tunnel(api, nobody, 7) as tunnel:
        assert exchange(tunnel, b"") == b""
    assert str(tunnel.failure) == "no pod of text is ready"
