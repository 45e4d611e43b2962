"""The tokeniser of a checkpoint: `tokenizer.json` of the tokenizers library, which is what the service reads."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tokenizers import Tokenizer

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.refusal import ImportRefused
from services.text.training.tokenizer_file import bare_tokenizer

TOKENIZER_FILE = "tokenizer.json"
# What the transformers library writes where a tokeniser has no limit.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class CheckpointTokenizer:
    """A tokeniser as it was published.

    Attributes:
        content: bytes of `tokenizer.json`.
        tokenizer: the same, ready for use, without padding and truncation.
        longest: most tokens of a text as the checkpoint says; None when it does not.
    """

    content: bytes
    tokenizer: Tokenizer
    longest: int | None

    def served(self, special_tokens: bool = True) -> bytes:
        """Return the file that goes into the repository; see `bare_tokenizer`."""
        return bare_tokenizer(self.content, special_tokens)

    def begin_token(self) -> int | None:
        """Return the token that is put before every text; None when there is none.

        Raises:
            ImportRefused: there are several, or some are put behind the text.
        """
        plain: list[int] = self.tokenizer.encode("a", add_special_tokens=False).ids
        whole: list[int] = self.tokenizer.encode("a").ids
        if whole == plain:
            return None
        if whole[1:] == plain:
            return whole[0]
        raise ImportRefused(
            f"{TOKENIZER_FILE} puts {len(whole) - len(plain)} tokens around a text; for generation one before it may be"
        )


def read_tokenizer(checkpoint: Checkpoint, vocabulary: int) -> CheckpointTokenizer:
    """Read the tokeniser of a checkpoint whose token table has `vocabulary` rows.

    Raises:
        ImportRefused: it is missing, of another form, or knows tokens that the table has not.
    """
    path = checkpoint.folder / TOKENIZER_FILE
    if not path.is_file():
        raise ImportRefused(
            f"{checkpoint.source} holds no {TOKENIZER_FILE}",
            "Write it with transformers: AutoTokenizer.from_pretrained(folder).save_pretrained(folder).",
        )
    content = path.read_bytes()
    try:
        json.loads(content)
        tokenizer = Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises nothing more exact
        raise ImportRefused(f"{TOKENIZER_FILE} cannot be read by the tokenizers library: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if highest >= vocabulary:
        raise ImportRefused(
            f"{TOKENIZER_FILE} has a token number {highest}; the network's table has {vocabulary} rows",
            "The tokeniser is another model's, or tokens were added without resizing the network.",
        )
    settings = checkpoint.read_json("tokenizer_config.json")
    longest = settings.get("model_max_length") if isinstance(settings, dict) else None
    known = isinstance(longest, int) and 0 < longest < _NO_LIMIT
    return CheckpointTokenizer(content, tokenizer, longest if known else None)
