"""Records a game: a script plays Freedoom in ViZDoom, and the engine says what really happened in each second.

Freedoom's levels and pictures are free (BSD), so what is recorded may be shown.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed

if TYPE_CHECKING:
    import numpy as np

SCENES = ("defend_the_center", "deadly_corridor", "defend_the_line", "deathmatch")
"""ViZDoom's scenarios, in the order in which they are played; each change is a change of scene."""
WIDTH, HEIGHT = 640, 480
TICS_PER_FRAME = 2
RATE = Fraction(35, TICS_PER_FRAME)
"""Frames a second, at the engine's own pace of 35 tics."""
_SCENE_SECONDS = 15.0
_IDLE_AFTER_SECONDS, _IDLE_SECONDS = 9.0, 3.0
"""In each scene the player once takes the hands off the keys."""
_BUTTONS = ("ATTACK", "MOVE_LEFT", "MOVE_RIGHT", "MOVE_FORWARD", "TURN_LEFT", "TURN_RIGHT")
_AIM_PART = 0.05
_SKILL = 3
"""Of 5: a script that only aims and shoots survives for a while."""
_NOT_ENEMIES = ("Blood", "Puff", "DoomPlayer", "Ball", "Dead", "Gib")
_SEEDS_FROM = 700_000
"""Far from the seeds with which models are fitted: what is recorded is new to them."""


class Screen(Protocol):
    """A game that is being played."""

    def advance(self, *, act: bool) -> tuple[Any, Tally]:
        """Play one frame; return its picture, uint8[480, 640, 3] in RGB, and what happened in it."""

    def close(self) -> None:
        """End the game."""


@dataclass(frozen=True)
class Tally:
    """What happened in a frame: kills, things picked up, health lost, deaths."""

    kills: int = 0
    items: int = 0
    damage: int = 0
    deaths: int = 0


@dataclass(frozen=True)
class Recording:
    """A recorded clip.

    Attributes:
        path: the file.
        cuts: seconds at which another scene begins.
        truth: by second, the names of the events that happened in it, as a timeline has them.
    """

    path: Path
    cuts: list[float]
    truth: dict[int, set[str]]


