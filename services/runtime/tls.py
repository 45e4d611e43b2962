"""TLS from PEM files that may be replaced while the process runs, as certificates are that expire after weeks.

Kubernetes replaces mounted files by turning a symbolic link, other tools one by one: what does not fit together yet is
read again later, and the last complete set serves until then.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from services.runtime.logs import get_logger
from services.runtime.settings import ServiceSettings
from services.runtime.startup import CannotStart, setting_name

TLS_FIELDS = ("tls_certificate_file", "tls_key_file", "tls_client_ca_file")
_logger = get_logger(__name__)

Stamp = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Pem:
    """Contents of the files; None for those that are not set."""

    certificate: bytes | None
    key: bytes | None = field(repr=False)
    authorities: bytes | None


@dataclass(frozen=True)
class Setting:
    """A file, and the setting that names it."""

    name: str
    path: Path | None


class PemFiles:
    """Certificate, key and authorities, read and checked together.

    Args:
        certificate: chain that is shown to the other side.
        key: its private key.
        authorities: who is believed.
    """

    def __init__(self, certificate: Setting, key: Setting, authorities: Setting) -> None:
        self._certificate = certificate
        self._key = key
        self._authorities = authorities
        self._stamp: Stamp = ()
        self._refused: Stamp = ()
        self._lock = threading.Lock()

    def read(self) -> Pem:
        """Return the contents.

        Raises:
            CannotStart: a file is missing or not what it should be; the message names the setting.
        """
        for given, missing in ((self._certificate, self._key), (self._key, self._certificate)):
            if given.path is not None and missing.path is None:
                raise CannotStart(f"{missing.name} is not set; {given.name} needs it")
        before = self._look()
        pem = Pem(*(_read(one) for one in (self._certificate, self._key, self._authorities)))
        for one in (self._certificate, self._authorities):
            _check_certificates(one)
        _check_pair(self._certificate, self._key)
        if self._look() != before:
            raise CannotStart(f"the files of {self._certificate.name} changed while they were read")
        self._stamp = before
        return pem

    def changed(self) -> Pem | None:
        """Return the new contents once after the files were replaced; None while there is nothing new that fits
        together. Threads may call it; costs microseconds while nothing changes.
        """
        with self._lock:
            try:
                stamp = self._look()
                if stamp == self._stamp:
                    return None
                pem = self.read()
            except CannotStart as error:
                stamp = self._look(missing_ok=True)
                if stamp != self._refused:  # once for each state of the files
                    self._refused = stamp
                    _logger.warning("the new TLS files are not used", reason=str(error))
                return None
        _logger.info("TLS files replaced", certificate=str(self._certificate.path), ca=str(self._authorities.path))
        return pem

    def _look(self, *, missing_ok: bool = False) -> Stamp:
        """Return what tells a file from the one that replaces it."""
        stamp = []
        for one in (self._certificate, self._key, self._authorities):
            if one.path is None:
                continue
            try:
                found = one.path.stat()
            except OSError as error:
                if not missing_ok:
                    raise _unreadable(one, error) from error
                stamp.append((0, 0, 0, 0))
            else:
                stamp.append((found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size))
        return tuple(stamp)


def server_credentials(settings: ServiceSettings) -> grpc.ServerCredentials | None:
    """Return what a server needs for TLS with the files that its settings name, or None when they name none. New
    connections get what the files hold by then.

    Raises:
        CannotStart: the settings do not go together or a file cannot be used; the message names the setting.
    """
    certificate, key, authorities = (
        Setting(setting_name(settings, name), getattr(settings, name)) for name in TLS_FIELDS
    )
    if authorities.path is not None and certificate.path is None:
        raise CannotStart(f"{certificate.name} is not set; {authorities.name} needs it")
    files = PemFiles(certificate, key, authorities)
    if certificate.path is None and key.path is None:
        return None
    first = files.read()

    def newer() -> grpc.ServerCertificateConfiguration | None:
        pem = files.changed()
        return None if pem is None else _configuration(pem)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(first),
        newer,  # type: ignore[arg-type]  # None for "no change" is allowed
        require_client_authentication=authorities.path is not None,
    )


def channel_credentials(pem: Pem) -> grpc.ChannelCredentials:
    """Return what a caller needs for TLS."""
    return grpc.ssl_channel_credentials(pem.authorities, pem.key, pem.certificate)


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    pairs = [(pem.key or b"", pem.certificate or b"")]
    return grpc.ssl_server_certificate_configuration(pairs, pem.authorities)


def _read(one: Setting) -> bytes | None:
    if one.path is None:
        return None
    try:
        return one.path.read_bytes()
    except OSError as error:
        raise _unreadable(one, error) from error


def _unreadable(one: Setting, error: OSError) -> CannotStart:
    reason = (error.strerror or type(error).__name__).lower()
    return CannotStart(f"{one.name}: {one.path} cannot be read: {reason}")


def _check_certificates(one: Setting) -> None:
    if one.path is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=one.path)
    except (ssl.SSLError, OSError) as error:
        raise CannotStart(f"{one.name}: {one.path} holds no certificate in PEM form") from error


def _check_pair(certificate: Setting, key: Setting) -> None:
    if certificate.path is None or key.path is None:
        return
    try:
        # The empty password keeps OpenSSL from asking for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.path, key.path, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CannotStart(
                f"{key.name}: the key in {key.path} is not that of the certificate in {certificate.path}"
            ) from error
        raise CannotStart(f"{key.name}: {key.path} holds no private key in PEM form without a password") from error
    except (OSError, ValueError) as error:
        raise CannotStart(f"{key.name}: {key.path} holds no private key in PEM form without a password") from error
