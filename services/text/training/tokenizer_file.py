"""The committed form of a tokeniser: what it does to a text, without padding and truncation."""

from __future__ import annotations

import json


def bare_tokenizer(published: bytes, special_tokens: bool = True) -> bytes:
    """Returns a published `tokenizer.json` without padding and truncation, in compact form.

    Args:
        published: The file of the `tokenizers` library.
        special_tokens: False also removes the step that adds special tokens around a text.
    """
    document = json.loads(published)
    document["truncation"] = None
    document["padding"] = None
    if not special_tokens:
        document["post_processor"] = None
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
