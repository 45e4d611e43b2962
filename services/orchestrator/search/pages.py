"""Page tokens of a search: what was shown already, signed.

A later page searches again and leaves out what was shown. So nothing comes twice and nothing is skipped, although the
catalogue may change between two pages, any replica can answer, and nothing is stored. An item is named by 6 bytes of a
hash; 300 of them are the most a search has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Collection, Sequence

from marquee.entertainment.v1 import search_service_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest

MOST_ITEMS = 300
_NAME_BYTES, _FINGERPRINT_BYTES, _SIGNATURE_BYTES, _TIME_BYTES = 6, 8, 16, 5
_LONGEST = 4_096


class SearchPages:
    """Makes and reads page tokens.

    Args:
        keys: secrets; the first signs, all are accepted.
        page_seconds: how long a token is good.
    """

    def __init__(self, keys: Sequence[str], page_seconds: float) -> None:
        self._keys = [key.encode() for key in keys]
        self._page_seconds = page_seconds

    def token(self, tenant: str, request: pb.SearchRequest, shown: Collection[bytes]) -> str:
        """Return the token of the page behind the items that were shown, given as `name_of` them."""
        end = int(time.time() + self._page_seconds).to_bytes(_TIME_BYTES)
        content = end + _fingerprint(request) + b"".join(shown)
        signature = _signature(self._keys[0], content, tenant)
        return base64.urlsafe_b64encode(content + signature).rstrip(b"=").decode()

    def shown(self, tenant: str, request: pb.SearchRequest) -> list[bytes]:
        """Return the names of the items that were shown; none for the first page.

        Raises:
            InvalidRequest: the token was changed, has expired, was given to somebody else or for another search.
        """
        if not request.page_token:
            return []
        content, signature = _split(request.page_token)
        start = _TIME_BYTES + _FINGERPRINT_BYTES
        good = [hmac.compare_digest(signature, _signature(key, content, tenant)) for key in self._keys]
        if not any(good) or len(content) < start:
            raise _invalid("INVALID_TOKEN", "is no token that was given for a search; send it exactly as it came")
        if int.from_bytes(content[:_TIME_BYTES]) <= time.time():
            raise _invalid("EXPIRED_TOKEN", "has expired; search again")
        if content[_TIME_BYTES:start] != _fingerprint(request):
            description = "belongs to a search with other fields; only page_size may differ from the first page"
            raise _invalid("REQUEST_CHANGED", description)
        return [content[place : place + _NAME_BYTES] for place in range(start, len(content), _NAME_BYTES)]


def name_of(item_id: str) -> bytes:
    """Return the 6 bytes that stand for an item in a token."""
    return hashlib.blake2b(item_id.encode(), digest_size=_NAME_BYTES).digest()


def _fingerprint(request: pb.SearchRequest) -> bytes:
    same = pb.SearchRequest()
    same.CopyFrom(request)
    same.ClearField("page_token")
    same.ClearField("page_size")
    return hashlib.blake2b(same.SerializeToString(deterministic=True), digest_size=_FINGERPRINT_BYTES).digest()


def _signature(key: bytes, content: bytes, tenant: str) -> bytes:
    return hmac.digest(key, json.dumps(["search", tenant]).encode() + b"\0" + content, "sha256")[:_SIGNATURE_BYTES]


def _split(token: str) -> tuple[bytes, bytes]:
    try:
        if len(token) > _LONGEST:
            return b"", b""
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b"", b""
    return raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]


def _invalid(reason: str, description: str) -> InvalidRequest:
    return InvalidRequest([FieldViolation("page_token", description)], reason=reason)
