"""When a certificate file expires, read from the file itself: the libraries at hand would need a package for that."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION_TAG = 0xA0
_LONG_LENGTH = 0x80
_VALIDITY = 3
_FORMATS = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}


def expiry(path: Path) -> float:
    """Return when the first certificate of a PEM file's chain expires, in seconds since 1970.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no certificate.
    """
    ends = [_not_after(ssl.PEM_cert_to_DER_cert(pem)) for pem in _PEM.findall(path.read_text(encoding="ascii"))]
    if not ends:
        raise ValueError("no certificate in PEM form")
    return min(ends)


def _not_after(certificate: bytes) -> float:
    (_, signed), *_ = _elements(certificate)
    (_, body), *_ = _elements(signed)
    # Version (which may be left out), serial number, algorithm, issuer, validity; see RFC 5280, 4.1.
    parts = [content for tag, content in _elements(body) if tag != _VERSION_TAG]
    _, (tag, end) = _elements(parts[_VALIDITY])
    return datetime.strptime(end.decode("ascii"), _FORMATS[tag]).replace(tzinfo=UTC).timestamp()


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the content of the DER elements in a row."""
    place = 0
    while place < len(content):
        tag, size = content[place], content[place + 1]
        place += 2
        if size & _LONG_LENGTH:
            digits = size & ~_LONG_LENGTH
            size = int.from_bytes(content[place : place + digits], "big")
            place += digits
        yield tag, content[place : place + size]
        place += size
