from __future__ import annotations

import base64

import numpy
import pytest

from services.runtime.errors import InvalidRequest
from services.vision.settings import VisionSettings
from services.vision.video.checkpoint import VALID_SECONDS, CheckpointSealer, StreamState, read_keys

STATE = StreamState(
    7, (512, 1, 12_288), numpy.arange(12, dtype=numpy.float32).reshape(3, 4), numpy.arange(5.0), 7, "pictures/2"
)
OLD, NEW = bytes(range(32)), bytes(32)


def reason_of(sealer: CheckpointSealer, sealed: bytes, tenant: str = "games", model: str = "events/1") -> str:
    with pytest.raises(InvalidRequest) as refused:
        sealer.open(sealed, tenant, model)
    assert [one.field for one in refused.value.violations] == ["start.checkpoint"]
    return refused.value.reason


def test_a_state_comes_back_as_it_was() -> None:
    sealer = CheckpointSealer([OLD])
    opened = CheckpointSealer([OLD]).open(sealer.seal(STATE, "games", "events/1"), "games", "events/1")
    assert (opened.next_second, opened.origin, opened.vectors, opened.vector_model) == (
        7,
        (512, 1, 12_288),
        7,
        "pictures/2",
    )
    assert opened.events is not None
    assert opened.vector_sum is not None
    assert numpy.array_equal(opened.events, numpy.arange(12).reshape(3, 4))
    assert numpy.array_equal(opened.vector_sum, numpy.arange(5.0))


def test_a_state_without_models_comes_back() -> None:
    sealer = CheckpointSealer()
    opened = sealer.open(sealer.seal(StreamState(3, (0, 1, 1)), "games", ""), "games", "")
    assert opened == StreamState(3, (0, 1, 1))


def test_nothing_of_the_state_can_be_read() -> None:
    sealed = CheckpointSealer([OLD]).seal(STATE, "games", "events/1")
    assert b"pictures" not in sealed
    assert STATE.events is not None
    assert STATE.events.tobytes() not in sealed


def test_every_altered_byte_is_noticed() -> None:
    sealer = CheckpointSealer([OLD])
    sealed = sealer.seal(STATE, "games", "events/1")
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        assert reason_of(sealer, bytes(altered)) == "CHECKPOINT_INVALID"


@pytest.mark.parametrize("sealed", [b"", b"\1", bytes(21), bytes(500)])
def test_what_is_no_checkpoint_is_refused(sealed: bytes) -> None:
    assert reason_of(CheckpointSealer([OLD]), sealed) == "CHECKPOINT_INVALID"


@pytest.mark.parametrize(("tenant", "model"), [("films", "events/1"), ("games", "events/2"), ("games", "")])
def test_another_tenant_or_model_version_cannot_open_it(tenant: str, model: str) -> None:
    sealer = CheckpointSealer([OLD])
    assert reason_of(sealer, sealer.seal(STATE, "games", "events/1"), tenant, model) == "CHECKPOINT_INVALID"


def test_it_is_valid_for_a_day() -> None:
    now = 1_000_000.0
    sealer = CheckpointSealer([OLD], lambda: now)
    sealed = sealer.seal(STATE, "games", "events/1")
    now += VALID_SECONDS - 1
    assert sealer.open(sealed, "games", "events/1").next_second == 7
    now += 2
    assert reason_of(sealer, sealed) == "CHECKPOINT_EXPIRED"


def test_the_first_key_seals_and_all_open() -> None:
    before, during, after = CheckpointSealer([OLD]), CheckpointSealer([NEW, OLD]), CheckpointSealer([NEW])
    old, new = before.seal(STATE, "games", ""), during.seal(STATE, "games", "")
    assert during.open(old, "games", "").next_second == 7
    assert after.open(new, "games", "").next_second == 7
    assert reason_of(after, old, model="") == "CHECKPOINT_INVALID"


def test_without_a_key_only_the_same_process_opens_it() -> None:
    sealer = CheckpointSealer()
    sealed = sealer.seal(STATE, "games", "")
    assert sealer.open(sealed, "games", "").next_second == 7
    assert reason_of(CheckpointSealer(), sealed, model="") == "CHECKPOINT_INVALID"


def test_keys_are_read_from_the_settings() -> None:
    text = ", ".join(base64.b64encode(key).decode() for key in (NEW, OLD))
    assert read_keys(text) == [NEW, OLD]
    assert read_keys("") == []
    settings = VisionSettings(video_checkpoint_keys=text)
    assert base64.b64encode(OLD).decode() not in repr(settings)
    with pytest.raises(ValueError, match="openssl rand"):
        VisionSettings(video_checkpoint_keys="c2hvcnQ=")
