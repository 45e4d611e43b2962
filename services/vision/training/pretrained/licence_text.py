"""The licence of a published network, which goes along with every copy of it."""

from __future__ import annotations

from services.runtime.sources import fetch_package_file

LICENCE_FILE = "LICENSE.txt"


def licence_text(package: str, version: str, member: str, sha256: str, about: str) -> bytes:
    """Returns the licence that a package carries below a line that says what it is about.

    Args:
        package: name on the package index.
        version: its version.
        member: the licence's path in it.
        sha256: its hash.
        about: whose work the licence covers.

    Raises:
        SourceUnavailable: it cannot be fetched.
    """
    path = fetch_package_file(package, version, member, sha256)
    return f"{about}\n\n{path.read_text(encoding='utf-8').strip()}\n".encode()
