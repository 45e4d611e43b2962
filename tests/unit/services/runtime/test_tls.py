from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from pydantic_settings import SettingsConfigDict

from services.runtime.server import ServiceDefinition, ServiceServer
from services.runtime.settings import ServiceSettings
from services.runtime.startup import CannotStart
from services.runtime.tls import server_credentials
from tests.support.certificates import Authority, Issued, MountedSecret
from tests.support.clients import health
from tests.support.processes import service_process


class Settings(ServiceSettings):
    """Nothing from the environment of whoever runs the tests."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_NOBODY_")


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def secret(authority: Authority, tmp_path: Path) -> MountedSecret:
    return MountedSecret(tmp_path / "tls", authority.issue())


@asynccontextmanager
async def running(settings: ServiceSettings) -> AsyncIterator[int]:
    """Run a service of nothing; yield its port."""

    async def start() -> list[str]:
        return []

    async def stop() -> None:
        return None

    server = ServiceServer(ServiceDefinition("nothing", [], lambda _: None, start, stop), settings)
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()


async def status(port: int, trusted: bytes | None, client: Issued | None = None) -> str:
    """Return the health that a new connection finds, or why there is none; without authorities, in plaintext."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
    target = f"127.0.0.1:{port}"
    if trusted is None:
        channel = grpc.aio.insecure_channel(target, options)
    else:
        shown = (client.key, client.certificate) if client else (None, None)
        channel = grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(trusted, *shown), options)
    async with channel:
        try:
            return await health(channel)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"


def tls(secret: MountedSecret, *, mutual: bool = False, **more: Any) -> Settings:
    more |= {"tls_client_ca_file": secret.authority} if mutual else {}
    return Settings(tls_certificate_file=secret.certificate, tls_key_file=secret.key, **more)


async def test_callers_who_trust_the_authority_are_served_and_others_not(
    authority: Authority, secret: MountedSecret
) -> None:
    async with running(tls(secret)) as port:
        assert await status(port, authority.certificate) == "SERVING"
        assert (await status(port, Authority().certificate)).startswith("UNAVAILABLE: ")
        assert (await status(port, None)).startswith("UNAVAILABLE: ")


async def test_mutual_tls_serves_only_those_who_show_a_certificate(authority: Authority, secret: MountedSecret) -> None:
    async with running(tls(secret, mutual=True)) as port:
        assert await status(port, authority.certificate, authority.issue("caller")) == "SERVING"
        assert (await status(port, authority.certificate)).startswith("UNAVAILABLE: ")
        assert (await status(port, authority.certificate, Authority().issue())).startswith("UNAVAILABLE: ")


async def test_the_health_port_stays_plaintext(secret: MountedSecret) -> None:
    settings = tls(secret, mutual=True, health_port=0)

    async def start() -> list[str]:
        return []

    async def stop() -> None:
        return None

    server = ServiceServer(ServiceDefinition("nothing", [], lambda _: None, start, stop), settings)
    await server.start()
    assert await status(server.probes.port, None) == "SERVING"
    await server.stop()


async def test_replaced_files_are_used_for_new_connections(authority: Authority, secret: MountedSecret) -> None:
    async with running(tls(secret, mutual=True)) as port:
        old_caller = authority.issue("caller")
        assert await status(port, authority.certificate, old_caller) == "SERVING"
        successor = Authority()
        secret.put(successor.issue())
        assert await status(port, successor.certificate, successor.issue("caller")) == "SERVING"
        assert (await status(port, authority.certificate, old_caller)).startswith("UNAVAILABLE: ")


