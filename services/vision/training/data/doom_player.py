"""Plays a ViZDoom scenario: turns to the nearest monster in sight and shoots, wanders otherwise, and errs on purpose.

The pictures are those of Freedoom (BSD), with the status bar and the red flash of a hit, as in a recording of play.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import vizdoom

from services.vision.training.data.gameplay_clips import FRAMES_PER_SECOND, Bytes, Counts, shrink

TICS_PER_SECOND = 35
SCREEN = (240, 320)
BUTTONS = ("ATTACK", "MOVE_LEFT", "MOVE_RIGHT", "MOVE_FORWARD", "TURN_LEFT", "TURN_RIGHT")
AIM_PIXELS = 18
# Part of the stretches in which the player only presses random buttons: that is how health is lost.
CLUMSY_PART = 0.35
NOT_ENEMIES = ("Blood", "BulletPuff", "DoomPlayer", "Ball", "Dead", "Gib")


class DoomPlayer:
    """One running scenario; see `gameplay_clips.Player`."""

    def __init__(self, name: str, seed: int, random: np.random.Generator) -> None:
        self._random = random
        game: Any = vizdoom.DoomGame()
        game.load_config(str(Path(vizdoom.scenarios_path) / f"{name}.cfg"))
        game.set_window_visible(False)
        game.set_seed(seed)
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_320X240)
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        game.set_render_hud(True)
        game.set_render_screen_flashes(True)
        game.set_labels_buffer_enabled(True)
        game.set_available_buttons([getattr(vizdoom.Button, button) for button in BUTTONS])
        game.init()
        self._game = game
        self._tics_due = 0.0
        self._frames_left, self._clumsy, self._held = 0, False, [False] * len(BUTTONS)
        self._picture: Bytes = np.zeros((*SCREEN, 3), np.uint8)
        self._counts = self._read()

    def advance(self, act: bool) -> tuple[Bytes, Counts]:
        """Plays 4 or 5 of the engine's tics."""
        self._tics_due += TICS_PER_SECOND / FRAMES_PER_SECOND
        tics = int(self._tics_due)
        self._tics_due -= tics
        self._game.make_action(self._buttons() if act else [False] * len(BUTTONS), tics)
        died = self._game.is_player_dead()
        counts = self._read()
        kills = counts["kills"] - self._counts["kills"]
        items = counts["items"] - self._counts["items"]
        damage = self._counts["health"] - max(counts["health"], 0.0)
        self._counts = counts
        if self._game.is_episode_finished():
            self._game.new_episode()
            self._counts = self._read()
        state = self._game.get_state()
        if state is not None:
            self._picture = state.screen_buffer
        happened = Counts(max(kills, 0.0) + max(items, 0.0), max(kills, 0.0), max(damage, 0.0), float(died))
        return shrink(self._picture), happened

    def close(self) -> None:
        """Stops the engine's process."""
        self._game.close()

    def _read(self) -> dict[str, float]:
        variables = vizdoom.GameVariable
        return {
            "kills": self._game.get_game_variable(variables.KILLCOUNT),
            "items": self._game.get_game_variable(variables.ITEMCOUNT),
            "health": self._game.get_game_variable(variables.HEALTH),
        }

    def _buttons(self) -> list[bool]:
        self._frames_left -= 1
        if self._frames_left < 0:
            self._frames_left = int(self._random.integers(2, 10))
            self._clumsy = self._random.random() < CLUMSY_PART
            self._held = [bool(pressed) for pressed in self._random.random(len(BUTTONS)) < 0.3]
            if not any(self._held):
                self._held[int(self._random.integers(1, len(BUTTONS)))] = True
        target = None if self._clumsy else self._nearest()
        if target is None:
            return self._held
        pressed = dict.fromkeys(BUTTONS, False)
        offset = target - SCREEN[1] / 2
        pressed["ATTACK"] = abs(offset) < AIM_PIXELS
        pressed["TURN_RIGHT"], pressed["TURN_LEFT"] = offset > AIM_PIXELS / 2, offset < -AIM_PIXELS / 2
        return list(pressed.values())

    def _nearest(self) -> float | None:
        """Returns the column of the largest monster in sight."""
        state = self._game.get_state()
        enemies = [
            label
            for label in (state.labels if state is not None else [])
            if getattr(label, "object_category", "Monster").startswith("Monster")
            and not any(word in label.object_name for word in NOT_ENEMIES)
        ]
        if not enemies:
            return None
        label = max(enemies, key=lambda each: each.width * each.height)
        return float(label.x + label.width / 2)
