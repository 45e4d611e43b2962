"""Finds free ports, and says who has a taken one."""

from __future__ import annotations

import contextlib
import socket

import psutil


class PortTaken(RuntimeError):
    """A port that a service needs is in use."""


def free_ports(host: str, count: int) -> list[int]:
    """Return `count` ports that nobody uses at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((host, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def check_port(host: str, port: int, service: str) -> None:
    """Raise `PortTaken` when the port cannot be listened on; the message names who has it, where that may be known."""
    with socket.socket() as probe:
        # As the service itself will: without it, connections that closed a moment ago would look like a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(f"port {port} of the {service} service is taken{_owner(port)}") from error


def listening_process(port: int) -> psutil.Process | None:
    """Return the process of this machine that listens on a port; None where nobody does or it may not be known."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid:
                return psutil.Process(connection.pid)
    except psutil.Error:
        pass
    return None


def _owner(port: int) -> str:
    process = listening_process(port)
    with contextlib.suppress(psutil.Error):
        return f" by process {process.pid} ({process.name()})" if process is not None else ""
    return ""
