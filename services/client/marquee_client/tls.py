"""TLS of a client's connection."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import grpc

File = str | PathLike[str]


@dataclass(frozen=True)
class Tls:
    """How a client speaks TLS. The files are read when the client is made; a client that lives longer than its
    certificate is made anew.

    Attributes:
        ca_file: PEM file with the authorities that may have signed the server's certificate; None believes those that
            everybody believes.
        certificate_file: PEM file with the certificate chain to show, where the server asks for one.
        key_file: PEM file with its private key, without a password.
        server_name: name to look for in the server's certificate, where it is not the one in the target.

    Example:
        >>> client = MarqueeClient("dns:///marquee:50060", tls=Tls(ca_file="ca.crt"))  # doctest: +SKIP
    """

    ca_file: File | None = None
    certificate_file: File | None = None
    key_file: File | None = None
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Return what grpcio needs for a channel.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is not what it should be, or one of certificate and key is missing.
        """
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together; one of them is not set")
        authorities = _certificates(self.ca_file, "ca_file")
        chain = _certificates(self.certificate_file, "certificate_file")
        return grpc.ssl_channel_credentials(authorities, self._key(), chain)

    def options(self) -> list[tuple[str, str | int]]:
        """Return the channel options that belong to it."""
        return [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []

    def _key(self) -> bytes | None:
        if self.key_file is None or self.certificate_file is None:
            return None
        content = _read(self.key_file)
        try:
            # The empty password keeps OpenSSL from asking for one on the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(self.certificate_file, self.key_file, password="")
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(
                f"key_file {self.key_file} holds no private key in PEM form for the certificate in "
                f"{self.certificate_file}"
            ) from error
        return content


def _certificates(file: File | None, field: str) -> bytes | None:
    if file is None:
        return None
    content = _read(file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"{field} {file} holds no certificate in PEM form") from error
    return content


def _read(file: File) -> bytes:
    return Path(file).read_bytes()
