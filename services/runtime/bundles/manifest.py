"""`manifest.json` of a recommendation bundle: which files it holds, who serves them, and what state they were fitted
on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

BUNDLE_MANIFEST_FILE = "manifest.json"


class BundleManifestInvalid(ValueError):
    """A bundle's manifest cannot be read; the message says what is wrong."""


class _Part(BaseModel):
    # Later trainers may add facts; an older service reads what it knows.
    model_config = ConfigDict(extra="ignore", frozen=True)


class ScorerDescription(_Part):
    """One candidate scorer and the service that serves it.

    Attributes:
        index: file of the index that finds its best items; empty when its graph does.
    """

    name: str
    service: Literal["text", "vision", "classical"]
    file: str
    algorithm: str
    index: str = ""


class RankerDescription(_Part):
    """A ranker and its features, in the order of the graph's columns."""

    name: str
    file: str
    features: list[str]
    algorithm: str


class BundleManifest(_Part):
    """An immutable bundle.

    Attributes:
        ranker: the ranker that answers unless another is asked for.
        rankers: every ranker, that one included; all take the same features. Empty in bundles of before there were
            several.
    """

    format: Literal[1]
    tenant: str
    version: str
    created: AwareDatetime
    event_watermark: int
    event_count: int
    user_count: int
    item_count: int
    items: str
    scorers: list[ScorerDescription]
    ranker: RankerDescription | None = None
    rankers: list[RankerDescription] = []
    files: dict[str, str]


def read_bundle_manifest(folder: Path) -> BundleManifest:
    """Read the manifest of a bundle folder `<tenant>/<version>`.

    Raises:
        BundleManifestInvalid: missing, unreadable, or of another tenant or version than its folder.
    """
    path = folder / BUNDLE_MANIFEST_FILE
    try:
        manifest = BundleManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleManifestInvalid(f"{BUNDLE_MANIFEST_FILE} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise BundleManifestInvalid(f"{BUNDLE_MANIFEST_FILE}: {place}: {first['msg']}") from error
    if (manifest.tenant, manifest.version) != (folder.parent.name, folder.name):
        raise BundleManifestInvalid(
            f"{BUNDLE_MANIFEST_FILE} says {manifest.tenant}/{manifest.version}, the folder "
            f"{folder.parent.name}/{folder.name}"
        )
    return manifest
