"""Signed references to a list that was served: page tokens and attribution tokens.

A token is a kind, the list, a place in it and an end, followed by 16 bytes of HMAC-SHA256 (RFC 2104) over them and over
whom it was given to: tenant and user, and for an attribution the item. None of these can be exchanged.
"""

from __future__ import annotations

import base64
import hmac
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from services.runtime.errors import FieldViolation, InvalidRequest

_CONTENT = struct.Struct(">cH5s16s")
_FINGERPRINT_BYTES = 8
_SIGNATURE_BYTES = 16
_PAGE, _ATTRIBUTION = b"p", b"a"
_LONGEST = 256
SMALLEST_KEY = 32


@dataclass(frozen=True, slots=True)
class PageReference:
    """What a page token says: the list, the place of its next item, and what the first request asked for."""

    slate_id: str
    offset: int
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Attribution:
    """What an attribution token says: the list and the item's place in it, from 0."""

    slate_id: str
    position: int


class TokenSigner:
    """Makes and checks tokens. Times are microseconds since 1970.

    Args:
        keys: secrets of at least 32 characters; the first signs, all of them are accepted, so that a key can be
            replaced without refusing what was signed with the old one.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or any(len(key) < SMALLEST_KEY for key in keys):
            raise ValueError(f"a key needs at least {SMALLEST_KEY} characters")
        self._keys = [key.encode() for key in keys]

    def page(self, tenant: str, user_id: str, reference: PageReference, expire_time: int) -> str:
        """Return the token of a page; its fingerprint has 8 bytes."""
        content = _pack(_PAGE, reference.offset, expire_time, reference.slate_id) + reference.fingerprint
        return self._sign(content, (tenant, user_id))

    def read_page(self, token: str, *, tenant: str, user_id: str, now: int) -> PageReference:
        """Return what a page token says.

        Raises:
            InvalidRequest: it was changed, has expired, or was given to somebody else.
        """
        content = self._verify("page_token", token, _PAGE, (tenant, user_id), now)
        _, offset, _, slate_id = _CONTENT.unpack_from(content)
        return PageReference(slate_id.hex(), offset, content[_CONTENT.size :])

    def attribution(self, tenant: str, user_id: str, item_id: str, attribution: Attribution, expire_time: int) -> str:
        """Return the token of one item in a list."""
        content = _pack(_ATTRIBUTION, attribution.position, expire_time, attribution.slate_id)
        return self._sign(content, (tenant, user_id, item_id))

    def read_attribution(self, token: str, *, tenant: str, user_id: str, item_id: str, now: int) -> Attribution:
        """Return what an attribution token says.

        Raises:
            InvalidRequest: it was changed, has expired, or was given to somebody else or for another item.
        """
        content = self._verify("attribution_token", token, _ATTRIBUTION, (tenant, user_id, item_id), now)
        _, position, _, slate_id = _CONTENT.unpack_from(content)
        return Attribution(slate_id.hex(), position)

    def claimed_attribution(self, token: str) -> Attribution:
        """Return what an attribution token says of itself, for a caller who finds user and item by it and checks it
        then with `read_attribution`.

        Raises:
            InvalidRequest: it has not the form of an attribution token.
        """
        content, _ = _split(token)
        if len(content) != _CONTENT.size or content[:1] != _ATTRIBUTION:
            raise _invalid("attribution_token", "INVALID_TOKEN", "is no attribution token; send it exactly as it came")
        _, position, _, slate_id = _CONTENT.unpack_from(content)
        return Attribution(slate_id.hex(), position)

    def _sign(self, content: bytes, whom: Sequence[str]) -> str:
        signature = _signature(self._keys[0], content, whom)
        return base64.urlsafe_b64encode(content + signature).rstrip(b"=").decode()

    def _verify(self, field: str, token: str, kind: bytes, whom: Sequence[str], now: int) -> bytes:
        content, signature = _split(token)
        good = [hmac.compare_digest(signature, _signature(key, content, whom)) for key in self._keys]
        size = _CONTENT.size + (_FINGERPRINT_BYTES if kind == _PAGE else 0)
        if not any(good) or len(content) != size or content[:1] != kind:
            raise _invalid(
                field,
                "INVALID_TOKEN",
                "is not a token that was given for this user and this list; send it exactly as it came",
            )
        if int.from_bytes(_CONTENT.unpack_from(content)[2]) * 1_000_000 <= now:
            raise _invalid(field, "EXPIRED_TOKEN", "has expired; ask for a new list")
        return content


def _pack(kind: bytes, place: int, expire_time: int, slate_id: str) -> bytes:
    return _CONTENT.pack(kind, place, (expire_time // 1_000_000).to_bytes(5), bytes.fromhex(slate_id))


def _split(token: str) -> tuple[bytes, bytes]:
    try:
        if len(token) > _LONGEST:
            return b"", b""
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b"", b""
    return raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]


def _signature(key: bytes, content: bytes, whom: Sequence[str]) -> bytes:
    return hmac.digest(key, json.dumps(whom).encode() + b"\0" + content, "sha256")[:_SIGNATURE_BYTES]


def _invalid(field: str, reason: str, description: str) -> InvalidRequest:
    return InvalidRequest([FieldViolation(field, description)], reason=reason)
