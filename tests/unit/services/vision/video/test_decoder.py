from __future__ import annotations

import asyncio
import os
import signal

import psutil
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


async def test_a_decoder_that_is_left_ends_whatever_is_on_its_way() -> None:
    pool = DecoderPool(1, hung_seconds=60)
    decoder = await pool.start(DecodingOptions())
    feeding = asyncio.create_task(decoder.feed(bytes(4 << 20)))  # more than its pipe holds
    hearing = asyncio.create_task(decoder.next_message())
    await asyncio.sleep(0.1)
    decoder.close()
    decoder.close()
    assert isinstance(await asyncio.wait_for(hearing, 60), Ended)
    await asyncio.wait_for(feeding, 60)
    await settled(lambda: pool.running == 0)
    assert not psutil.pid_exists(decoder.pid)


async def test_a_decoder_is_no_copy_of_the_service() -> None:
    # A copy runs what libraries want done in it, and a service with many threads may crash there.
    copies = []
    os.register_at_fork(before=lambda: copies.append(1))
    pool = DecoderPool(1, hung_seconds=60)
    decoder = await pool.start(DecodingOptions())
    decoder.close()
    await settled(lambda: pool.running == 0)
    assert not copies
