"""Screenshots of 104 Atari 2600 games, each with the name of its game, from ale-py (GPL-2.0; a build-time tool).

The Arcade Learning Environment (Bellemare et al. 2013; Machado et al. 2018) plays the games in its wheel with random
buttons. The three parts differ in the seed of the console and the buttons, and the test part also lies later in play:

| part | seeds | seconds of play | frames a seed |
|---|---|---|---|
| fit | 0 to 7 | 1 to 18 | 30 |
| validation | 10 | 1 to 18 | 10 |
| test | 104, 105 | 20 to 28 | 25 |

A game that ends starts again and the clock runs on. No picture of a game may be committed: they are collected again
where they are needed, which takes about eight minutes of one core, and kept in the data folder.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.runtime.sources import DataSettings, SourceUnavailable
from services.vision.pipelines.image_decoding import decode_shaped
from services.vision.pipelines.picture_shape import Stretch

VERSION = "0.12.1"
SIDE = 84
FRAMES_A_DECISION = 4
LONGEST_HOLD = 6
"""Decisions that a button is held at most."""


@dataclass(frozen=True)
class Part:
    """Which screenshots one part holds: of each seed, `frames` of them, evenly over the decisions from and up to."""

    seeds: Sequence[int]
    start: int
    end: int
    frames: int


PARTS = {
    "fit": Part(range(8), 10, 270, 30),
    "validation": Part((10,), 10, 270, 10),
    "test": Part((104, 105), 300, 420, 25),
}

Pixels = NDArray[np.uint8]
Classes = NDArray[np.int64]


def game_names() -> list[str]:
    """Returns the names of the games that the emulator can play, sorted: the classes in their order.

    The wheel holds 108; the emulator does not play Combat, Joust, Maze Craze and Warlords.

    Raises:
        SourceUnavailable: ale-py is not installed, or in another version.
    """
    emulator = _emulator()
    console, roms = emulator.ALEInterface, emulator.roms
    return sorted(name for name in roms.get_all_rom_ids() if console.isSupportedROM(roms.get_rom_path(name)))


def load_screenshots(part: str) -> tuple[list[bytes], Classes]:
    """Returns N screenshots as PNG files in their own size, and the int64[N] numbers of their games.

    Args:
        part: "fit", "validation" or "test".

    Raises:
        SourceUnavailable: ale-py is not installed, or in another version.
    """
    kept = DataSettings().data_directory / "sources" / f"ale-py-{VERSION}-screenshots" / f"{part}-{_recipe(part)}.npz"
    names, wanted = game_names(), PARTS[part]
    if not kept.exists():
        files = [file for name in names for seed in wanted.seeds for file in _played(name, seed, wanted)]
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f"{kept.name}.partial")
        with partial.open("wb") as target:
            np.savez(target, content=np.frombuffer(b"".join(files), np.uint8), lengths=[len(file) for file in files])
        partial.replace(kept)
    with np.load(kept) as archive:
        content, ends = archive["content"].tobytes(), np.cumsum(archive["lengths"])
    files = [content[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return files, np.repeat(np.arange(len(names)), len(wanted.seeds) * wanted.frames)


def stretched(files: Sequence[bytes], side: int = SIDE) -> Pixels:
    """Returns uint8[N, side, side, 3]: the whole pictures, stretched as the service does."""
    return np.stack([decode_shaped(file, Stretch(side, side)).pixels for file in files])


@functools.cache
def load_stretched(part: str) -> tuple[Pixels, Classes]:
    """Returns one part as uint8[N, 84, 84, 3] and int64[N]; kept in memory, because decoding takes half a minute.

    Raises:
        SourceUnavailable: ale-py is not installed, or in another version.
    """
    files, classes = load_screenshots(part)
    return stretched(files), classes


def _played(name: str, seed: int, part: Part) -> Iterator[bytes]:
    emulator = _emulator()
    emulator.ALEInterface.setLoggerMode(emulator.LoggerMode.Error)
    game = emulator.ALEInterface()
    game.setInt("random_seed", seed)
    game.setFloat("repeat_action_probability", 0.25)
    game.setInt("frame_skip", FRAMES_A_DECISION)
    game.loadROM(emulator.roms.get_rom_path(name))
    buttons = game.getMinimalActionSet()
    random = np.random.default_rng([seed, *name.encode()])
    wanted = set(np.linspace(part.start, part.end, part.frames).round().astype(int).tolist())
    held, left = buttons[0], 0
    for decision in range(1, part.end + 1):
        if left == 0:
            held, left = buttons[random.integers(len(buttons))], int(random.integers(1, LONGEST_HOLD + 1))
        left -= 1
        game.act(held)
        if game.game_over():
            game.reset_game()
        if decision in wanted:
            yield _png(game.getScreenRGB())


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=2)
    return buffer.getvalue()


def _emulator() -> Any:
    try:
        emulator: Any = importlib.import_module("ale_py")
        emulator.roms = importlib.import_module("ale_py.roms")
    except ImportError as error:
        raise SourceUnavailable(
            f"the screenshots come from ale-py {VERSION}, which is not installed here; "
            "use .venv-training, where deploy/locks/training.txt puts it"
        ) from error
    if emulator.__version__ != VERSION:
        raise SourceUnavailable(f"ale-py is {emulator.__version__}; the screenshots were collected with {VERSION}")
    return emulator


def _recipe(part: str) -> str:
    described = f"{PARTS[part]} {FRAMES_A_DECISION} {LONGEST_HOLD}"
    return hashlib.sha256(described.encode()).hexdigest()[:8]


if __name__ == "__main__":
    for each in PARTS:
        print(each, len(load_screenshots(each)[0]), flush=True)
