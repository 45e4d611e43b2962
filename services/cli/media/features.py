"""Options that pictures and clips share, and the names of features on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from marquee.entertainment.v1 import media_service_pb2 as pb

IMAGE_FEATURES = ("labels", "game", "objects", "safety", "similar-items", "faces")
CLIP_FEATURES = ("labels", "game", "objects", "events", "highlights", "scene-cuts", "safety", "similar-items", "faces")
_ALSO = {"similar": "similar-items", "games": "game", "scenes": "scene-cuts", "cuts": "scene-cuts"}
"""Other names for features that are easily guessed."""

Attach = Annotated[
    str,
    typer.Option(
        metavar="ITEM",
        help="Item of the catalogue that gets its vector and labels; lists and search use them at once.",
        show_default=False,
    ),
]
Policy = Annotated[str, typer.Option(help='Policy that decides what may be shown; else "default".', show_default=False)]
LabelCount = Annotated[int, typer.Option("--labels", min=0, max=20, help="Labels wanted; 0 means 5.")]
MinimumScore = Annotated[
    float | None, typer.Option(min=0, max=1, help="Least score of an object; else 0.5.", show_default=False)
]


def feature_name(feature: int) -> str:
    """Return the name of a feature as the command line has it; one of a newer server by its number."""
    try:
        name = pb.MediaFeature.Name(feature)  # type: ignore[arg-type]
    except ValueError:
        return f"feature {feature}"
    return name.removeprefix("MEDIA_FEATURE_").lower().replace("_", "-")


def parse_features(given: str, known: tuple[str, ...]) -> list[pb.MediaFeature.ValueType]:
    """Return the features of a list like "labels,objects"; empty means the server's choice.

    Raises:
        typer.BadParameter: a name that is not one of `known`.
    """
    names = [name.strip().lower().replace("_", "-") for name in given.split(",") if name.strip()]
    names = [_ALSO.get(name, name) for name in names]
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"--features: {name!r} is none of {', '.join(known)}")
    return [pb.MediaFeature.Value(f"MEDIA_FEATURE_{name.upper().replace('-', '_')}") for name in dict.fromkeys(names)]


def attachment(item: str) -> pb.MediaAttachment | None:
    """Return the wish to attach to an item, None without one."""
    return pb.MediaAttachment(item_id=item) if item else None


def picture_path(wanted: Path | None, source: Path, ending: str) -> Path:
    """Return where to draw to: what was wanted, else a file in the current folder named after the source.

    Raises:
        typer.BadParameter: it is the source itself, or a folder, or lies in none.
    """
    path = wanted or Path(f"{source.stem or 'clip'}.{ending}.png")
    if source.exists() and path.exists() and path.samefile(source):
        raise typer.BadParameter(f"--output: {path} is the file that is analysed; name another one")
    if path.is_dir():
        raise typer.BadParameter(f"--output: {path} is a folder; name a file, for example {path / 'picture.png'}")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"--output: there is no folder {path.parent}")
    return path
