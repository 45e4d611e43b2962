from __future__ import annotations

import os
import signal

import pytest

from services.vision.video.decoder import DecoderPool
from services.vision.video.decoding.messages import Ended
from services.vision.video.decoding.options import DecodingOptions
from tests.support.video_calls import settled


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGKILL, "DECODER_OUT_OF_MEMORY"), (signal.SIGSEGV, "DECODER_CRASHED")]
)
async def test_bytes_for_a_decoder_that_has_died_are_dropped(number: signal.Signals, reason: str) -> None:
    pool = DecoderPool(1, hung_seconds=60)
    decoder = await pool.start(DecodingOptions())
    os.kill(decoder.pid, number)
    # The upload goes on until the stream has heard of it.
    for _ in range(4):
        await decoder.feed(bytes(200_000))
    message = await decoder.next_message()
    assert isinstance(message, Ended)
    assert message.reason == reason
    await decoder.feed(bytes(200_000))
    decoder.end_of_input()
    decoder.close()
    await settled(lambda: pool.running == 0)
