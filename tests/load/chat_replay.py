"""Moderates 10,000 real chat-like lines over the live stream and draws what was done: `make chat-replay`.

The lines are tweets (PyPI `vaderSentiment`), comments of GoEmotions' test set, and the load generator's chat lines; in
a third of those that hold an offensive word, that word is disguised. Without --target, the services run inside this
process.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

import structlog

from marquee_client import MarqueeClient
from services.cli.chat_picture import draw
from services.cli.chat_replay import Replay, replay_chat
from services.cli.console import stage
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.runtime.sources import REPOSITORY_ROOT, SourceUnavailable
from services.text.training.corpus import TWEETS
from services.text.training.moderation.evasion import evade
from services.text.training.moderation.evasions_seen import TRANSFORMS
from services.text.training.understanding.samples import emotion_texts, rated_texts
from tests.support.content_mesh import content_mesh

_CHAT_LINES = REPOSITORY_ROOT / "services" / "cli" / "load" / "scenarios" / "chat_lines.txt"
_DISGUISED = 1 / 3


def main() -> None:
    """Replays, draws, and says where."""
    parser = argparse.ArgumentParser(prog="make chat-replay", description=__doc__)
    parser.add_argument("--target", help="orchestrator of a running mesh (the services run in this process)")
    parser.add_argument("--lines", type=int, default=10_000, help="lines to moderate (%(default)s)")
    parser.add_argument("--picture", type=Path, default=Path("moderation.png"), help="file to draw (%(default)s)")
    options = parser.parse_args()
    try:
        lines = chat(options.lines)
    except SourceUnavailable as error:
        sys.exit(str(error))
    replay = replayed(options.target, lines) if options.target else asyncio.run(_with_own_services(lines))
    draw(replay, options.picture)
    print(
        f"{len(replay.actions):,} messages in {replay.seconds:.0f} s, {replay.degraded:,} without one of the models; "
        f"drawn to {options.picture}"
    )


def chat(count: int) -> list[str]:
    """Return that many lines, the same ones every time."""
    generator, offensive = random.Random(0), load_lexicon().offensive
    real = [each.text for each in rated_texts() if each.source == TWEETS]
    real += [each.text for each in emotion_texts("test")]
    real += _CHAT_LINES.read_text(encoding="utf-8").splitlines()
    real = [line for line in real if line.strip()]
    generator.shuffle(real)
    lines = []
    for number in range(count):
        line = real[number % len(real)]
        words = {word for word in line.lower().split() if word in offensive}
        if words and generator.random() < _DISGUISED:
            line = evade(line, words, generator.choice(list(TRANSFORMS.values())), generator)
        lines.append(line)
    return lines


def replayed(target: str, lines: list[str]) -> Replay:
    """Send the lines to a mesh."""
    with MarqueeClient(target) as client, stage("Moderating", len(lines)) as progress:
        return replay_chat(client, lines, "", progress.advance)


async def _with_own_services(lines: list[str]) -> Replay:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(prefix="marquee-chat-") as folder:
        async with content_mesh(Path(folder)) as mesh:
            return await asyncio.to_thread(replayed, mesh.address, lines)


if __name__ == "__main__":
    main()
