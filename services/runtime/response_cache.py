"""The response cache: answers kept by tenant, model, version, options and input, least recently used out first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy
from google.protobuf.message import Message

from services.runtime.batching.lane import ModelIdentity

# What Python's objects take beside the data: the entry, its key and the containers.
_OVERHEAD_BYTES = 512


class ResponseCache:
    """Holds replies as they left the pipeline. They are shared by all who ask, so their arrays are made read-only.

    Args:
        maximum_bytes: size of all entries together.
    """

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum = maximum_bytes
        self._entries: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> tuple[int, int]:
        """Bytes and number of the entries."""
        return self._bytes, len(self._entries)

    def get(self, key: bytes) -> Any | None:
        """Return the reply under a key, None when there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: bytes, reply: Any) -> None:
        """Keep a reply; one that is larger than a tenth of the cache is not worth those it would drive out."""
        size = footprint(reply) + _OVERHEAD_BYTES
        if size * 10 > self._maximum:
            return
        previous = self._entries.pop(key, None)
        self._bytes += size - (previous[1] if previous else 0)
        self._entries[key] = (reply, size)
        while self._bytes > self._maximum:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._bytes -= dropped


def entry_key(tenant: str, identity: ModelIdentity, pipeline: str, key: bytes) -> bytes:
    """Return the key of a cache entry: a digest that is never equal for two different questions.

    Args:
        tenant: who asks; nobody sees what another tenant asked.
        identity: model and version that answer.
        pipeline: what tells pipelines of one version apart: it may answer the same bytes in more than one way, and its
            files may have changed.
        key: canonical bytes of the options and the input.
    """
    digest = hashlib.blake2b(digest_size=24)
    for part in (tenant, identity.name, identity.version, pipeline):
        name = part.encode()
        digest.update(len(name).to_bytes(4, "little"))
        digest.update(name)
    digest.update(key)
    return digest.digest()


def texts_key(texts: Iterable[str]) -> bytes:
    """Return canonical bytes of a list of texts: where one ends and the next begins is part of them."""
    parts = []
    for text in texts:
        content = text.encode()
        parts += [len(content).to_bytes(8, "little"), content]
    return b"".join(parts)


def footprint(value: Any) -> int:
    """Return roughly how many bytes a reply holds, and make its arrays read-only."""
    if isinstance(value, numpy.ndarray):
        value.flags.writeable = False
        # A view keeps the whole array alive that it looks at.
        base = value.base
        return int(base.nbytes if isinstance(base, numpy.ndarray) else value.nbytes)
    if isinstance(value, bytes | bytearray | str):
        return len(value)
    if isinstance(value, Message):
        return int(value.ByteSize())
    if isinstance(value, Mapping):
        return sum(footprint(key) + footprint(entry) for key, entry in value.items())
    if isinstance(value, Sequence):
        return sum(footprint(entry) for entry in value)
    if is_dataclass(value):
        return sum(footprint(getattr(value, entry.name)) for entry in fields(value))
    return 8
