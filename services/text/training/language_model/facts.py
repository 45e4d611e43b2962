"""The format in which a language model is told facts, and made pairs of facts and a sentence that says them.

A prompt is one line of facts and the beginning of the answer; the model goes on with one or two sentences and ends::

    facts: title = Heat | year = 1995 | genres = Action, Crime | reason = you liked Casino
    text: Because you liked Casino, try Heat, a 1995 action and crime film.

Names of facts and what their values look like are in `FIELDS`; they come in that order; any but the title may be
absent.
"""

from __future__ import annotations

from collections.abc import Mapping

FIELDS: Mapping[str, str] = {
    "kind": "film, series, game or another noun; film when absent",
    "title": "the name, as it is to be written",
    "year": "four digits",
    "genres": "names with a comma and a space between, at most three",
    "rating": "a number with one digit after the point, then ' of 5'",
    "reviews": "a whole number without signs between its digits",
    "liked": "what reviewers praise, lower case, a comma and a space between",
    "disliked": "what reviewers find fault with, in the same form",
    "reason": "why it is shown: 'you liked X', 'you watched X', 'it resembles X', 'popular with everyone', "
    "'new in the catalogue', 'of a kind that you like' or 'close to what you had before'",
}

_HEAD, _ANSWER = "facts:", "text:"


def facts_prompt(facts: Mapping[str, str]) -> str:
    """Return the prompt for these facts; what the model generates after it is the sentence, with a space before it.

    Raises:
        ValueError: a field is none of `FIELDS`, the title is missing, or a value has a line break or a bar.
    """
    unknown = set(facts) - set(FIELDS)
    if unknown or "title" not in facts:
        raise ValueError(f"facts are a title and any of {', '.join(FIELDS)}; unknown: {sorted(unknown)}")
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
