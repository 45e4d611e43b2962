"""Frames of Freedoom's maps with the name and the box of every visible object, made by ViZDoom from a seed.

    python -m services.vision.training.data.doom_frames FOLDER

Neighbouring frames of a game are nearly the same picture. Here the player is put somewhere else for each frame: in
front of an object that is drawn by its class (so that rare classes are seen too), at a random distance and angle,
where no wall stands between. Half of the episodes have monsters that notice the player, so that they attack. The same
map, seed and number give the same frames with the same release of ViZDoom.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import vizdoom

WIDTH, HEIGHT = 320, 240
CLASSES: dict[str, tuple[str, ...]] = {
    "soldier": ("Zombieman", "ShotgunGuy", "ChaingunGuy", "WolfensteinSS"),
    "imp": ("DoomImp",),
    "demon": ("Demon",),
    "flying monster": ("Cacodemon", "LostSoul", "PainElemental"),
    "large monster": (
        *("HellKnight", "BaronOfHell", "Revenant", "Fatso", "Arachnotron", "Archvile"),
        *("Cyberdemon", "SpiderMastermind"),
    ),
    "health": ("HealthBonus", "Stimpack", "Medikit", "Berserk"),
    "armour": ("ArmorBonus", "GreenArmor", "BlueArmor"),
    "ammunition": (
        *("Clip", "ClipBox", "Shell", "ShellBox", "RocketAmmo", "RocketBox", "Cell", "CellPack", "Backpack"),
    ),
    "weapon": ("Shotgun", "SuperShotgun", "Chaingun", "RocketLauncher", "PlasmaRifle", "BFG9000", "Chainsaw"),
    "power-up": ("Soulsphere", "Megasphere", "BlurSphere", "InvulnerabilitySphere", "Infrared", "Allmap", "RadSuit"),
    "key": ("BlueCard", "RedCard", "YellowCard", "BlueSkull", "RedSkull", "YellowSkull"),
    "barrel": ("ExplosiveBarrel",),
    "tree": ("BigTree", "TorchTree", "Stalagtite", "Stalagmite"),
    "pillar": (
        *("TechPillar", "Column", "TallGreenColumn", "ShortGreenColumn", "TallRedColumn", "ShortRedColumn"),
        *("HeartColumn", "SkullColumn", "EvilEye", "FloatingSkull"),
    ),
    "light": (
        *("TechLamp", "TechLamp2", "Candlestick", "Candelabra", "BlueTorch", "GreenTorch", "RedTorch"),
        *("ShortBlueTorch", "ShortGreenTorch", "ShortRedTorch", "BurningBarrel"),
    ),
}
LABELS = tuple(CLASSES)
# A spectre is a see-through demon: even people miss it, so it is neither asked for nor an error.
UNSURE = ("Spectre",)
NUMBER_OF = {name: number for number, names in enumerate(CLASSES.values()) for name in names}

TEST_MAPS = (4, 9, 14, 19, 26)
VALIDATION_MAPS = (6, 17, 28)
TRAINING_MAPS = tuple(number for number in range(1, 33) if number not in (*TEST_MAPS, *VALIDATION_MAPS))
TEST_SEED, VALIDATION_SEED, TRAINING_SEED = 3_000, 2_000, 1_000
TEST_FRAMES_A_MAP, VALIDATION_FRAMES_A_MAP, TRAINING_FRAMES_A_MAP = 200, 120, 180
PARTS = {
    "test": (TEST_MAPS, TEST_SEED, TEST_FRAMES_A_MAP),
    "validation": (VALIDATION_MAPS, VALIDATION_SEED, VALIDATION_FRAMES_A_MAP),
    "training": (TRAINING_MAPS, TRAINING_SEED, TRAINING_FRAMES_A_MAP),
}

LEAST_AREA = 64
# An object is expected to be found when at least this part of its sprite's box shows; sprites fill half of their box.
LEAST_VISIBLE_PART = 0.15
# Mean of the three channels, 0..255, over the visible pixels; below it an object is black on black.
LEAST_BRIGHTNESS = 20.0
_EPISODES = 4
_NEAREST, _FARTHEST = 56.0, 700.0
_LARGEST_TURN = 38.0
_TRIALS = 200
# Of the frames without an object, one in ten is kept: pictures of bare rooms teach what is not an object.
_KEPT_EMPTY = 0.1
_WEAPONS = ("Pistol", "Shotgun", "SuperShotgun", "Chaingun", "RocketLauncher", "PlasmaRifle", "Chainsaw", "Fist")

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Frame:
    """One picture with its objects.

    Attributes:
        pixels: uint8[240, 320, 3], RGB.
        boxes: float32[N, 4], (x0, y0, x1, y1) in parts 0..1 of the picture, around the visible pixels.
        classes: int64[N], an index of `LABELS`.
        ignored: float32[M, 4], boxes of objects that are too small, mostly hidden or in the dark; see `UNSURE`.
    """

    pixels: Pixels
    boxes: Floats
    classes: np.ndarray[Any, np.dtype[np.int64]]
    ignored: Floats


def map_name(number: int) -> str:
    """Returns the name of one of Freedoom's 32 maps, numbered from 1."""
    return f"MAP{number:02d}"


