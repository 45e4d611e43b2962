"""How a language model is told facts: one line of them, and the beginning of the answer::

    facts: title = Heat | year = 1995 | genres = Action, Crime | reason = you liked Casino
    text:

The decoder of the text service was fitted on this very format; another model is told the same.
"""

from __future__ import annotations

import re

from services.orchestrator.content.writing.facts import Facts

STOPS = ("\n", "facts:", "text:")
"""Where an answer ends."""
DEFAULT_MODEL_KIND = "film"
"""What the model takes an item for that no kind is told of."""
_MOST_GENRES = 3
_SIGNS = re.compile(r"\s*\|\s*|\s+=\s+|\s+")


def facts_prompt(facts: Facts) -> str:
    """Return the prompt. Values cannot leave their place: bars, lone equals signs and line breaks become spaces."""
    reason = next((one for one in facts.reasons if one.title), facts.reasons[0] if facts.reasons else None)
    fields = {
        "kind": facts.kind if facts.kind != DEFAULT_MODEL_KIND else "",
        "title": facts.title.name,
        "year": str(facts.year) if facts.year else "",
        "genres": ", ".join(facts.genres[:_MOST_GENRES]),
        "rating": f"{facts.rating} of {facts.rating_scale}" if facts.rating else "",
        "reviews": str(facts.review_count) if facts.review_count else "",
        "liked": ", ".join(facts.praised),
        "disliked": ", ".join(facts.criticised),
        "reason": reason.phrase if reason else "",
    }
    told = " | ".join(f"{name} = {_SIGNS.sub(' ', value).strip()}" for name, value in fields.items() if value)
    return f"facts: {told}\ntext:"
