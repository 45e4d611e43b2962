"""What lies in the folder of a published checkpoint, read without running anything of it.

Weights are read from safetensors files only: the other forms are pickles, which run code when they are opened. Of a
safetensors file the header is read here: eight bytes that say its length, then JSON with dtype, shape and place of each
tensor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import mul
from pathlib import Path
from typing import Any

import yaml

from services.runtime.training.imports.refusal import ImportRefused

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
NOT_STATED = "not stated"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.gguf")
_DTYPES = ("F64", "F32", "F16", "BF16")
_LARGEST_HEADER_BYTES = 100_000_000
_WITH_CODE = (CONFIG_FILE, "tokenizer_config.json")
_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*\n", re.DOTALL)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose form is fit for an import.

    Attributes:
        folder: where its files lie.
        source: where it came from, for people; no path of this machine.
        config: content of `config.json`.
        architecture: class of the network as `config.json` names it, for example "LlamaForCausalLM".
        weight_files: names of the safetensors files.
        parameters: numbers that they hold.
        license: as the checkpoint states it; `NOT_STATED` when it does not.
    """

    folder: Path
    source: str
    config: Mapping[str, Any]
    architecture: str
    weight_files: Sequence[str]
    parameters: int
    license: str

    @property
    def weight_bytes(self) -> int:
        """Size of the weight files."""
        return sum((self.folder / name).stat().st_size for name in self.weight_files)

    def read_json(self, name: str) -> Any:
        """Return the content of a JSON file of the folder, None when it is not there.

        Raises:
            ImportRefused: it is no JSON.
        """
        return read_json(self.folder, name)


def read_checkpoint(folder: Path, source: str) -> Checkpoint:
    """Read what a folder says of itself, and check that it is safe and whole.

    Args:
        folder: the checkpoint's folder.
        source: where it came from, for the card.

    Raises:
        ImportRefused: something is missing, broken, or would run code.
    """
    config = read_architecture(folder, source)
    files = _weight_files(folder)
    parameters = sum(_count_parameters(folder / name) for name in files)
    return Checkpoint(folder, source, config, config["architectures"][0], files, parameters, read_license(folder))


def read_architecture(folder: Path, source: str) -> Mapping[str, Any]:
    """Return `config.json`, which names one architecture and no code of its own.

    Raises:
        ImportRefused: it does not.
    """
    config = read_json(folder, CONFIG_FILE)
    if config is None:
        raise ImportRefused(
            f"{source} holds no {CONFIG_FILE}",
            "Name the folder that a model was saved to with save_pretrained().",
        )
    if not isinstance(config, dict):
        raise ImportRefused(f"{CONFIG_FILE} of {source} is no JSON object")
    for name in _WITH_CODE:
        described = read_json(folder, name)
        if isinstance(described, dict) and (described.get("auto_map") or described.get("trust_remote_code")):
            raise ImportRefused(
                f"{source} brings Python code of its own (auto_map in {name}), which is never run here",
                "Choose a checkpoint of an architecture that the transformers library has built in.",
            )
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or len(architectures) != 1 or not isinstance(architectures[0], str):
        raise ImportRefused(
            f"{CONFIG_FILE} of {source} does not name one architecture",
            'It should hold, for example, "architectures": ["LlamaForCausalLM"].',
        )
    if quantisation := config.get("quantization_config"):
        method = quantisation.get("quant_method", "") if isinstance(quantisation, dict) else ""
        raise ImportRefused(
            f"the weights of {source} are quantised already ({method or 'quantization_config'})",
            "Import the original weights; --precision int8 makes them smaller here.",
        )
    return config


def read_json(folder: Path, name: str) -> Any:
    """Return the content of a JSON file, None when it is not there.

    Raises:
        ImportRefused: it is no JSON.
    """
    path = folder / name
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ImportRefused(f"{name} is no JSON") from error


def read_license(folder: Path) -> str:
    """Return the licence that the folder states: in the front matter of README.md, else the first line of LICENSE."""
    readme = folder / "README.md"
    found = _FRONT_MATTER.match(readme.read_text(encoding="utf-8", errors="replace")) if readme.is_file() else None
    if found:
        try:
            stated = yaml.safe_load(found.group(1))
        except yaml.YAMLError:
            stated = None
        license_name = stated.get("license") if isinstance(stated, dict) else None
        if isinstance(license_name, str) and license_name:
            return license_name[:100]
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md"):
        path = folder / name
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n", 40)
            return next((line.strip("# \t\r")[:100] for line in lines if line.strip("# \t\r")), NOT_STATED)
    return NOT_STATED


def _weight_files(folder: Path) -> list[str]:
    if (folder / WEIGHTS_FILE).is_file():
        return [WEIGHTS_FILE]
    index = read_json(folder, INDEX_FILE)
    if index is None:
        raise _no_safetensors(folder)
    places = index.get("weight_map") if isinstance(index, dict) else None
    names = sorted(set(places.values())) if isinstance(places, dict) else []
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ImportRefused(f"{INDEX_FILE} names {name!r}, which is no safetensors file of the folder")
        if not (folder / name).is_file():
            raise ImportRefused(f"{name} is missing; {INDEX_FILE} names it", "Fetch the checkpoint again.")
    if not names:
        raise ImportRefused(f"{INDEX_FILE} names no file")
    return names


def _no_safetensors(folder: Path) -> ImportRefused:
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if not pickles:
        return ImportRefused(f"there are no weights: neither {WEIGHTS_FILE} nor {INDEX_FILE}")
    return ImportRefused(
        f"the weights are not safetensors but {pickles[0]}; opening that may run code, so it is refused",
        "Take the checkpoint's safetensors version, or, if you trust the file, save it again elsewhere: "
        "AutoModel.from_pretrained(folder).save_pretrained(new_folder).",
    )


def _count_parameters(path: Path) -> int:
    """Return how many numbers a safetensors file holds; its header must agree with its size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LARGEST_HEADER_BYTES, size - 8):
            raise ImportRefused(f"{path.name} is no safetensors file, or not all of it")
        try:
            header = json.loads(file.read(length))
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
            strange = {entry["dtype"] for entry in tensors.values()} - {*_DTYPES, "I64", "I32", "U8", "BOOL"}
            count = sum(reduce(mul, entry["shape"], 1) for entry in tensors.values() if entry["dtype"] in _DTYPES)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ImportRefused(f"the header of {path.name} cannot be read") from error
    if size != 8 + length + end:
        raise ImportRefused(
            f"{path.name} has {size:,} bytes; its header tells of {8 + length + end:,}", "Fetch the checkpoint again."
        )
    if strange:
        raise ImportRefused(
            f"{path.name} holds tensors of type {sorted(strange)[0]}; weights are {', '.join(_DTYPES)}",
            "Import the original weights; --precision int8 makes them smaller here.",
        )
    return count
