"""The orchestrator's channels with TLS: certificates that are replaced, and files that cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.orchestrator.channels import Channels, Family, tls_files
from services.orchestrator.settings import OrchestratorSettings
from services.runtime.server import ServiceServer
from services.runtime.startup import CannotStart
from tests.support.certificates import Authority, MountedSecret
from tests.support.clients import outcome_of
from tests.support.dummy_model import write_model
from tests.support.dummy_service import DummyService
from tests.support.processes import service_process

REQUEST = pb.ClassifyTextRequest(texts=["x"])
HOLD = pb.ClassifyTextRequest(texts=["hold"])


class Replica:
    """A text service with mutual TLS that holds calls back when told to."""

    def __init__(self, models: Path, secret: MountedSecret) -> None:
        self.held, self.gate = asyncio.Event(), asyncio.Event()
        write_model(models)
        self.dummy = DummyService(
            models,
            tls_certificate_file=secret.certificate,
            tls_key_file=secret.key,
            tls_client_ca_file=secret.authority,
        )
        self.dummy.servicer.script = self._answer
        self.server = ServiceServer(self.dummy.definition(), self.dummy.settings)

    async def _answer(self, request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
        if request == HOLD:
            self.held.set()
            await self.gate.wait()
        return pb.ClassifyTextResponse()


@asynccontextmanager
async def running(models: Path, secret: MountedSecret) -> AsyncIterator[Replica]:
    replica = Replica(models, secret)
    await replica.server.start()
    try:
        yield replica
    finally:
        await replica.server.stop()


class Stubs:
    """What a mesh does with the channels."""

    def __init__(self) -> None:
        self.opened = 0

    def use(self, channels: Mapping[Family, grpc.aio.Channel]) -> None:
        self.opened += 1
        self.text = text_service_pb2_grpc.TextServiceStub(channels["text"])


def settings(secret: MountedSecret) -> OrchestratorSettings:
    return OrchestratorSettings(
        mesh_tls_ca_file=secret.authority,
        mesh_tls_certificate_file=secret.certificate,
        mesh_tls_key_file=secret.key,
    )


async def code(stubs: Stubs, request: Any = REQUEST) -> grpc.StatusCode:
    return (await outcome_of(stubs.text.ClassifyText(request, timeout=20, wait_for_ready=True))).code


async def test_new_authorities_and_certificates_take_over_while_calls_are_in_flight(
    models: Path, tmp_path: Path
) -> None:
    old, new = Authority(), Authority()
    there, here = MountedSecret(tmp_path / "there", old.issue()), MountedSecret(tmp_path / "here", old.issue())
    async with running(models, there) as replica:
        stubs = Stubs()
        address = f"127.0.0.1:{replica.server.port}"
        channels = Channels({"text": address}, tls_files(settings(here)), stubs.use, look_seconds=0.02)
        assert await code(stubs) is grpc.StatusCode.OK
        in_flight = asyncio.create_task(code(stubs, HOLD))
        await replica.held.wait()
        there.put(new.issue())
        assert await code(stubs) is grpc.StatusCode.OK, "the connection that is there stays as it is"
        here.put(new.issue())
        async with asyncio.timeout(20):
            while stubs.opened == 1:
                await asyncio.sleep(0.01)
        assert await code(stubs) is grpc.StatusCode.OK
        assert not in_flight.done()
        replica.gate.set()
        assert await in_flight is grpc.StatusCode.OK
        await channels.close()


async def test_closing_does_not_wait_for_calls_on_channels_that_were_replaced(models: Path, tmp_path: Path) -> None:
    authority = Authority()
    here = MountedSecret(tmp_path / "here", authority.issue())
    async with running(models, here) as replica:
        stubs = Stubs()
        address = f"127.0.0.1:{replica.server.port}"
        channels = Channels({"text": address}, tls_files(settings(here)), stubs.use, look_seconds=0.02)
        in_flight = asyncio.create_task(code(stubs, HOLD))
        await replica.held.wait()
        here.put(authority.issue())
        async with asyncio.timeout(20):
            while stubs.opened == 1:
                await asyncio.sleep(0.01)
            await channels.close()
            with pytest.raises(asyncio.CancelledError):
                await in_flight
        replica.gate.set()


def test_without_an_authority_the_mesh_speaks_plaintext(tmp_path: Path) -> None:
    assert tls_files(OrchestratorSettings()) is None
    with pytest.raises(CannotStart, match="MARQUEE_ORCHESTRATOR_MESH_TLS_CA_FILE is not set"):
        tls_files(OrchestratorSettings(mesh_tls_key_file=tmp_path / "tls.key"))


async def test_files_that_cannot_be_used_are_named_by_their_settings(tmp_path: Path) -> None:
    missing = tmp_path / "ca.crt"
    with pytest.raises(CannotStart, match=f"MARQUEE_ORCHESTRATOR_MESH_TLS_CA_FILE: {missing} cannot be read"):
        Channels({"text": "x"}, tls_files(OrchestratorSettings(mesh_tls_ca_file=missing)), lambda _: None)


async def test_a_process_that_cannot_use_them_ends_with_one_clear_line(tmp_path: Path) -> None:
    missing = tmp_path / "ca.crt"
    store = f"sqlite:///{tmp_path / 'marquee.sqlite'}"
    async with service_process("orchestrator", store_url=store, mesh_tls_ca_file=missing) as process:
        assert await process.exit_code() == 1
    setting = "MARQUEE_ORCHESTRATOR_MESH_TLS_CA_FILE"
    assert process.lines[-1] == f"marquee orchestrator: {setting}: {missing} cannot be read: no such file or directory"
    assert not [line for line in process.lines if "Traceback" in line]
