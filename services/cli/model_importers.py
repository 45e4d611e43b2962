"""What `marquee models add` can import: the lists of all families."""

from __future__ import annotations

from collections.abc import Sequence

from services.runtime.training.imports.importer import Importer
from services.text.training.imports.importers import importers as text_importers
from services.vision.training.imports.importers import importers as vision_importers


def all_importers() -> Sequence[Importer]:
    """Return the importers of every family. Importing them needs no torch; what they do does."""
    return [*text_importers(), *vision_importers()]
