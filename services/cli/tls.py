"""How the commands speak TLS, and what to say when they cannot."""

from __future__ import annotations

import socket
import ssl

from marquee_client import Tls
from services.cli.failures import EXIT_NO_MESH, EXIT_WRONG_INPUT, CommandFailed
from services.cli.settings import command_settings

_OTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH
_ADVICE = "MARQUEE_TLS_CA_FILE names the file of the authority that signed its certificate."


class _HungUpError(OSError):
    """The server ended the connection after the handshake."""


def command_tls() -> Tls | None:
    """Return how the commands speak TLS; None when none of the settings asks for it.

    Raises:
        CommandFailed: a file cannot be used; the message names the variable.
    """
    settings = command_settings()
    files = (settings.tls_ca_file, settings.tls_certificate_file, settings.tls_key_file)
    if not any(files) and not settings.tls_server_name:
        return None
    tls = Tls(*files, server_name=settings.tls_server_name)
    try:
        tls.credentials()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise _unusable(f"{_variable(tls, error.filename)}: {error.filename} cannot be read: {reason}") from error
    except ValueError as error:
        raise _unusable(f"MARQUEE_TLS_*: {error}") from error
    return tls


def tls_problem(address: str, seconds: float = 2.0) -> CommandFailed | None:
    """Return what is wrong where somebody listens and yet no call arrives; None when it is not TLS. gRPC says little
    about it, so this shakes hands once more.

    Args:
        address: gRPC target; of those that are neither `host:port` nor `dns:///host:port` nothing can be told.
        seconds: how long the other side may take.
    """
    host, _, port = address.removeprefix("dns:///").rpartition(":")
    if not port.isdigit() or "/" in host:
        return None
    tls = command_tls()
    try:
        _shake_hands(host.strip("[]"), int(port), tls, seconds)
    except ssl.SSLCertVerificationError as error:
        return _untrusted(address, error)
    except _HungUpError:
        return _no_certificate(address)
    except ssl.SSLError as error:
        return None if tls is None else _refused(address, tls, error.reason or "")
    except OSError:
        return None
    return _failed(f"{address} speaks TLS", _ADVICE) if tls is None else None


def _untrusted(address: str, error: ssl.SSLCertVerificationError) -> CommandFailed:
    if error.verify_code in _OTHER_NAME:
        return _failed(
            f"the certificate of {address} is for another name",
            "MARQUEE_TLS_SERVER_NAME says which name the certificate should have.",
        )
    return _failed(f"the certificate of {address} is not trusted: {error.verify_message}", _ADVICE)


def _refused(address: str, tls: Tls, reason: str) -> CommandFailed | None:
    if reason == "WRONG_VERSION_NUMBER":
        return _failed(f"{address} speaks plaintext, and MARQUEE_TLS_* ask for TLS", "Unset these variables.")
    if "ALERT" not in reason and tls.certificate_file is not None:
        return None
    return _no_certificate(address)


def _no_certificate(address: str) -> CommandFailed:
    return _failed(
        f"{address} does not accept the certificate that it was shown, or wants to see one",
        "MARQUEE_TLS_CERTIFICATE_FILE and MARQUEE_TLS_KEY_FILE name the files of one.",
    )


def _shake_hands(host: str, port: int, tls: Tls | None, seconds: float) -> None:
    """Do what a client does before its first call; without `tls`, whoever the other side is.

    Raises:
        OSError: it did not work.
    """
    context = ssl.create_default_context(cafile=tls.ca_file if tls else None)
    context.set_alpn_protocols(["h2"])
    if tls is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # nothing is sent; the question is only which protocol it is
    elif tls.certificate_file and tls.key_file:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    name = (tls.server_name if tls else "") or host
    with socket.create_connection((host, port), timeout=seconds) as plain:
        plain.settimeout(seconds)
        with context.wrap_socket(plain, server_hostname=name) as wrapped:
            if tls is not None:
                _expect_greeting(wrapped)


def _expect_greeting(connection: ssl.SSLSocket) -> None:
    """A server that misses a certificate says so, or hangs up, only when the client thinks that all is well."""
    try:
        greeting = connection.recv(1)
    except ConnectionError:
        greeting = b""
    if not greeting:
        raise _HungUpError


def _unusable(message: str) -> CommandFailed:
    return CommandFailed(message, exit_code=EXIT_WRONG_INPUT)


def _variable(tls: Tls, filename: object) -> str:
    fields = ("ca_file", "certificate_file", "key_file")
    found = [name for name in fields if str(getattr(tls, name)) == str(filename)]
    return f"MARQUEE_TLS_{found[0].upper()}" if found else "MARQUEE_TLS_*"


def _failed(message: str, advice: str) -> CommandFailed:
    return CommandFailed(message, advice, EXIT_NO_MESH)
