"""How many chat messages a second a running mesh moderates live with p99 within 100 ms: `make bench-chat`.

Start a mesh first (`marquee up`). Messages of GoEmotions' test set, a tenth of them with disguised words, arrive at
random times (Poisson) over several streams; the rate rises until the 99th percentile of the time from a message's
arrival to its decision passes the limit. Time that a message waits in the client counts, no message is sent twice, so
no cache answers, and an answer without one of the models ends the measurement. The client shares the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator

import numpy as np

from marquee_client import AsyncMarqueeClient
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.runtime.sources import SourceUnavailable
from services.text.training.moderation.evasion import evade
from services.text.training.moderation.evasions_seen import TRANSFORMS
from services.text.training.understanding.samples import emotion_texts

LIMIT_SECONDS = 0.1
RATES = (50, 100, 150, 200, 300, 400, 600, 800)


def main() -> None:
    """Raises the rate and prints a line for each."""
    parser = argparse.ArgumentParser(prog="make bench-chat", description=__doc__)
    parser.add_argument("--target", default="127.0.0.1:50060", help="orchestrator (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="time at each rate (%(default)s)")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="messages a second to try (%(default)s)")
    parser.add_argument("--streams", type=int, default=8, help="chats at the same time (%(default)s)")
    options = parser.parse_args()
    try:
        lines = chat_lines(20_000)
    except SourceUnavailable as error:
        sys.exit(str(error))
    best = 0
    fresh = (f"{line} {number}" for number, line in enumerate(itertools.cycle(lines)))
    asyncio.run(run_rate(options.target, fresh, 20, 2.0, options.streams))  # the first messages load what is lazy
    for rate in options.rates:
        delays = asyncio.run(run_rate(options.target, fresh, rate, options.seconds, options.streams))
        p50, p99 = np.quantile(delays, [0.5, 0.99])
        print(f"{rate:5d} messages/s  p50 {p50 * 1000:6.1f} ms  p99 {p99 * 1000:6.1f} ms", flush=True)
        if p99 > LIMIT_SECONDS:
            break
        best = rate
    print(f"highest rate with p99 within {LIMIT_SECONDS * 1000:.0f} ms: {best} messages/s")


def chat_lines(count: int) -> list[str]:
    """Return real comments, a tenth of those with an offensive word disguised; the same ones every time."""
    generator, offensive = random.Random(0), load_lexicon().offensive
    comments = [each.text for each in emotion_texts("test")]
    lines = []
    for number in range(count):
        line = comments[number % len(comments)]
        words = {word for word in line.lower().split() if word in offensive}
        if words and generator.random() < 0.5:
            line = evade(line, words, generator.choice(list(TRANSFORMS.values())), generator)
        lines.append(line)
    return lines


async def run_rate(
    target: str, lines: Iterator[str], rate: float, seconds: float, streams: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Send lines at a rate over several streams; returns seconds from each message's arrival to its decision.

    Raises:
        RuntimeError: a message was refused, or one of the models did not answer.
    """
    generator = np.random.default_rng(0)
    delays: list[float] = []
    started = time.monotonic() + 0.2

    async def chat(client: AsyncMarqueeClient) -> None:
        count = int(rate * seconds / streams)
        arrivals = started + np.cumsum(generator.exponential(streams / rate, count))

        async def messages() -> AsyncIterator[tuple[str, str]]:
            for at, arrival in enumerate(arrivals):
                await asyncio.sleep(max(0.0, arrival - time.monotonic()))
                yield str(at), next(lines)

        async for answer in client.moderate_chat(messages()):
            delays.append(time.monotonic() - arrivals[int(answer.message_id)])
            if answer.error or answer.degraded:
                raise RuntimeError(answer.error or "a model did not answer: the mesh is past its limit, or not whole")

    async with AsyncMarqueeClient(target) as client:
        await asyncio.gather(*(chat(client) for _ in range(streams)))
    return np.array(delays)


if __name__ == "__main__":
    main()
