from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from services.cli.channels import local_tls
from services.cli.connection import connected
from services.cli.failures import CommandFailed
from services.cli.tls import command_tls, tls_problem
from tests.support.certificates import Authority, MountedSecret
from tests.unit.services.cli.conftest import Run
from tests.unit.services.client.canned import CannedServer, running_server


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def secret(authority: Authority, tmp_path: Path) -> MountedSecret:
    return MountedSecret(tmp_path / "tls", authority.issue("caller"))


@pytest.fixture
def server(authority: Authority) -> Iterator[CannedServer]:
    issued = authority.issue()
    credentials = grpc.ssl_server_credentials([(issued.key, issued.certificate)])
    with running_server(credentials=credentials) as canned:
        yield canned


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARQUEE_TIMEOUT", "3")


def refusal(target: str) -> CommandFailed:
    with pytest.raises(CommandFailed) as caught, connected(target) as client:
        client.serving_bundle()
    return caught.value


def test_commands_speak_tls_when_a_variable_says_so(
    run: Run, server: CannedServer, secret: MountedSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARQUEE_TLS_CA_FILE", str(secret.authority))
    with connected(server.target) as client:
        assert client.get_item("7").item_id == "7"
    shown = run("status", "--target", server.target).output
    assert "serving" in shown
    assert "7 items" in shown


def test_without_the_variable_the_advice_is_to_set_it(run: Run, server: CannedServer) -> None:
    failure = refusal(server.target)
    assert str(failure) == f"{server.target} speaks TLS"
    assert "MARQUEE_TLS_CA_FILE" in failure.advice
    result = run("status", "--target", server.target)
    assert result.exit_code == 3
    assert "speaks TLS" in result.output


def test_with_it_a_plaintext_server_is_told(secret: MountedSecret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARQUEE_TLS_CA_FILE", str(secret.authority))
    with running_server() as canned:
        assert "speaks plaintext" in str(refusal(canned.target))


def test_a_certificate_of_another_authority_is_told(
    server: CannedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = MountedSecret(tmp_path / "other", Authority().issue())
    monkeypatch.setenv("MARQUEE_TLS_CA_FILE", str(other.authority))
    assert "is not trusted" in str(refusal(server.target))


def test_a_certificate_for_another_name_is_told(
    server: CannedServer, secret: MountedSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARQUEE_TLS_CA_FILE", str(secret.authority))
    monkeypatch.setenv("MARQUEE_TLS_SERVER_NAME", "orchestrator.mesh")
    assert "is for another name" in str(refusal(server.target))


def test_a_server_that_wants_to_see_a_certificate_is_told(
    authority: Authority, secret: MountedSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = authority.issue()
    mutual = grpc.ssl_server_credentials([(issued.key, issued.certificate)], issued.authority, True)
    with running_server(credentials=mutual) as canned:
        monkeypatch.setenv("MARQUEE_TLS_CA_FILE", str(secret.authority))
        assert "MARQUEE_TLS_CERTIFICATE_FILE" in refusal(canned.target).advice
        monkeypatch.setenv("MARQUEE_TLS_CERTIFICATE_FILE", str(secret.certificate))
        monkeypatch.setenv("MARQUEE_TLS_KEY_FILE", str(secret.key))
        with connected(canned.target) as client:
            assert client.get_item("7").item_id == "7"


def test_files_that_cannot_be_used_are_named_by_their_variable(
    secret: MountedSecret, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARQUEE_TLS_CA_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(CommandFailed, match=r"MARQUEE_TLS_CA_FILE: .*nowhere cannot be read: no such file"):
        command_tls()
    monkeypatch.setenv("MARQUEE_TLS_CA_FILE", str(secret.key))
    with pytest.raises(CommandFailed, match="holds no certificate"):
        command_tls()


def test_services_of_this_machine_speak_tls_only_if_they_are_given_a_certificate(secret: MountedSecret) -> None:
    variables = {"MARQUEE_TLS_CA_FILE": str(secret.authority)}
    assert local_tls("text", variables) is None
    found = local_tls("text", variables | {"MARQUEE_TEXT_TLS_CERTIFICATE_FILE": "tls.crt"})
    assert found is not None
    assert found.ca_file == str(secret.authority)


def test_only_a_port_can_be_asked_what_it_speaks(server: CannedServer) -> None:
    assert tls_problem(server.target)
    assert tls_problem(f"dns:///{server.target}")
    with running_server() as canned:
        assert tls_problem(canned.target) is None
    assert tls_problem("dns:///nowhere.invalid:1") is None
    assert tls_problem("127.0.0.1:1") is None
    assert tls_problem("unix:/tmp/nowhere") is None
