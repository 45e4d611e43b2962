"""Who stands where: pages within their category caps, and places that are drawn by chance with known probability."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy

from services.orchestrator.recommend.ranking import ScoredItem
from services.orchestrator.recommend.sources.fresh import FreshItem
from services.orchestrator.recommend.steering import ExplorationOptions

Item = ScoredItem | FreshItem


@dataclass(frozen=True)
class Placed:
    """An item and the probability with which it got its place, given those before it."""

    item: Item
    propensity: float = 1.0


def place(
    order: Sequence[Item],
    *,
    page_size: int,
    caps: Mapping[str, int],
    exploration: ExplorationOptions | None,
    tags_of: Callable[[str], Sequence[str]],
    random: numpy.random.Generator,
) -> list[Placed]:
    """Put items into places, from the first on.

    A place takes the first item in order that fits the caps of its page. A place that explores takes one of the items
    that fit, drawn by softmax(standardised score / temperature): what is left of the order competes, so that the
    probability is exact given what stands before. New items, which have no score of the ranker, are not drawn.

    Args:
        order: the list, best first, without repeats.
        page_size: items of a page; caps count within a page.
        caps: most items by case-folded tag.
        exploration: places to draw; None draws none.
        tags_of: tags of an item id.
        random: where chance comes from.

    Returns:
        The items in their places; what no page can take is left out.
    """
    if not caps and exploration is None:
        return [Placed(item) for item in order]
    left = list(order)
    capped = {item.item_id: {tag.casefold() for tag in tags_of(item.item_id)} & caps.keys() for item in order}
    drawn = set(exploration.positions) if exploration else set()
    placed: list[Placed] = []
    used: dict[str, int] = {}
    while left:
        if len(placed) % page_size == 0:
            used = dict.fromkeys(caps, 0)
        fitting = [item for item in left if all(used[tag] < caps[tag] for tag in capped[item.item_id])]
        if not fitting:
            # The pages after this one would begin at other places than their callers count.
            break
        chosen = Placed(fitting[0])
        if exploration is not None and len(placed) in drawn:
            chosen = _draw(fitting, exploration.temperature, random)
        placed.append(chosen)
        left.remove(chosen.item)
        for tag in capped[chosen.item.item_id]:
            used[tag] += 1
    return placed


def _draw(items: Sequence[Item], temperature: float, random: numpy.random.Generator) -> Placed:
    """Draw one of the scored items; the first item for certain when there is none."""
    scored = [item for item in items if isinstance(item, ScoredItem)]
    if not scored:
        return Placed(items[0])
    probabilities = softmax(numpy.array([item.score for item in scored], numpy.float64), temperature)
    number = int(random.choice(len(scored), p=probabilities))
    return Placed(scored[number], float(probabilities[number]))


def softmax(scores: numpy.typing.NDArray[numpy.float64], temperature: float) -> numpy.typing.NDArray[numpy.float64]:
    """Return float64[N] probabilities of scores float64[N], which are standardised first so that temperatures mean the
    same for every ranker.
    """
    deviation = scores.std()
    standardised = (scores - scores.max()) / (deviation if deviation > 0 else 1.0)
    exponentials = numpy.exp(standardised / temperature)
    probabilities: numpy.typing.NDArray[numpy.float64] = exponentials / exponentials.sum()
    return probabilities
