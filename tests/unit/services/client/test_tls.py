from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from marquee_client import AsyncMarqueeClient, MarqueeClient, Tls, Unavailable
from tests.support.certificates import Authority, Issued, MountedSecret
from tests.unit.services.client.canned import CannedServer, running_server


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> MountedSecret:
    """What a caller has."""
    return MountedSecret(tmp_path / "caller", authority.issue("caller"))


def credentials(issued: Issued, *, mutual: bool = False) -> grpc.ServerCredentials:
    pair = [(issued.key, issued.certificate)]
    return grpc.ssl_server_credentials(pair, issued.authority if mutual else None, mutual)


@pytest.fixture
def server(authority: Authority) -> Iterator[CannedServer]:
    with running_server(credentials=credentials(authority.issue())) as canned:
        yield canned


def test_a_client_that_trusts_the_authority_is_answered(server: CannedServer, files: MountedSecret) -> None:
    with MarqueeClient(server.target, tls=Tls(files.authority)) as client:
        assert client.get_item("7").item_id == "7"


async def test_so_is_one_for_asyncio(server: CannedServer, files: MountedSecret) -> None:
    async with AsyncMarqueeClient(server.target, tls=Tls(str(files.authority))) as client:
        assert (await client.get_item("7")).item_id == "7"


def test_where_the_server_asks_for_a_certificate_one_is_shown(authority: Authority, files: MountedSecret) -> None:
    with running_server(credentials=credentials(authority.issue(), mutual=True)) as canned:
        tls = Tls(files.authority, files.certificate, files.key)
        with MarqueeClient(canned.target, tls=tls) as client:
            assert client.get_item("7").item_id == "7"
        with MarqueeClient(canned.target, tls=Tls(files.authority), timeout=20) as client, pytest.raises(Unavailable):
            client.rollback_bundle()


def test_the_name_in_the_certificate_may_be_another(authority: Authority, files: MountedSecret) -> None:
    with running_server(credentials=credentials(authority.issue(hosts=("orchestrator.mesh",)))) as canned:
        with MarqueeClient(canned.target, tls=Tls(files.authority, server_name="orchestrator.mesh")) as client:
            assert client.get_item("7").item_id == "7"
        with MarqueeClient(canned.target, tls=Tls(files.authority), timeout=20) as client, pytest.raises(Unavailable):
            client.rollback_bundle()


def test_an_authority_that_is_not_trusted_ends_the_call(server: CannedServer, tmp_path: Path) -> None:
    other = MountedSecret(tmp_path / "other", Authority().issue())
    client = MarqueeClient(server.target, tls=Tls(other.authority), timeout=20)
    with client, pytest.raises(Unavailable, match="handshake"):
        client.rollback_bundle()


def test_files_are_looked_at_when_the_client_is_made(files: MountedSecret, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        MarqueeClient(tls=Tls(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="certificate_file and key_file go together"):
        MarqueeClient(tls=Tls(files.authority, files.certificate))
    with pytest.raises(ValueError, match=r"ca_file .* holds no certificate"):
        MarqueeClient(tls=Tls(files.key))
    with pytest.raises(ValueError, match=r"key_file .* holds no private key"):
        MarqueeClient(tls=Tls(files.authority, files.certificate, files.certificate))
