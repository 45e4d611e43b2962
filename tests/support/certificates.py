"""Certificates for tests, and a folder that changes as a mounted Kubernetes Secret does."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Issued:
    """A certificate in PEM form, its key, and the certificate of the authority that signed it."""

    certificate: bytes
    key: bytes
    authority: bytes


class Authority:
    """Signs certificates.

    Args:
        name: common name; two authorities of one name do not believe each other's certificates.
    """

    def __init__(self, name: str = "tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = _builder(self._name, self._name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        self.certificate = made.sign(self._key, hashes.SHA256()).public_bytes(_PEM)

    def issue(self, name: str = "service", hosts: tuple[str, ...] = ("localhost", "127.0.0.1")) -> Issued:
        """Return a new certificate for a server or a client at these hosts."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        made = _builder(subject, self._name, key).add_extension(names, False).sign(self._key, hashes.SHA256())
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return Issued(made.public_bytes(_PEM), private, self.certificate)


class MountedSecret:
    """The files tls.crt, tls.key and ca.crt behind links that all turn at once.

    Args:
        folder: where they appear.
        issued: what they hold at first.
    """

    def __init__(self, folder: Path, issued: Issued) -> None:
        self._folder = folder
        self._generation = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.put(issued)
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (folder / name).symlink_to(Path("..data") / name)
        self.certificate, self.key, self.authority = (folder / name for name in ("tls.crt", "tls.key", "ca.crt"))

    def put(self, issued: Issued) -> None:
        """Replace all files at once, as the kubelet does."""
        self._generation += 1
        target = self._folder / f"..{self._generation}"
        target.mkdir()
        (target / "tls.crt").write_bytes(issued.certificate)
        (target / "tls.key").write_bytes(issued.key)
        (target / "ca.crt").write_bytes(issued.authority)
        new = self._folder / "..data_new"
        new.symlink_to(target.name)
        new.replace(self._folder / "..data")


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
