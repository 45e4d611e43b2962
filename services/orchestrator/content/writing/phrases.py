"""Phrases made of facts, which fill the slots of templates; and which facts each of them states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from marquee.entertainment.v1 import writing_service_pb2 as pb
from services.orchestrator.content.writing.facts import Facts, ReasonFact
from services.orchestrator.content.writing.genres import genre_of, kind_of, mixed
from services.orchestrator.content.writing.grammar import listed, plural

_STATED_BY: Mapping[str, tuple[str, ...]] = {
    "title": ("title",),
    "kind": ("genres",),
    "mix": ("genres",),
    "year": ("year",),
    "ages": ("maturity",),
    "standing": ("popularity",),
    "sentences": ("description",),
}
_SAID_GENRES = 3


def item_phrases(facts: Facts) -> dict[str, str]:
    """Return the slots that say what an item is; those without a fact are empty."""
    noun = facts.kind
    return {
        "title": facts.title.name,
        "noun": noun,
        "year": str(facts.year) if facts.year else "",
        "kind": kind_of(facts.genres[:_SAID_GENRES], noun),
        "mix": mixed(facts.genres[:_SAID_GENRES]),
        "ages": f"ages {facts.maturity_age} and up" if facts.maturity_age else "",
        "standing": f"one of the {facts.standing} most popular {plural(noun)} here" if facts.standing else "",
        "sentences": " ".join(facts.sentences),
    }


def reason_phrases(reasons: Sequence[ReasonFact]) -> dict[str, str]:
    """Return the slots that say why, for reasons of one kind."""
    if not reasons:
        return {}
    titles = [reason.title for reason in reasons if reason.title]
    match reasons[0].kind:
        case "history":
            groups = [
                f"{verb} {listed([reason.title for reason in group])}"
                for verb, group in groupby(sorted(reasons, key=lambda one: one.verb), key=lambda one: one.verb)
            ]
            liked = all(reason.verb == "liked" for reason in reasons)
            return {"did": f"you {listed(groups)}", "past": listed(titles) if liked else ""}
        case "alike":
            return {"alike": titles[0]}
        case "taste":
            return {"taste": genre_of(titles[0]).of}
    return {}


def stated(slots: Iterable[str], facts: Facts, reasons: Sequence[ReasonFact] = ()) -> list[pb.WritingFact]:
    """Return the facts that a text with these slots states, each once, in the order of the slots."""
    fields = dict.fromkeys(field for slot in slots for field in _STATED_BY.get(slot, ()))
    known = {fact.field: fact for fact in fact_messages(facts)}
    found = [known[field] for field in fields if field in known]
    return found + [pb.WritingFact(field="reason", value=reason.phrase, source=reason.source) for reason in reasons]


def fact_messages(facts: Facts) -> list[pb.WritingFact]:
    """Return every fact about the item itself."""
    said = [
        ("title", facts.title.name, "catalog"),
        ("year", str(facts.year) if facts.year else "", "catalog"),
        ("genres", ", ".join(facts.genres[:_SAID_GENRES]), "catalog"),
        ("maturity", str(facts.maturity_age) if facts.maturity_age else "", "catalog"),
        ("description", " ".join(facts.sentences), "catalog"),
        ("popularity", f"among the {facts.standing} most popular" if facts.standing else "", "events"),
    ]
    return [pb.WritingFact(field=field, value=value, source=source) for field, value, source in said if value]
