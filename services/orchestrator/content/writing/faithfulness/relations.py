"""Who did what with what: the other titles are what the user knows, the item is what is new, and no other way round."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.orchestrator.content.writing.facts import Facts, ReasonFact
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.reading import MAIN, Reading
from services.orchestrator.content.writing.words import words

_LIKED = frozenset(["liked", "enjoyed"])
_WATCHED = frozenset(["watched", "seen", "saw", "watching"])
_DONE = (
    _LIKED
    | _WATCHED
    | frozenset(["loved", "adored", "hated", "played", "bought", "rated", "finished", "disliked", "listened", "read"])
)
_VERBS = {
    "liked": _LIKED,
    "watched": _WATCHED,
    "played": frozenset({"played", "playing"}),
    "bought": frozenset({"bought"}),
}
_SUBJECTS = frozenset(["you", "who", "having", "after", "we", "i", "they", "people", "everyone", "somebody", "someone"])
_USER = frozenset(["you", "who", "having", "after"])
_MODAL = frozenset(["may", "might", "will", "would", "could", "should", "to", "can", "also"])
# Words behind the item's title that show that a new clause begins with it.
_FINITE = words("finite verbs")
# "Casino was to your taste", "Casino and Ronin pleased you".
_PLEASED = re.compile(r"(?:(?:and|or|,|) )*(?:pleased you|(?:was|were) to your taste)")
# "A western that you like": the item itself, not its kind.
_THAT_YOU_LIKE = re.compile(
    r"(?<!said)(?<!us)(?<!kind)(?<!sort)(?<!type) that you (?:said (?:that )?(?:you )?)?(?:like|enjoy)\b"
)
_HABITS = frozenset(
    ["watch", "see", "play", "like", "enjoy", "want", "choose", "pick", "find", "take", "call", "think"]
)
_OF = ("because of", "fans of", "fan of", "thanks to", "since", "after", "following", "based on")
_ALIKE = (
    "resembles",
    "resemble",
    "resembling",
    "close to",
    "similar to",
    "akin to",
    "reminiscent of",
    "much like",
    "like",
    "think of",
    "know",
    "know it",
    "alike",
)
_PRAISE = words("praise")
_BLAME = words("blame")


def check_relations(reading: Reading, facts: Facts) -> Iterator[Finding]:
    """Yield where a title plays another's part, or is told what is true of another."""
    licensed: set[int] = set()
    for index, token in enumerate(reading.tokens):
        if token.kind != "mention":
            continue
        before, after = reading.before(index, 6), reading.after(index, 6)
        if token.reference == MAIN:
            yield from _check_main(index, reading, before, after, licensed)
            continue
        reason = facts.reasons[token.reference]
        if _is_licensed(index, reading, reason, before, after, licensed):
            licensed.add(index)
        else:
            yield Finding("relation", token.text[:100], f"is not said to be what it is: {reason.phrase[:60]}")
        if _is_described(after):
            yield Finding("relation", token.text[:100], "is described, and no fact describes it")
    yield from _check_polarity(reading, facts)
    yield from _check_user(reading, facts)


def _check_main(
    index: int, reading: Reading, before: list[str], after: list[str], licensed: set[int]
) -> Iterator[Finding]:
    last = before[-1] if before else ""
    before_noun = before[:-2] if before[-2:-1] == ["the"] else before
    said = " ".join(before_noun)
    if last in _DONE or (before_noun and before_noun[-1] in _DONE):
        yield Finding(
            "relation", f"{last} {reading.tokens[index].text}"[:100], "says that the user knows the item already"
        )
    elif any(said.endswith(cue) for cue in (*_OF, "resembles", "close to", "similar to", "much like", "akin to")):
        yield Finding("relation", f"{last} {reading.tokens[index].text}"[:100], "makes the item its own reason")
    elif last in ("like", "enjoy") and not _MODAL & set(before[-4:-1]):
        yield Finding(
            "relation", f"{last} {reading.tokens[index].text}"[:100], "says that the user likes the item already"
        )
    joins = last in ("and", "or", ",", "&", "but")
    other = index - 2 if joins else index - 1
    if joins and last == "and" and other >= 0 and reading.tokens[other].text == ",":
        other -= 1
    if (
        joins
        and other in licensed
        and not (after and (after[0] in _FINITE or (last == "," and after[0] in (",", "("))))
    ):
        yield Finding("relation", reading.tokens[index].text[:100], "counts the item among what the user knows")


