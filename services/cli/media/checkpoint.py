"""A file that remembers how far a clip was analysed, so that a broken connection costs seconds."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import typer

from marquee.common.v1 import media_pb2

INTERVAL_SECONDS = 5.0


@dataclass(frozen=True)
class CheckpointFile:
    """The file, and the clip that it belongs to."""

    path: Path
    clip: Path

    def write(self, checkpoint: media_pb2.VideoCheckpoint) -> None:
        """Remember a state, in place of the one before; a reader sees either of the two."""
        content = {
            "clip": self.clip.name,
            "bytes": self.clip.stat().st_size,
            "next_seconds": checkpoint.next_seconds,
            "sealed_state": base64.b64encode(checkpoint.sealed_state).decode(),
        }
        unfinished = self.path.with_name(f"{self.path.name}.part")
        unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self.path)

    def read(self) -> bytes:
        """Return the sealed state.

        Raises:
            typer.BadParameter: there is none, it is no checkpoint, or it is another clip's.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            state = base64.b64decode(content["sealed_state"], validate=True)
            clip, size = content["clip"], content["bytes"]
        except FileNotFoundError as error:
            raise typer.BadParameter(f"--resume: there is no {self.path}; without --resume the clip starts") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise typer.BadParameter(f"--resume: {self.path} is no checkpoint of this command") from error
        if size != self.clip.stat().st_size:
            raise typer.BadParameter(f"--resume: {self.path} belongs to {clip} with {size:,} bytes, not to {self.clip}")
        return state

    def forget(self) -> None:
        """Remove the file: the clip is done."""
        self.path.unlink(missing_ok=True)
