"""The slate log: every list that is served is kept for a time, for its later pages and for what follows from it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
import zlib
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.recommend.adjustment import times_on_top
from services.orchestrator.recommend.slate_tokens import Attribution, PageReference, TokenSigner
from services.orchestrator.store import Store
from services.orchestrator.store.records import Slate
from services.runtime.errors import FieldViolation, InvalidRequest, NotFound, ServiceError

LONGEST = 300
_PAGES = 10
_SMALLEST = 100
_REMEMBERED = 2_000
_ID_BYTES = 16
_NEWEST_LISTS = 20
_FATIGUE_MICROSECONDS = 7 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class SlateItem:
    """One place of a list: the item, the score that ordered it and the sources that proposed it."""

    item_id: str
    score: float
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MadeSlate:
    """A list with all of its pages.

    Attributes:
        slate: as it is stored.
        items: in the order of `slate.item_ids`.
        history_sequence: highest sequence number of the events that it was made from.
    """

    slate: Slate
    items: tuple[SlateItem, ...]
    history_sequence: int


class SlateLog:
    """Makes, keeps and finds lists, and signs what refers to them.

    Args:
        store: where lists are kept.
        signer: signs tokens.
        page_seconds: how long a list has further pages.
        days: how long a list is kept and what follows from it is attributed.
    """

    def __init__(self, store: Store, signer: TokenSigner, page_seconds: float, days: float) -> None:
        self._store = store
        self._signer = signer
        self._page_microseconds = int(page_seconds * 1e6)
        self._kept_microseconds = int(days * 86_400e6)
        self._recent: OrderedDict[tuple[str, str], Slate] = OrderedDict()

    def make(
        self,
        request: pb.RecommendRequest,
        items: Sequence[SlateItem],
        bundle_version: str,
        arm: str,
        history_sequence: int,
        propensities: Sequence[float] | None = None,
    ) -> MadeSlate:
        """Make a list that is not kept yet; without `propensities` each place is certain, propensity 1."""
        now = _now()
        slate = Slate(
            slate_id=secrets.token_hex(_ID_BYTES),
            user_id=request.user_id,
            surface=request.surface,
            create_time=now,
            expire_time=now + self._kept_microseconds,
            bundle_version=bundle_version,
            arm=arm,
            item_ids=tuple(item.item_id for item in items),
            propensities=numpy.array([1.0] * len(items) if propensities is None else propensities, "<f4").tobytes(),
            content=_pack(items, history_sequence),
        )
        return MadeSlate(slate, tuple(items), history_sequence)

    async def keep(self, tenant: str, made: MadeSlate, seconds: float) -> None:
        """Store a list; it is on disk when this returns.

        Raises:
            ServiceError: it could not be stored.
            TimeoutError: not within `seconds`.
        """
        async with asyncio.timeout(seconds):
            await self._store.write_slate(tenant, made.slate)
        self._recent[tenant, made.slate.slate_id] = made.slate
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    async def find(self, tenant: str, request: pb.RecommendRequest) -> tuple[MadeSlate, int]:
        """Return the list that a request wants another page of, and the place of the page's first item.

        Raises:
            InvalidRequest: the token is bad, or the request is not the one that it was given for.
            NotFound: the list is gone, because its user was erased.
            ServiceError: the store cannot be read.
        """
        reference = self._signer.read_page(request.page_token, tenant=tenant, user_id=request.user_id, now=_now())
        if reference.fingerprint != fingerprint(request):
            description = (
                "belongs to a request with other fields; only page_size and reason_count may differ from those of the "
                "first page"
            )
            raise InvalidRequest([FieldViolation("page_token", description)], reason="REQUEST_CHANGED")
        slate = await self._slate(tenant, reference.slate_id)
        if slate is None:
            raise NotFound("page_token", "list", reference.slate_id, "it is not kept any more; ask for a new one")
        items, history_sequence = _unpack(slate.content, slate.item_ids)
        return MadeSlate(slate, items, history_sequence), reference.offset

    async def find_attributed(self, tenant: str, token: str) -> tuple[MadeSlate, int]:
        """Return the list that an attribution token comes from, and the place of its item.

        Raises:
            InvalidRequest: the token was changed, has expired, or was given to another tenant.
            NotFound: the list is gone, because its user was erased.
            ServiceError: the store cannot be read.
        """
        claimed = self._signer.claimed_attribution(token)
        slate = await self._slate(tenant, claimed.slate_id)
        if slate is None or claimed.position >= len(slate.item_ids):
            # Nobody learns from the answer which lists another tenant has.
            raise NotFound("attribution_token", "list", claimed.slate_id, "it is not kept any more; ask for a new one")
        item_id = slate.item_ids[claimed.position]
        self._signer.read_attribution(token, tenant=tenant, user_id=slate.user_id, item_id=item_id, now=_now())
        items, history_sequence = _unpack(slate.content, slate.item_ids)
        return MadeSlate(slate, items, history_sequence), claimed.position

    async def times_shown(self, tenant: str, user_id: str, seconds: float) -> Counter[str]:
        """Count how often each item stood on top of the user's newest lists of the last week.

        Raises:
            ServiceError: the store cannot be read.
            TimeoutError: not within `seconds`.
        """
        async with asyncio.timeout(seconds):
            slates = await self._store.list_user_slates(tenant, user_id, _NEWEST_LISTS)
        since = _now() - _FATIGUE_MICROSECONDS
        return times_on_top(slate.item_ids for slate in slates if slate.create_time >= since)

    def page_token(self, tenant: str, request: pb.RecommendRequest, made: MadeSlate, offset: int) -> str:
        """Return the token of the page that begins at `offset`; empty when there is none."""
        if offset >= len(made.items):
            return ""
        expire_time = made.slate.create_time + self._page_microseconds
        reference = PageReference(made.slate.slate_id, offset, fingerprint(request))
        return self._signer.page(tenant, request.user_id, reference, expire_time)

    def attribution_token(self, tenant: str, made: MadeSlate, position: int) -> str:
        """Return the token of the item at a place."""
        slate = made.slate
        attribution = Attribution(slate.slate_id, position)
        return self._signer.attribution(tenant, slate.user_id, slate.item_ids[position], attribution, slate.expire_time)

    def erase(self, tenant: str, user_id: str) -> None:
        """Forget a user's lists that are remembered here; the store forgets its own."""
        for key in [key for key, slate in self._recent.items() if key[0] == tenant and slate.user_id == user_id]:
            del self._recent[key]

    async def _slate(self, tenant: str, slate_id: str) -> Slate | None:
        try:
            return await self._store.get_slate(tenant, slate_id)
        except ServiceError:
            remembered = self._recent.get((tenant, slate_id))
            if remembered is None:
                raise
            return remembered


