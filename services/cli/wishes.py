"""Wishes of a list as options of a command: `Drama=2`, `markov=0.5`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from marquee.entertainment.v1.preference_pb2 import CategoryCap, Taste
from marquee.entertainment.v1.recommendation_service_pb2 import Exploration
from marquee_client import RecommendOptions

Likes = Annotated[list[str] | None, typer.Option("--like", help="Tag that the user likes; may be given again.")]
Dislikes = Annotated[list[str] | None, typer.Option("--dislike", help="Tag that the user does not like.")]
Caps = Annotated[
    list[str] | None, typer.Option("--cap", metavar="TAG=N", help="At most N titles with the tag on a page.")
]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weight", metavar="SOURCE=W", help="Factor of a candidate source, 0 to 10; 0 silences it."),
]
Fatigue = Annotated[
    float | None, typer.Option(help="Towards 1, titles sink that lists showed of late.", show_default=False)
]
Explore = Annotated[bool, typer.Option("--explore", help="Draw every fifth place by chance.")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same list.", show_default=False)]
Arm = Annotated[str, typer.Option(help="Arm of the route to take.", show_default=False)]


def wishes(
    likes: Sequence[str] | None,
    dislikes: Sequence[str] | None,
    caps: Sequence[str] | None,
    weights: Sequence[str] | None,
    *,
    explore: bool,
) -> RecommendOptions:
    """Return the options as the contract has them; raises `typer.BadParameter` for what cannot be read."""
    liked = [Taste(tag=tag, weight=1.0) for tag in likes or []]
    return RecommendOptions(
        tastes=[*liked, *(Taste(tag=tag, weight=-1.0) for tag in dislikes or [])],
        category_caps=[
            CategoryCap(tag=tag, maximum=int(number)) for tag, number in _pairs("--cap", caps, whole=True).items()
        ],
        source_weights=_pairs("--weight", weights),
        exploration=Exploration() if explore else None,
    )


def _pairs(option: str, given: Sequence[str] | None, *, whole: bool = False) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in given or []:
        name, sign, number = text.rpartition("=")
        try:
            found[name] = int(number) if whole else float(number)
        except ValueError:
            sign = ""
        if not (name and sign):
            raise typer.BadParameter(f"{text!r} is not NAME={'N' if whole else 'NUMBER'}", param_hint=option)
    return found
