"""What a drill needs to be set up before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

StoreKind = Literal["SQLite", "PostgreSQL"]
STORES: tuple[StoreKind, ...] = ("SQLite", "PostgreSQL")


@dataclass(frozen=True)
class Needs:
    """Drills with the same needs follow each other on one mesh.

    Attributes:
        store: where the orchestrators keep their state.
        replicas: orchestrators; more than one needs PostgreSQL.
        proxied: whether the orchestrators reach the model services, and PostgreSQL, through fault proxies.
        apart: a model service that runs in a network namespace of its own; empty for none.
        disk_megabytes: size of the disk that the store lives on; 0 is the machine's.
        shifted_clock: whether the orchestrators' wall clock can be set.
        settings: settings of the orchestrators, name and value.
    """

    store: StoreKind = "SQLite"
    replicas: int = 1
    proxied: bool = False
    apart: str = ""
    disk_megabytes: int = 0
    shifted_clock: bool = False
    settings: tuple[tuple[str, str], ...] = field(default=())
