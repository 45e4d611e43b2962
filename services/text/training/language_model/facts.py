"""The format in which a language model is told which facts there are, and pairs of that and a sentence.

A model never sees the facts themselves: a name that it does not know it would spell wrong, of one that it knows it
would say more than it is told, and one that somebody else wrote could give it orders. It is told names of places, and
whoever asked puts the values there. A prompt is one line and the beginning of the answer; the model goes on with one or
two sentences and ends::

    facts: title = TITLE | kind = KIND | year = YEAR | genres = GENRES | reason = you liked OTHER
    text: Because you liked OTHER, try TITLE, a YEAR GENRES KIND.

Names of facts and what stands for their values are in `FIELDS`; they come in that order; any but title and kind may be
absent. An article before a place is "a"; whoever fills it in makes it fit.
"""

from __future__ import annotations

from collections.abc import Mapping

FIELDS: Mapping[str, str] = {
    "title": "TITLE: the name",
    "kind": "KIND: film, series, game or another noun in the singular",
    "year": "YEAR: four digits",
    "genres": "GENRES: lower case, several joined by commas and 'and'",
    "rating": "RATING: '4.2 of 5' or the like",
    "reviews": "COUNT: a whole number of reviews",
    "liked": "LIKED: what reviewers praise, lower case, joined by commas and 'and'",
    "disliked": "DISLIKED: what reviewers find fault with, in the same form",
    "reason": "why it is shown: 'you liked OTHER', 'you watched OTHER', 'it resembles OTHER', 'popular with everyone', "
    "'new in the catalogue', 'of a kind that you like' or 'close to what you had before'",
}
PLACES: Mapping[str, str] = {name: value.partition(":")[0] for name, value in FIELDS.items() if name != "reason"}
"""What stands for the value of each fact but the reason."""
OTHER = "OTHER"
"""What stands for another title in a reason."""

_HEAD, _ANSWER = "facts:", "text:"


def facts_prompt(facts: Mapping[str, str]) -> str:
    """Return the prompt for these facts; what the model generates after it is the sentence, with a space before it.

    Raises:
        ValueError: a field is none of `FIELDS`, title or kind is missing, or a value has a line break or a bar.
    """
    unknown = set(facts) - set(FIELDS)
    if unknown or not {"title", "kind"} <= set(facts):
        raise ValueError(f"facts are title, kind and any of {', '.join(FIELDS)}; unknown: {sorted(unknown)}")
    if any("|" in value or "\n" in value for value in facts.values()):
        raise ValueError("the value of a fact has neither a line break nor a bar")
    line = " | ".join(f"{name} = {facts[name]}" for name in FIELDS if name in facts)
    return f"{_HEAD} {line}\n{_ANSWER}"


def facts_pair(facts: Mapping[str, str], sentence: str) -> str:
    """Return the prompt and its answer as one text to learn from."""
    return f"{facts_prompt(facts)} {sentence}"


def split_pair(pair: str) -> tuple[str, str]:
    """Return the prompt and the sentence of what `facts_pair` made."""
    prompt, mark, sentence = pair.partition(f"\n{_ANSWER} ")
    if not mark:
        raise ValueError("the text is no pair of facts and a sentence")
    return prompt + mark.rstrip(" "), sentence


def facts_of(prompt: str) -> dict[str, str]:
    """Return the facts of what `facts_prompt` made."""
    line = prompt.removeprefix(f"{_HEAD} ").partition("\n")[0]
    return dict(part.split(" = ", 1) for part in line.split(" | "))
