"""The state of a stream, sealed for its caller to keep (docs/adr/0016).

A sealed state is: version (1 byte), time of expiry (uint64, seconds since 1970, big-endian), nonce (12 bytes), and
AES-256-GCM of the state, with version, expiry, tenant, model and version of the model as associated data (NIST SP
800-38D). Tenant and model are not in it: who opens it says for whom.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
import numpy.typing
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.logs import get_logger

KEY_BYTES = 32
VALID_SECONDS = 86_400
MAXIMUM_SEALED_BYTES = 8 << 20
_VERSION = 1
_NONCE_BYTES = 12
_HEAD = struct.Struct(">BQ")
_LENGTH = struct.Struct(">I")
Floats = numpy.typing.NDArray[numpy.float32]
_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a stream needs to go on.

    Attributes:
        next_second: the first second that was not answered.
        origin: time stamp of the video's first frame, see `messages.Opened`.
        events: state of the events model, None when events were not asked for.
        vector_sum: float64[D], sum of the sampled frames' vectors; None when there is none.
        vectors: number of vectors in it.
        vector_model: name and version of the model that they are of.
    """

    next_second: int
    origin: tuple[int, int, int]
    events: Floats | None = None
    vector_sum: numpy.typing.NDArray[numpy.float64] | None = None
    vectors: int = 0
    vector_model: str = ""


class CheckpointSealer:
    """Seals and opens states.

    Args:
        keys: 32 bytes each; the first seals, all open. None makes one that lives as long as the process.
        clock: seconds since 1970.
    """

    def __init__(self, keys: Sequence[bytes] = (), clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._keys = [AESGCM(key) for key in keys] or [AESGCM(AESGCM.generate_key(KEY_BYTES * 8))]
        self._is_shared = bool(keys)
        self._told = False

    def seal(self, state: StreamState, tenant: str, model: str) -> bytes:
        """Return the sealed state for a tenant and the events model `name/version` (empty without one)."""
        if not self._is_shared and not self._told:
            self._told = True
            _logger.warning("video checkpoints can be opened by this process only; set video_checkpoint_keys")
        head = _HEAD.pack(_VERSION, int(self._clock()) + VALID_SECONDS)
        nonce = os.urandom(_NONCE_BYTES)
        return head + nonce + self._keys[0].encrypt(nonce, _pack(state), _associated(head, tenant, model))

    def open(self, sealed: bytes, tenant: str, model: str) -> StreamState:
        """Return the state.

        Raises:
            InvalidRequest: it was altered, is of another tenant or model version, its key is gone, or it expired.
        """
        place = _HEAD.size + _NONCE_BYTES
        if not place < len(sealed) <= MAXIMUM_SEALED_BYTES or sealed[0] != _VERSION:
            raise _refused("CHECKPOINT_INVALID", "is no checkpoint of this service")
        head, nonce = sealed[: _HEAD.size], sealed[_HEAD.size : place]
        for key in self._keys:
            try:
                content = key.decrypt(nonce, sealed[place:], _associated(head, tenant, model))
            except InvalidTag:
                continue
            if _HEAD.unpack(head)[1] < self._clock():
                raise _refused("CHECKPOINT_EXPIRED", "has expired: checkpoints are valid for a day; begin anew")
            return _unpack(content)
        raise _refused(
            "CHECKPOINT_INVALID",
            "cannot be opened: it was altered, is of another tenant or another model version, or its key is not in "
            "use any more; begin anew",
        )


def read_keys(text: str) -> list[bytes]:
    """Return the keys of a setting: base64 of 32 bytes each, separated by commas.

    Raises:
        ValueError: one is no such key.
    """
    keys = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            key = base64.b64decode(part, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise ValueError(f"each key must be base64 of {KEY_BYTES} bytes, as `openssl rand -base64 32` makes them")
        keys.append(key)
    return keys


def _refused(reason: str, description: str) -> InvalidRequest:
    return InvalidRequest([FieldViolation("start.checkpoint", description)], reason)


def _associated(head: bytes, tenant: str, model: str) -> bytes:
    return head + json.dumps([tenant, model]).encode()


def _pack(state: StreamState) -> bytes:
    events = numpy.zeros(0, "<f4") if state.events is None else state.events.astype("<f4")
    total = numpy.zeros(0, "<f8") if state.vector_sum is None else state.vector_sum.astype("<f8")
    head = json.dumps(
        {
            "next_second": state.next_second,
            "origin": state.origin,
            "events": None if state.events is None else list(events.shape),
            "vectors": state.vectors,
            "vector_model": state.vector_model,
            "dimensions": len(total),
        }
    ).encode()
    return _LENGTH.pack(len(head)) + head + events.tobytes() + total.tobytes()


def _unpack(content: bytes) -> StreamState:
    (length,) = _LENGTH.unpack(content[: _LENGTH.size])
    place = _LENGTH.size + length
    head = json.loads(content[_LENGTH.size : place])
    shape, events = head["events"], None
    if shape is not None:
        count = int(numpy.prod(shape))
        events = numpy.frombuffer(content, "<f4", count, place).reshape(shape).astype(numpy.float32)
        place += count * 4
    dimensions = head["dimensions"]
    total = numpy.frombuffer(content, "<f8", dimensions, place).astype(numpy.float64) if dimensions else None
    return StreamState(head["next_second"], tuple(head["origin"]), events, total, head["vectors"], head["vector_model"])
