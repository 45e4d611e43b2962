"""From what a person names to a folder on this machine: `hf:<folder>` as it is, `hf:<owner>/<name>` from the hub.

From the hub come the files that an import reads and no others: never a pickle, never Python code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

from services.runtime.training.imports.refusal import ImportRefused
from services.runtime.training.imports.steps import Steps, quiet

PREFIX = "hf:"
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_DESCRIPTIONS = ["*.json", "*.txt", "README.md", "LICENSE*", "1_Pooling/*.json"]
_WEIGHTS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
_HUB_TITLE, _FOLDER_TITLE = "the hub's model ", "the folder "
_FOLDER_ADVICE = "A folder works without a hub: marquee models add hf:./folder"


@dataclass(frozen=True)
class Source:
    """Where a checkpoint lies.

    Attributes:
        folder: on this machine.
        title: where it came from, for people and the card.
        name: what it is called there, without its owner.
    """

    folder: Path
    title: str
    name: str


def is_imported(source: str) -> bool:
    """Tell whether the `source` of a `model.yaml` is one that an import writes."""
    return source.startswith((_HUB_TITLE, _FOLDER_TITLE))


def find_source(
    reference: str,
    steps: Steps = quiet,
    check_description: Callable[[Path, str], object] = lambda folder, title: None,
    endpoint: str | None = None,
    cache: Path | None = None,
) -> Source:
    """Return the folder that a reference means, fetched from the hub when it is no folder of this machine.

    Args:
        reference: `hf:<folder>`, `hf:<owner>/<name>` or `hf:<name>`.
        steps: told how far it is.
        check_description: called with folder and title before the weights are fetched; raises `ImportRefused` when
            they are not worth fetching.
        endpoint: address of the hub; None takes the hub library's own (variable HF_ENDPOINT).
        cache: where fetched files are kept; None takes the hub library's own folder (variable HF_HOME).

    Raises:
        ImportRefused: the reference is none, there is no such folder or model, or the hub cannot be reached.
    """
    if not reference.startswith(PREFIX) or reference == PREFIX:
        raise ImportRefused(
            f"{reference[:200]!r} does not say where the model comes from",
            "Say hf:<owner>/<name> for a model of the Hugging Face hub, or hf:<folder> for one that lies here.",
        )
    named = reference.removeprefix(PREFIX)
    folder = Path(named).expanduser()
    if folder.is_dir():
        return Source(folder, f"{_FOLDER_TITLE}{folder.resolve().name}", folder.resolve().name)
    if named.startswith((".", "/", "~")) or not _HUB_NAME.fullmatch(named):
        raise ImportRefused(
            f"there is no folder {named[:200]}", "Name a folder that holds config.json, or a model of the hub."
        )
    return _fetch(named, steps, check_description, endpoint, cache)


def _fetch(
    name: str,
    steps: Steps,
    check_description: Callable[[Path, str], object],
    endpoint: str | None,
    cache: Path | None,
) -> Source:
    title = f"{_HUB_TITLE}{name}"

    def fetch(patterns: list[str]) -> Path:
        return Path(snapshot_download(name, allow_patterns=patterns, endpoint=endpoint, cache_dir=cache))

    try:
        with steps(f"Looking at {name}", None):
            disable_progress_bars()
            try:
                folder = fetch(_DESCRIPTIONS)
            finally:
                enable_progress_bars()
        check_description(folder, title)
        # The library's own bars tell how far the gigabytes are.
        folder = fetch([*_DESCRIPTIONS, *_WEIGHTS])
    except GatedRepoError as error:
        raise ImportRefused(
            f"the hub gives {name} only to those who accepted its terms",
            f"Accept them on the hub and sign in with `hf auth login`. {_FOLDER_ADVICE}",
        ) from error
    except RepositoryNotFoundError as error:
        raise ImportRefused(
            f"the hub has no model {name}, and there is no such folder here", "Look at the spelling: hf:<owner>/<name>."
        ) from error
    except ImportRefused:
        raise
    except Exception as error:
        # The library has many ways to say that nobody answers, from three packages beneath it.
        raise ImportRefused(
            f"{name} is no folder here, and the hub cannot be reached ({type(error).__name__})",
            f"{_FOLDER_ADVICE}. Behind a mirror set HF_ENDPOINT.",
        ) from error
    commit = folder.name[:12]
    return Source(folder, f"{title} at {commit}", name.rpartition("/")[2])