async def test_files_that_do_not_fit_together_yet_change_nothing_until_they_do(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    first, second = authority.issue(), authority.issue()
    certificate.write_bytes(first.certificate)
    key.write_bytes(first.key)
    async with running(Settings(tls_certificate_file=certificate, tls_key_file=key)) as port:
        assert await status(port, authority.certificate) == "SERVING"
        certificate.write_bytes(second.certificate)
        assert await status(port, authority.certificate) == "SERVING"
        key.unlink()
        assert await status(port, authority.certificate) == "SERVING"
        certificate.write_bytes(b"")
        assert await status(port, authority.certificate) == "SERVING"
        successor = Authority()
        third = successor.issue()
        certificate.write_bytes(third.certificate)
        key.write_bytes(third.key)
        assert await status(port, successor.certificate) == "SERVING"


class TestRefused:
    """One line that names the setting, and never what a key file holds."""

    def reason(self, **settings: object) -> str:
        with pytest.raises(CannotStart) as caught:
            server_credentials(Settings(**settings))  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_half_a_pair(self, secret: MountedSecret) -> None:
        assert self.reason(tls_certificate_file=secret.certificate) == (
            "MARQUEE_NOBODY_TLS_KEY_FILE is not set; MARQUEE_NOBODY_TLS_CERTIFICATE_FILE needs it"
        )
        assert self.reason(tls_key_file=secret.key).startswith("MARQUEE_NOBODY_TLS_CERTIFICATE_FILE is not set")
        assert self.reason(tls_client_ca_file=secret.authority).startswith(
            "MARQUEE_NOBODY_TLS_CERTIFICATE_FILE is not set"
        )

    def test_a_missing_file(self, secret: MountedSecret, tmp_path: Path) -> None:
        missing = tmp_path / "nowhere.crt"
        assert self.reason(tls_certificate_file=missing, tls_key_file=secret.key) == (
            f"MARQUEE_NOBODY_TLS_CERTIFICATE_FILE: {missing} cannot be read: no such file or directory"
        )

    def test_a_folder(self, secret: MountedSecret, tmp_path: Path) -> None:
        assert "is a directory" in self.reason(tls_certificate_file=secret.certificate, tls_key_file=tmp_path)

    def test_something_else_than_a_certificate(self, secret: MountedSecret, tmp_path: Path) -> None:
        wrong = tmp_path / "wrong"
        for content in (b"", b"hello", secret.key.read_bytes()):
            wrong.write_bytes(content)
            assert self.reason(tls_certificate_file=wrong, tls_key_file=secret.key) == (
                f"MARQUEE_NOBODY_TLS_CERTIFICATE_FILE: {wrong} holds no certificate in PEM form"
            )
            said = self.reason(
                tls_certificate_file=secret.certificate, tls_key_file=secret.key, tls_client_ca_file=wrong
            )
            assert said.startswith("MARQUEE_NOBODY_TLS_CLIENT_CA_FILE: ")

    def test_something_else_than_a_key(self, secret: MountedSecret, tmp_path: Path) -> None:
        wrong = tmp_path / "wrong"
        for content in (b"", b"hello", secret.certificate.read_bytes()):
            wrong.write_bytes(content)
            assert self.reason(tls_certificate_file=secret.certificate, tls_key_file=wrong).startswith(
                f"MARQUEE_NOBODY_TLS_KEY_FILE: {wrong} holds no private key"
            )

    def test_the_key_of_another_certificate(self, authority: Authority, secret: MountedSecret, tmp_path: Path) -> None:
        other = MountedSecret(tmp_path / "other", authority.issue())
        assert "is not that of the certificate" in self.reason(
            tls_certificate_file=secret.certificate, tls_key_file=other.key
        )

    def test_the_native_front(self, secret: MountedSecret) -> None:
        with pytest.raises(CannotStart, match="MARQUEE_NOBODY_TLS_CERTIFICATE_FILE: the native front knows no TLS"):
            ServiceServer(
                ServiceDefinition("nothing", [], lambda _: None, list, list),  # type: ignore[arg-type]
                tls(secret, front="native"),
            )


async def test_a_process_with_a_bad_file_ends_with_one_clear_line(secret: MountedSecret, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.key"
    settings = {"tls_certificate_file": secret.certificate, "tls_key_file": missing, "model_repository": tmp_path}
    async with service_process("text", **settings) as process:
        assert await process.exit_code() == 1
    assert process.lines == [
        f"marquee text: MARQUEE_TEXT_TLS_KEY_FILE: {missing} cannot be read: no such file or directory"
    ]