def collect(maps: Sequence[int], seed: int, frames_a_map: int) -> Iterator[Frame]:
    """Yields `frames_a_map` frames of each map in turn; a third of each map's show the status bar."""
    for number in maps:
        with_bar = frames_a_map // 3
        yield from _frames_of_map(number, seed + number, frames_a_map - with_bar, status_bar=False)
        yield from _frames_of_map(number, seed + number + 500, with_bar, status_bar=True)


def _frames_of_map(number: int, seed: int, count: int, status_bar: bool) -> Iterator[Frame]:
    random = np.random.default_rng(seed)
    game = _start(number, seed, status_bar)
    try:
        for episode in range(_EPISODES):
            share = count * (episode + 1) // _EPISODES - count * episode // _EPISODES
            game.set_seed(seed * 10 + episode)
            game.new_episode()
            yield from _frames_of_episode(game, random, share, noticed=episode % 2 == 1)
    finally:
        game.close()


def _start(number: int, seed: int, status_bar: bool) -> vizdoom.DoomGame:
    levels = str(Path(vizdoom.__file__).parent / "freedoom2.wad")
    game = vizdoom.DoomGame()
    game.set_doom_game_path(levels)
    game.set_doom_scenario_path(levels)
    game.set_doom_map(map_name(number))
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_320X240)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_labels_buffer_enabled(True)
    game.set_objects_info_enabled(True)
    game.set_sectors_info_enabled(True)
    game.set_render_hud(status_bar)
    game.set_window_visible(False)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_doom_skill(4)
    game.set_episode_timeout(0)
    game.set_available_buttons([vizdoom.Button.TURN_LEFT_RIGHT_DELTA, vizdoom.Button.ATTACK])
    game.set_available_game_variables([vizdoom.GameVariable.ANGLE])
    game.add_game_args("+sv_cheats 1")
    game.set_seed(seed)
    game.init()
    return game


def _frames_of_episode(
    game: vizdoom.DoomGame, random: np.random.Generator, count: int, noticed: bool
) -> Iterator[Frame]:
    for command in ("god", *(() if noticed else ("notarget",)), "give weapons", "give ammo"):
        game.send_game_command(command)
    game.send_game_command(f"use {random.choice(_WEAPONS)}")
    game.make_action([0, 0], 30)
    state = game.get_state()
    walls = _walls(state)
    yielded = 0
    for _ in range(count * 20):
        place = _place(state, walls, random)
        if yielded == count or place is None:
            return
        x, y, angle = place
        game.send_game_command(f"warp {x:.0f} {y:.0f}")
        fires = float(random.random() < 0.12)
        game.make_action([0, fires], int(random.integers(2, 9)))
        turn = (game.get_game_variable(vizdoom.GameVariable.ANGLE) - angle + 180) % 360 - 180
        game.make_action([turn, fires], 1)
        if game.is_episode_finished():
            # A god survives everything but a warp onto the exit; the map then starts again.
            game.new_episode()
            game.send_game_command("god")
            game.make_action([0, 0], 2)
            state = game.get_state()
            continue
        state = game.get_state()
        frame = _frame(state)
        if len(frame.boxes) or random.random() < _KEPT_EMPTY:
            yielded += 1
            yield frame