def _is_licensed(
    index: int, reading: Reading, reason: ReasonFact, before: list[str], after: list[str], licensed: set[int]
) -> bool:
    said, follows = " ".join(before), " ".join(after)
    last = before[-1] if before else ""
    if last in ("and", "or", ",", "&"):
        other = index - 2
        if other >= 0 and reading.tokens[other].text == ",":
            other -= 1
        if other in licensed:
            return True
    if reason.kind == "history":
        verbs = _VERBS.get(reason.verb, frozenset())
        if last in verbs or said.endswith(reason.verb) or any(said.endswith(cue) for cue in _OF[:-1]):
            return True
        if reason.verb == "liked" and last in ("like", "enjoy") and "you" in before[-3:]:
            return True
        return reason.verb == "liked" and _PLEASED.match(follows) is not None
    return any(said == cue or said.endswith(f" {cue}") for cue in _ALIKE)


def _is_described(after: list[str]) -> bool:
    """Return whether what follows another title tells its year, kind or fame."""
    if not after:
        return False
    if after[0] == "(":
        return True
    article = after[1:2] and (after[1] in ("a", "an", "the") or after[1][:1].isdigit())
    return bool(after[0] in (",", ":", "-", "–", "—", "is", "was") and article) or after[0] in (
        "from",
        "of",
        "by",
        "in",
        "with",
    )


def _check_polarity(reading: Reading, facts: Facts) -> Iterator[Finding]:
    """Yield aspects that are praised where reviews criticise them, and the other way round."""
    text = reading.rest.lower()
    for aspects, wanted, other in ((facts.praised, _PRAISE, _BLAME), (facts.criticised, _BLAME, _PRAISE)):
        for aspect in aspects:
            place = text.find(aspect.lower())
            if place < 0:
                continue
            said = [word.strip(".,:;!?") for word in text[:place].replace("less well", "less").split()]
            cue = next((word for word in reversed(said) if word in wanted or word in other), "")
            if cue not in wanted:
                yield Finding(
                    "relation", aspect[:100], "is said to be liked where reviews do not, or the other way round"
                )


def _check_user(reading: Reading, facts: Facts) -> Iterator[Finding]:
    """Yield what is said of the user without a reason that says it."""
    kinds = {reason.kind for reason in facts.reasons}
    liked = _THAT_YOU_LIKE.search(reading.rest.lower())
    if liked:
        yield Finding("relation", liked[0].strip(), "says that the user likes the item already")
    for index, token in enumerate(reading.tokens):
        if token.lower in _DONE and token.kind == "word" and "history" in kinds:
            subjects = [word for word in reading.before(index, 8) if word in _SUBJECTS]
            if not subjects or subjects[-1] not in _USER:
                yield Finding("relation", token.text, "is not said of the user")
        elif token.lower in _DONE and token.kind == "word":
            reviewed = facts.rating or facts.review_count or facts.praised or facts.criticised
            before = reading.before(index, 3)
            if token.lower in ("rated", "liked") and reviewed and "you" not in before:
                continue
            yield Finding("relation", token.text, "says what the user did, and no reason does")
        habit = token.lower == "you" and (reading.after(index, 1) or [""])[0] in _HABITS
        conditional = (reading.before(index, 1) or [""])[-1] == "if"
        if habit and not conditional and not _is_stated_liking(index, reading, facts):
            yield Finding(
                "relation", f"you {reading.after(index, 1)[0]}", "says what the user does, and no reason does"
            )


def _is_stated_liking(index: int, reading: Reading, facts: Facts) -> bool:
    """Return whether "you like ..." is a stated taste, or speaks of a title that the user liked."""
    verb = reading.after(index, 1)[0]
    if verb not in ("like", "enjoy"):
        return False
    following = reading.tokens[index + 2 : index + 3]
    if following and following[0].kind == "mention":
        return following[0].reference != MAIN
    tastes = [reason.title.lower() for reason in facts.reasons if reason.kind == "taste"]
    rest = reading.rest[reading.tokens[index + 1].end :].lower().lstrip()
    stated = any(re.match(rf"{re.escape(taste)}(?!\w|-| and | or | & )", rest) for taste in tastes)
    return bool(tastes) and (stated or re.match(r"this kind|[.:,;!?]|$", rest) is not None)
