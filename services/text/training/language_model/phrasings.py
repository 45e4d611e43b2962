"""Says facts in many ways: the sentences that the language models learn rephrasing from.

`{title}` and the other names in braces are facts; `{what}` is a noun phrase made of kind, year and genres.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

# With the name of another title, {other}.
LIKED = (
    "Because you liked {other}, try {title}, {what}.",
    "Because you enjoyed {other}, {title} could be for you: {what}.",
    "You liked {other}, so {title}, {what}, may be your next one.",
    "You liked {other}? Then have a look at {title}, {what}.",
    "{title} is {what}, picked for you because you liked {other}.",
    "If you liked {other}, {title} is worth a try. It is {what}.",
    "Fans of {other} often go on to {title}, {what}.",
    "{other} was to your taste, and {title} may be as well: {what}.",
    "Since {other} pleased you, here is {title}, {what}.",
    "After {other}, {title} is a good next choice. It is {what}.",
    "{title}, {what}, is here because you liked {other}.",
    "For somebody who liked {other}, {title} is an easy choice: {what}.",
)
WATCHED = (
    "Because you watched {other}, try {title}, {what}.",
    "You watched {other}, and {title} is close to it: {what}.",
    "{title} is {what}, shown because you watched {other}.",
    "Having watched {other}, you may want to see {title}, {what}.",
    "You have seen {other}. {title}, {what}, could be next.",
    "After watching {other}, why not {title}? It is {what}.",
    "{title}, {what}, follows well on {other}, which you watched.",
)
RESEMBLES = (
    "{title} is {what} that resembles {other}.",
    "{title} resembles {other}: it is {what}.",
    "Much like {other}, {title} is {what}.",
    "{title} is close to {other}, and it is {what}.",
    "If you know {other}, you will feel at home in {title}, {what}.",
    "Think of {other}, and you have an idea of {title}, {what}.",
)
POPULAR = (
    "{title} is {what} that everyone seems to like.",
    "{title} is popular with everyone right now. It is {what}.",
    "Many people choose {title}, {what}.",
    "A favourite of many: {title}, {what}.",
    "Everyone is talking about {title}, {what}.",
    "{title}, {what}, is popular with everyone.",
)
NEW = (
    "New in the catalogue: {title}, {what}.",
    "{title} has just arrived. It is {what}.",
    "Just added: {title}, {what}.",
    "{title} is new here, {what}.",
    "Be among the first to see {title}, {what}, new in the catalogue.",
    "Fresh in the catalogue is {title}, {what}.",
)
TASTE = (
    "{title} is {what} of a kind that you like.",
    "Just your kind of thing: {title}, {what}.",
    "{title} should suit your taste. It is {what}.",
    "Picked for your taste: {title}, {what}.",
    "You like this kind, so here is {title}, {what}.",
)
CLOSE = (
    "{title} is close to what you had before: {what}.",
    "In the same vein as what you had before, {title} is {what}.",
    "Not far from what you had before: {title}, {what}.",
    "{title}, {what}, goes on from what you had before.",
)
PLAIN = (
    "{title} is {what}.",
    "Meet {title}, {what}.",
    "Here is {title}, {what}.",
    "How about {title}? It is {what}.",
    "Tonight, why not {title}, {what}?",
    "Take a look at {title}, {what}.",
)

RATING = (
    "It is rated {rating}.",
    "Viewers give it {rating}.",
    "Its rating is {rating}.",
    "People rate it {rating}.",
    "On average it gets {rating}.",
)
RATING_REVIEWS = (
    "It is rated {rating} in {reviews} reviews.",
    "{reviews} reviews give it {rating}.",
    "After {reviews} reviews it stands at {rating}.",
    "Its rating is {rating}, from {reviews} reviews.",
)
REVIEWS = ("{reviews} people have reviewed it.", "It has {reviews} reviews.", "There are {reviews} reviews of it.")
BOTH = (
    "Reviewers praise {liked}, but not {disliked}.",
    "Reviewers like {liked}; some find fault with {disliked}.",
    "People love {liked} and are less happy with {disliked}.",
    "Praised for {liked}, criticised for {disliked}.",
    "Most reviews speak well of {liked}, while {disliked} gets complaints.",
)
LIKED_ONLY = (
    "Reviewers praise {liked}.",
    "People love {liked}.",
    "What reviewers like best: {liked}.",
    "It is praised for {liked}.",
)
DISLIKED_ONLY = (
    "Some reviewers find fault with {disliked}.",
    "Complaints are about {disliked}.",
    "Not everyone is happy with {disliked}.",
)

BY_REASON: Mapping[str, Sequence[str]] = {
    "you liked": LIKED,
    "you watched": WATCHED,
    "it resembles": RESEMBLES,
    "popular with everyone": POPULAR,
    "new in the catalogue": NEW,
    "of a kind that you like": TASTE,
    "close to what you had before": CLOSE,
}


def say(facts: Mapping[str, str], generator: random.Random) -> str:
    """Return one or two sentences that say the facts and nothing else."""
    reason = facts.get("reason", "")
    start = next((start for start in BY_REASON if reason.startswith(start)), None)
    opening = generator.choice(BY_REASON[start] if start else PLAIN)
    other = reason.removeprefix(start or "").strip()
    first = opening.format(title=facts["title"], what=noun_phrase(facts, generator), other=other)
    return " ".join([first, *(generator.choice(choices).format(**facts) for choices in _more(facts))])


def _more(facts: Mapping[str, str]) -> Iterator[Sequence[str]]:
    """Yield the ways to say what the opening does not."""
    if "rating" in facts:
        yield RATING_REVIEWS if "reviews" in facts else RATING
    elif "reviews" in facts:
        yield REVIEWS
    if "liked" in facts:
        yield BOTH if "disliked" in facts else LIKED_ONLY
    elif "disliked" in facts:
        yield DISLIKED_ONLY


def noun_phrase(facts: Mapping[str, str], generator: random.Random) -> str:
    """Return "a YEAR GENRES KIND" or the like."""
    kind, genres, year = facts["kind"], facts.get("genres", ""), facts.get("year", "")
    place = generator.randrange(4)
    if year and place < 2:
        return f"a {genres} {kind} {'from' if place else 'of'} {year}".replace("a  ", "a ")
    return " ".join(filter(None, ("a", year, genres, kind)))
