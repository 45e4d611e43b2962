"""Gameplay video with the truth of what happened in each second, played here by simple scripts.

Atari games (PyPI ale-py, a build-time tool) and ViZDoom scenarios (Freedoom pictures). A stream goes on through the end
of an episode, as a recording would. Frames are taken eight times a second of game time, at both emulators' own pace.

What an event means, for one second of one stream:

* score: points were won (Atari); the level's count of kills or items rose (Doom).
* kill: the count of kills rose (Doom); points were won in the three shooters whose only points are shot enemies.
* damage: health was lost (Doom); a life or a point was lost (Atari).
* life_lost: the count of lives fell (Atari); the player died (Doom).
* idle: the player has given no input for this second and the one before.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

EVENTS = ("score", "kill", "damage", "life_lost", "idle")
FRAMES_PER_SECOND = 8
HEIGHT, WIDTH = 80, 96
IDLE_SECONDS = 2
UNKNOWN = -1
# Held out by seed: a seed decides everything that the player and the emulator do.
SPLIT_SEEDS = {"train": 1_000, "validation": 2_000, "test": 3_000}

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Labels = np.ndarray[Any, np.dtype[np.int8]]


class Counts(NamedTuple):
    """What happened since the frame before: points won, enemies killed, health or points lost, lives lost."""

    points: float
    kills: float
    damage: float
    lives: float


class Player(Protocol):
    """A game that is being played."""

    def advance(self, act: bool) -> tuple[Bytes, Counts]:
        """Plays one eighth of a second, with no input when not `act`; returns the picture at its end."""

    def close(self) -> None:
        """Ends the game."""


@dataclass(frozen=True)
class Game:
    """One game: its name, its emulator, and which events the emulator tells the truth of."""

    name: str
    emulator: str
    known: frozenset[str]


@dataclass(frozen=True)
class Clip:
    """A stream of S seconds.

    Attributes:
        game: Name of the game.
        frames: U8[S * 8, 80, 96, 3] in RGB.
        counts: F32[S, 4], the fields of `Counts` summed over each second.
        labels: I8[S, 5] in the order of `EVENTS`: 1 happened, 0 did not, -1 the emulator does not say.
    """

    game: str
    frames: Bytes
    counts: Floats
    labels: Labels


_ALL = frozenset(EVENTS)
GAMES = {
    game.name: game
    for game in (
        Game("assault", "ale", _ALL),
        Game("asterix", "ale", _ALL),
        Game("boxing", "ale", _ALL - {"life_lost"}),
        Game("breakout", "ale", _ALL),
        Game("demon_attack", "ale", _ALL),
        Game("ms_pacman", "ale", _ALL - {"kill"}),
        Game("pong", "ale", _ALL - {"life_lost"}),
        Game("qbert", "ale", _ALL - {"kill"}),
        Game("seaquest", "ale", _ALL - {"kill"}),
        Game("space_invaders", "ale", _ALL),
        Game("deadly_corridor", "vizdoom", _ALL),
        Game("deathmatch", "vizdoom", _ALL),
        Game("defend_the_center", "vizdoom", _ALL),
        Game("defend_the_line", "vizdoom", _ALL),
        Game("take_cover", "vizdoom", _ALL),
    )
}


def record(name: str, split: str, seconds: int, number: int = 0) -> Clip:
    """Plays a game and returns the stream; the same arguments give the same stream.

    Args:
        name: A key of `GAMES`.
        split: `train`, `validation` or `test`.
        seconds: Length of the stream in seconds of game time.
        number: Which stream of the split.

    Raises:
        ImportError: The game's emulator is not installed.
    """
    seed = SPLIT_SEEDS[split] + 100 * number + zlib.crc32(name.encode()) % 97
    random = np.random.default_rng(seed)
    player = _open(GAMES[name], seed, random)
    frames = np.empty((seconds * FRAMES_PER_SECOND, HEIGHT, WIDTH, 3), np.uint8)
    counts = np.zeros((seconds, 4), np.float32)
    acted = np.zeros(seconds, bool)
    try:
        for index, act in zip(range(len(frames)), _attention(random), strict=False):
            frames[index], happened = player.advance(act)
            counts[index // FRAMES_PER_SECOND] += happened
            acted[index // FRAMES_PER_SECOND] |= act
    finally:
        player.close()
    return Clip(name, frames, counts, labels_of(GAMES[name], counts, acted))


def labels_of(game: Game, counts: Floats, acted: np.ndarray[Any, np.dtype[np.bool_]]) -> Labels:
    """Returns I8[S, 5] from the counts F32[S, 4] of each second and whether there was any input in it, bool[S]."""
    labels = np.zeros((len(counts), len(EVENTS)), np.int8)
    labels[:, :4] = counts > 0
    idle = ~acted
    for _ in range(IDLE_SECONDS - 1):
        idle = ~acted & np.concatenate([[False], idle[:-1]])
    labels[:, 4] = idle
    for column, event in enumerate(EVENTS):
        if event not in game.known:
            labels[:, column] = UNKNOWN
    return labels


def shrink(picture: Bytes) -> Bytes:
    """Returns a picture U8[h, w, 3] stretched to the size that the network takes."""
    return np.asarray(Image.fromarray(picture).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))


def _attention(random: np.random.Generator) -> Iterator[bool]:
    """Yields for each frame whether the player acts: 8 to 40 s of play, then hands off for 1.5 to 9 s."""
    while True:
        for _ in range(int(random.uniform(8, 40) * FRAMES_PER_SECOND)):
            yield True
        for _ in range(int(random.uniform(1.5, 9) * FRAMES_PER_SECOND)):
            yield False


def _open(game: Game, seed: int, random: np.random.Generator) -> Player:
    # Each emulator is imported only where it is used: a service's environment has one and not the other.
    if game.emulator == "ale":
        from services.vision.training.data.atari_player import AtariPlayer  # noqa: PLC0415  # only who plays it

        return AtariPlayer(game.name, seed, random)
    from services.vision.training.data.doom_player import DoomPlayer  # noqa: PLC0415  # only who plays it

    return DoomPlayer(game.name, seed, random)
