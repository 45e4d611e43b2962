"""Plays an Atari game through ale-py: random buttons held for a while, in two games a paddle that follows the ball.

ale-py is GPL-2.0 and needed only where a model is built or measured; its wheel carries the games.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from services.vision.training.data.gameplay_clips import FRAMES_PER_SECOND, Bytes, Counts, shrink

EMULATED_FRAMES_PER_SECOND = 60
# In these, every point is an enemy that was shot.
SHOOTERS = {"assault", "demon_attack", "space_invaders"}
# Where the ball and the paddle are in the console's memory, and the buttons that move the paddle towards larger and
# smaller numbers (Anand et al. 2019, "Unsupervised State Representation Learning in Atari", arXiv:1906.08226).
FOLLOW = {"breakout": (99, 72, "RIGHT", "LEFT"), "pong": (54, 51, "LEFT", "RIGHT")}
FOLLOWS_PART = 0.75
NOOP = 0


class AtariPlayer:
    """One running game; see `gameplay_clips.Player`."""

    def __init__(self, name: str, seed: int, random: np.random.Generator) -> None:
        ale_py: Any = importlib.import_module("ale_py")
        games: Any = importlib.import_module("ale_py.roms")
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._game = ale_py.ALEInterface()
        self._game.setInt("random_seed", seed)
        self._game.setFloat("repeat_action_probability", 0.25)
        self._game.loadROM(games.get_rom_path(name))
        self._name = name
        self._random = random
        self._buttons = [int(action.value) for action in self._game.getMinimalActionSet()]
        self._names = {action.name: int(action.value) for action in self._game.getMinimalActionSet()}
        self._held, self._frames_left, self._frames_due = NOOP, 0, 0.0
        self._following = False
        self._wait()

    def advance(self, act: bool) -> tuple[Bytes, Counts]:
        """Plays 7 or 8 of the console's frames."""
        self._frames_due += EMULATED_FRAMES_PER_SECOND / FRAMES_PER_SECOND
        points = lost = lives = 0.0
        while self._frames_due >= 1:
            self._frames_due -= 1
            before = self._game.lives()
            reward = float(self._game.act(self._button() if act else NOOP))
            points += max(reward, 0.0)
            fallen = max(before - self._game.lives(), 0)
            lives += fallen
            lost += max(-reward, 0.0) + fallen
            if self._game.game_over():
                self._game.reset_game()
                self._wait()
        kills = float(points > 0) if self._name in SHOOTERS else 0.0
        return shrink(self._game.getScreenRGB()), Counts(points, kills, lost, lives)

    def close(self) -> None:
        """Nothing to end: the console lives in this object."""

    def _button(self) -> int:
        self._frames_left -= 1
        if self._frames_left < 0:
            self._held = int(self._random.choice(self._buttons))
            self._frames_left = int(self._random.integers(4, 24))
            self._following = self._name in FOLLOW and self._random.random() < FOLLOWS_PART
        return self._follow() if self._name in FOLLOW and self._following else self._held

    def _follow(self) -> int:
        ball, paddle, up, down = FOLLOW[self._name]
        memory: Any = self._game.getRAM()
        distance = int(memory[ball]) - int(memory[paddle])
        if self._name == "breakout" and memory[ball] == 0:
            return self._names["FIRE"]
        # A miss now and then is what loses lives.
        if abs(distance) < 4:
            return NOOP
        return self._names[up if distance > 0 else down]

    def _wait(self) -> None:
        """Lets a new game run for a random while, so that no two start alike."""
        for _ in range(int(self._random.integers(1, 60))):
            self._game.act(NOOP)
