"""Opaque page tokens: the last key of a page, with a checksum that binds it to the list it came from."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from services.runtime.errors import FieldViolation, InvalidRequest

_CHECKSUM_BYTES = 9
_MAXIMUM_CHARACTERS = 4_096


def encode_page_token(scope: tuple[str, ...], key: list[Any]) -> str:
    """Return the token for the page after `key`.

    Args:
        scope: what the list depends on, for example ("items", tenant); a token is good for the same scope
            only.
        key: sort key of the last entry; strings and integers.
    """
    content = json.dumps(key, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(scope, content) + content).decode()


def decode_page_token(scope: tuple[str, ...], token: str, types: tuple[type, ...]) -> list[Any]:
    """Return the key in a token made by `encode_page_token` for the same scope.

    The checksum catches damage and mix-ups. It is no signature: a key tells nothing that the list itself
    does not.

    Args:
        scope: what the list depends on.
        token: the token as the caller sent it; not empty.
        types: type of each part of the key, str or int.

    Raises:
        InvalidRequest: the token is damaged or belongs to another list; names `page_token`.
    """
    try:
        if len(token) > _MAXIMUM_CHARACTERS:
            raise ValueError("too long")
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        content = raw[_CHECKSUM_BYTES:]
        if raw[:_CHECKSUM_BYTES] != _checksum(scope, content):
            raise ValueError("checksum")
        key = json.loads(content)
        if [type(part) for part in key] != list(types) or any(
            type(part) is int and abs(part) >= 1 << 63 for part in key
        ):
            raise ValueError("shape")
    except (ValueError, TypeError) as error:
        description = (
            "is not a token that this list gave out; pass next_page_token unchanged, or nothing for the first page"
        )
        raise InvalidRequest([FieldViolation("page_token", description)], reason="INVALID_PAGE_TOKEN") from error
    return list(key)


def _checksum(scope: tuple[str, ...], content: bytes) -> bytes:
    return hashlib.blake2b(json.dumps(scope).encode() + b"\0" + content, digest_size=_CHECKSUM_BYTES).digest()