def slate_size(page_size: int) -> int:
    """Return how many items a list has at most: ten pages, at least 100 and at most 300."""
    return min(LONGEST, max(_SMALLEST, _PAGES * page_size))


def fingerprint(request: pb.RecommendRequest) -> bytes:
    """Return 8 bytes that differ when a field differs that must not change between pages."""
    same = pb.RecommendRequest()
    same.CopyFrom(request)
    for field in ("page_token", "page_size", "reason_count"):
        same.ClearField(field)
    return hashlib.blake2b(same.SerializeToString(deterministic=True), digest_size=8).digest()


def _pack(items: Sequence[SlateItem], history_sequence: int) -> bytes:
    names = sorted({source for item in items for source in item.sources})
    content = {
        "sequence": history_sequence,
        "sources": names,
        "scores": [float(numpy.float32(item.score)) for item in items],
        "marks": [sum(1 << names.index(source) for source in item.sources) for item in items],
    }
    return zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 1)


def _unpack(content: bytes, item_ids: Sequence[str]) -> tuple[tuple[SlateItem, ...], int]:
    found = json.loads(zlib.decompress(content))
    items = tuple(
        SlateItem(item_id, score, tuple(name for bit, name in enumerate(found["sources"]) if marks >> bit & 1))
        for item_id, score, marks in zip(item_ids, found["scores"], found["marks"], strict=True)
    )
    return items, found["sequence"]


def _now() -> int:
    return time.time_ns() // 1_000