def record(path: Path, seconds: int, seed: int, watch: Callable[[], None] = lambda: None) -> Recording:
    """Play and write a fragmented MP4, which can be analysed while it is sent.

    Args:
        path: file to write.
        seconds: length of the clip.
        seed: decides what is played; the same seed gives the same clip.
        watch: called after each second.

    Raises:
        CommandFailed: the game or the encoder is not installed.
    """
    try:
        import av
        import vizdoom  # noqa: F401  # said before the work begins
    except ImportError as error:
        raise CommandFailed(
            f"recording gameplay needs {error.name}",
            "pip install 'marquee[gameplay,video]'; `make setup` and `make demo` install both.",
            EXIT_WRONG_INPUT,
        ) from error
    cuts: list[float] = []
    truth: dict[int, set[str]] = {second: set() for second in range(seconds)}
    acted = dict.fromkeys(range(seconds), False)
    with av.open(str(path), "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.gop_size = round(RATE)
        before = -1
        for number, (scene, act, picture, tally) in enumerate(_frames(seconds, seed)):
            second = int(number / RATE)
            if scene != before and before >= 0:
                cuts.append(float(number / RATE))
            before = scene
            truth[second] |= _events(tally)
            acted[second] |= act
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            if int((number + 1) / RATE) > second:
                watch()
        container.mux(stream.encode())
    for second in range(1, seconds):
        if not acted[second] and not acted[second - 1]:
            truth[second].add("idle")
    return Recording(path, cuts, truth)


def _frames(seconds: int, seed: int) -> Iterator[tuple[int, bool, np.ndarray[Any, Any], Tally]]:
    """Yield (number of the scene, whether the player acts, picture, what happened) of each frame."""
    count = round(seconds * RATE)
    scenes = max(1, round(seconds / _SCENE_SECONDS))
    for scene in range(scenes):
        game: Screen = DoomGame(SCENES[scene % len(SCENES)], _SEEDS_FROM + 100 * seed + scene)
        try:
            for place in range(count * scene // scenes, count * (scene + 1) // scenes):
                at = float((place - count * scene // scenes) / RATE)
                act = not _IDLE_AFTER_SECONDS <= at < _IDLE_AFTER_SECONDS + _IDLE_SECONDS
                yield scene, act, *game.advance(act=act)
        finally:
            game.close()


def _events(tally: Tally) -> set[str]:
    happened = {
        "score": tally.kills + tally.items,
        "kill": tally.kills,
        "damage": tally.damage,
        "life lost": tally.deaths,
    }
    return {name for name, count in happened.items() if count > 0}


class DoomGame:
    """A scenario whose player turns to the largest monster in sight and shoots, and wanders where there is none.

    Args:
        scenario: one of `SCENES`.
        seed: of the engine and of the player.
    """

    def __init__(self, scenario: str, seed: int) -> None:
        import vizdoom

        self._variables = vizdoom.GameVariable
        self._random = random.Random(seed)  # noqa: S311  # a player, not a secret
        game: Any = vizdoom.DoomGame()
        game.load_config(str(Path(vizdoom.scenarios_path) / f"{scenario}.cfg"))
        game.set_doom_skill(_SKILL)
        game.set_window_visible(False)
        game.set_seed(seed)
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_640X480)
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        game.set_render_hud(True)
        game.set_render_screen_flashes(True)
        game.set_labels_buffer_enabled(True)
        game.set_available_buttons([getattr(vizdoom.Button, button) for button in _BUTTONS])
        # The engine leaves a folder and a file where it is started.
        self._folder = tempfile.TemporaryDirectory(prefix="marquee-doom-")
        game.set_doom_config_path(str(Path(self._folder.name) / "engine.ini"))
        with contextlib.chdir(self._folder.name):
            game.init()
        self._game = game
        self._held = [False] * len(_BUTTONS)
        self._frames_left = 0
        self._picture: Any = game.get_state().screen_buffer
        self._before = self._read()

    def advance(self, *, act: bool) -> tuple[Any, Tally]:
        """See `Screen`."""
        self._game.make_action(self._buttons() if act else [False] * len(_BUTTONS), TICS_PER_FRAME)
        died = self._game.is_player_dead()
        kills, items, health = self._read()
        tally = Tally(
            max(kills - self._before[0], 0),
            max(items - self._before[1], 0),
            max(self._before[2] - max(health, 0), 0),
            int(died),
        )
        self._before = (kills, items, health)
        if self._game.is_episode_finished():
            self._game.new_episode()
            self._before = self._read()
        state = self._game.get_state()
        if state is not None:
            self._picture = state.screen_buffer
        return self._picture, tally

    def close(self) -> None:
        """See `Screen`."""
        self._game.close()
        self._folder.cleanup()

    def _read(self) -> tuple[int, int, int]:
        names = (self._variables.KILLCOUNT, self._variables.ITEMCOUNT, self._variables.HEALTH)
        kills, items, health = (int(self._game.get_game_variable(name)) for name in names)
        return kills, items, health

    def _buttons(self) -> list[bool]:
        target = self._largest_monster()
        if target is None:
            self._frames_left -= 1
            if self._frames_left < 0:
                self._frames_left = self._random.randint(6, 24)
                turn = self._random.choice(("TURN_LEFT", "TURN_RIGHT"))
                walk = self._random.choice(("MOVE_FORWARD", "MOVE_FORWARD", "MOVE_LEFT", "MOVE_RIGHT"))
                self._held = [button in (turn, walk) for button in _BUTTONS]
            return self._held
        offset = target - 0.5
        pressed = {
            "ATTACK": abs(offset) < _AIM_PART,
            "TURN_LEFT": offset < -_AIM_PART / 2,
            "TURN_RIGHT": offset > _AIM_PART / 2,
            "MOVE_LEFT": self._random.random() < 0.1,
        }
        return [pressed.get(button, False) for button in _BUTTONS]

    def _largest_monster(self) -> float | None:
        """Return its middle in parts of the picture's width; None when none is in sight."""
        state = self._game.get_state()
        seen = [
            label
            for label in (state.labels if state is not None else [])
            if label.object_category.startswith("Monster")
            and not any(word in label.object_name for word in _NOT_ENEMIES)
        ]
        if not seen:
            return None
        largest = max(seen, key=lambda label: label.width * label.height)
        return float(largest.x + largest.width / 2) / WIDTH
