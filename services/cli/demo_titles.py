"""Brand-new titles for the demo: short documentaries with real photographs as covers, which nobody has watched yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from marquee.entertainment.v1.catalog_service_pb2 import Item
from services.runtime.sources import REPOSITORY_ROOT

PICTURES = REPOSITORY_ROOT / "tests" / "data" / "pictures"
"""Free photographs; their README names authors and licences. Not part of an installed package."""


@dataclass(frozen=True)
class NewTitle:
    """A title as an editor would enter it."""

    item_id: str
    title: str
    description: str
    picture: str

    def item(self, pictures: Path = PICTURES) -> Item:
        """Return the item, with its picture where the file exists."""
        path = pictures / self.picture
        return Item(
            item_id=self.item_id,
            title=self.title,
            description=self.description,
            tags=["Documentary", "Short"],
            release_year=2026,
            picture=path.read_bytes() if path.exists() else b"",
        )


ROCKET = NewTitle(
    "new-countdown",
    "Countdown at the Cape",
    "A rocket stands on its launch pad. Engineers count down to the flight of a satellite that will watch the Sun.",
    "rocket.jpg",
)
LATE_ARRIVAL = NewTitle(
    "new-commander",
    "Commander Collins",
    "The astronaut Eileen Collins, first woman to command a space shuttle, tells how she learned to fly.",
    "astronaut.jpg",
)
"""Arrives after the training: no model has ever seen it."""
NEW_TITLES = [
    ROCKET,
    NewTitle(
        "new-galaxies",
        "Ten Thousand Galaxies",
        "The space telescope looks at one dark spot of the sky for days, and finds galaxies as old as time.",
        "galaxies.jpg",
    ),
    NewTitle(
        "new-cat",
        "A Cat Named Chelsea",
        "One day in the life of a house cat, from the windowsill to the sofa and back.",
        "cat.jpg",
    ),
    NewTitle(
        "new-espresso",
        "The Perfect Espresso",
        "A barista explains beans, water, pressure and patience, over one small red cup.",
        "coffee.jpg",
    ),
    NewTitle(
        "new-dahlia",
        "Dahlia",
        "A gardener raises one flower from the bulb to its late summer bloom.",
        "flower.jpg",
    ),
    NewTitle(
        "new-palace",
        "The Summer Palace",
        "Pagodas, bridges and the lake: a walk through the emperors' garden in Beijing.",
        "pagoda.jpg",
    ),
    NewTitle(
        "new-hopper",
        "Amazing Grace",
        "Rear admiral Grace Hopper, who taught computers to understand words, in her uniform and in her own words.",
        "officer.jpg",
    ),
    NewTitle(
        "new-tripod",
        "The Man with the Tripod",
        "A photographer carries his camera across an empty campus and waits for the light.",
        "photographer.jpg",
    ),
]
