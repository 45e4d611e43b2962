"""What the catalogue asks of the model services."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from services.orchestrator.catalog.parts import in_parts
from services.orchestrator.store.records import DescribedPicture, UndescribedPicture

Entry = TypeVar("Entry")

MAXIMUM_TEXTS = 256
MAXIMUM_TEXT_CHARACTERS = 10_000
MAXIMUM_PICTURES = 16

# A call takes less than the services allow, so that it ends soon and its message stays well below their limit.
_TEXTS_A_CALL = 64
_PICTURES_A_CALL = 8
_PICTURE_BYTES_A_CALL = 16 << 20


@dataclass(frozen=True, slots=True)
class TextVectors:
    """One vector for each text (little-endian float32, length one) and the model that made them."""

    values: Sequence[bytes]
    model: str
    version: str


class ContentModels(Protocol):
    """The text and the vision service.

    Both methods raise `ServiceError`, `grpc.RpcError` or `TimeoutError` when the service does not answer.
    INVALID_ARGUMENT means that the input will never do; the violations (`ServiceError.violations` or
    `google.rpc.BadRequest` in the status details) then name the entry, for example `images[3].content`.
    """

    async def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return the vectors of up to `MAXIMUM_TEXTS` texts of 1 to `MAXIMUM_TEXT_CHARACTERS` characters, in order."""
        ...

    async def describe_pictures(self, pictures: Sequence[UndescribedPicture]) -> Sequence[DescribedPicture]:
        """Return labels and vectors of 1 to `MAXIMUM_PICTURES` encoded pictures, in their order."""
        ...


def text_parts(texts: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Split texts, or what stands for them, into parts of one call each."""
    return in_parts(texts, _TEXTS_A_CALL, lambda _: 0, 0)


def picture_parts(
    pictures: Sequence[Entry], picture_of: Callable[[Entry], UndescribedPicture]
) -> Iterator[list[Entry]]:
    """Split pictures, or what carries them, into parts of one call each."""
    return in_parts(pictures, _PICTURES_A_CALL, lambda entry: len(picture_of(entry).content), _PICTURE_BYTES_A_CALL)


def text_of(title: str, description: str, tags: Sequence[str]) -> str:
    """Return the text that stands for an item: title, tags, description, as sentences.

    >>> text_of("Heat", "A thief and a detective.", ["Crime", "Drama"])
    'Heat. Crime, Drama. A thief and a detective.'
    """
    parts = (part for part in (title, ", ".join(tags), description) if part.strip())
    return ". ".join(parts)[:MAXIMUM_TEXT_CHARACTERS]
