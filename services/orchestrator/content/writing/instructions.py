"""Sentences in a catalogue or a review that try to tell a language model what to do.

They are data, never instructions: such a sentence is no fact, is not shown to a model and not repeated in a text.
"""

from __future__ import annotations

import re

from services.orchestrator.content.moderation.plain_characters import plain_characters

_COMMAND = re.compile(
    r"""
    \b(?:ignore|disregard|forget|override|bypass|skip)\b.{0,40}\b(?:instruction|prompt|rule|direction|guideline|above|
        previous|prior|earlier|facts?|everything)s?\b
    | \b(?:system|developer|hidden|initial)\s+(?:prompt|message|instruction)s?\b
    | \b(?:new|updated|following)\s+instructions?\b
    | \byou\s+are\s+(?:now|a|an)\b.{0,40}\b(?:assistant|model|ai|bot|writer|critic|copywriter)\b
    | \bas\s+an?\s+(?:ai|language\s+model|assistant)\b
    | \b(?:say|write|state|claim|mention|respond|reply|answer|output|print|repeat|add|tell|pretend|act)\b
        .{0,20}\b(?:that|with|as\s+if|exactly|only|the\s+following|readers?|users?|everyone|them|instead)\b
        .{0,80}\b(?:oscar|award|best|won|masterpiece|star|rated|free|click|visit|http|number)\w*
    | \b(?:say|write|respond|reply|answer|output|print)\s+(?:only|exactly|nothing\s+but|instead)\b
    | ^\s*(?:assistant|system|user|human|facts?|text|prompt|instruction)\s*[:=]
    | ^\s*note\s+to\s+(?:the\s+)?(?:ai|model|editor)\b
    | <\|?\s*/?(?:im_start|im_end|system|assistant|user|s|inst)\b | \[/?inst\] | ``` | \#\#\#
    | \b(?:prompt|jailbreak|injection)\b.{0,20}\b(?:attack|inject|leak)\w*
    """,
    re.IGNORECASE | re.VERBOSE,
)


def is_instruction(sentence: str) -> bool:
    """Return whether a sentence looks like an instruction to whoever writes about it."""
    return bool(_COMMAND.search(plain_characters(sentence).text) or _COMMAND.search(sentence))