def _walls(state: Any) -> Floats:
    """Returns float32[N, 4], the ends of every line that nobody can walk through."""
    lines = [
        (line.x1, line.y1, line.x2, line.y2) for sector in state.sectors for line in sector.lines if line.is_blocking
    ]
    return np.array(lines, dtype=np.float32).reshape(-1, 4)


def _place(state: Any, walls: Floats, random: np.random.Generator) -> tuple[float, float, float] | None:
    """Returns x, y and the direction of view in degrees, or None when a wall stood between in every trial."""
    by_class: dict[int, list[Any]] = {}
    for thing in state.objects:
        if thing.name in NUMBER_OF:
            by_class.setdefault(NUMBER_OF[thing.name], []).append(thing)
    if not by_class:
        return None
    for _ in range(_TRIALS):
        things = by_class[sorted(by_class)[random.integers(len(by_class))]]
        thing = things[random.integers(len(things))]
        direction = random.uniform(0, 2 * math.pi)
        distance = math.exp(random.uniform(math.log(_NEAREST), math.log(_FARTHEST)))
        x, y = thing.position_x + distance * math.cos(direction), thing.position_y + distance * math.sin(direction)
        turn = random.uniform(-_LARGEST_TURN, _LARGEST_TURN)
        if not _crosses(walls, (thing.position_x, thing.position_y), (x, y)):
            return x, y, (math.degrees(direction) + 180 + turn) % 360
    return None


def _crosses(walls: Floats, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Returns whether the way from start to end crosses a wall."""
    ends, others = walls[:, :2].astype(np.float64), walls[:, 2:].astype(np.float64)

    def side(a: Any, b: Any, c: Any) -> Any:
        return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])

    first, last = np.array(start), np.array(end)
    separated = side(first, last, ends) * side(first, last, others) <= 0
    return bool((separated & (side(ends, others, first) * side(ends, others, last) <= 0)).any())


def _frame(state: Any) -> Frame:
    boxes, classes, ignored = [], [], []
    pixels = np.array(state.screen_buffer)
    for label in state.labels:
        number = NUMBER_OF.get(label.object_name)
        if number is None and label.object_name not in UNSURE:
            continue
        rows, columns = np.nonzero(state.labels_buffer == label.value)
        if not len(rows):
            continue
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        area = (box[2] - box[0]) * (box[3] - box[1])
        visible = len(rows) >= LEAST_VISIBLE_PART * label.width * label.height
        bright = float(pixels[rows, columns].mean()) >= LEAST_BRIGHTNESS
        if number is not None and area >= LEAST_AREA and visible and bright:
            boxes.append(box)
            classes.append(number)
        else:
            ignored.append(box)
    size = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], dtype=np.float32)
    return Frame(
        pixels,
        np.array(boxes, dtype=np.float32).reshape(-1, 4) / size,
        np.array(classes, dtype=np.int64),
        np.array(ignored, dtype=np.float32).reshape(-1, 4) / size,
    )


def save(frames: Iterator[Frame], folder: Path) -> None:
    """Writes the frames as `pixels.npy` and `objects.npz` for the fit."""
    collected = list(frames)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "pixels.npy", np.stack([frame.pixels for frame in collected]))
    np.savez(
        folder / "objects.npz",
        boxes=np.concatenate([frame.boxes for frame in collected]),
        classes=np.concatenate([frame.classes for frame in collected]),
        ignored=np.concatenate([frame.ignored for frame in collected]),
        counts=np.array([len(frame.boxes) for frame in collected]),
        ignored_counts=np.array([len(frame.ignored) for frame in collected]),
    )


def main() -> None:
    """Writes one folder for each map below the folder of its part."""
    parser = argparse.ArgumentParser(prog="python -m services.vision.training.data.doom_frames", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", choices=PARTS, help="only this one")
    options = parser.parse_args()
    for part in [options.part] if options.part else PARTS:
        maps, seed, frames_a_map = PARTS[part]
        for number in maps:
            save(collect([number], seed, frames_a_map), options.folder / part / map_name(number))


if __name__ == "__main__":
    main()
