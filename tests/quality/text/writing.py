"""Measures writing: the check of faithfulness on its cases, and how many rephrasings of MovieLens films pass it.

`python -m tests.quality.text.writing` runs it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from marquee.text.v1 import generation_pb2
from services.cli.movielens import fetch_movielens
from services.orchestrator.content.writing.facts import Facts, ReasonFact
from services.orchestrator.content.writing.faithful import check_faithful
from services.orchestrator.content.writing.faithfulness.names import folded_title
from services.orchestrator.content.writing.prompt import STOPS, facts_prompt, filled
from services.orchestrator.content.writing.titles import read_title
from services.orchestrator.mesh import Mesh, MeshError
from services.runtime.request_context import RequestContext, enter_request
from services.text import main as text_main
from services.text.settings import TextSettings
from tests.support.content_mesh import NOWHERE
from tests.support.servers import running
from tests.unit.services.orchestrator.content.writing.cases import faithful_cases, refused_cases

FILMS = 300
_SECONDS = 60.0
_TEMPERATURES = (0.2, 0.6, 0.9)
_SHOWN = 5


@dataclass
class Rephrasings:
    """What became of the model's texts.

    Attributes:
        model: model and version; empty when there is none.
        films: films that were asked about.
        first: films whose first text passed.
        passed: films with a text that passed within three tries.
        kinds: findings by kind, over all texts that were refused.
        used, refused: examples.
        seconds: time a text took.
    """

    model: str = ""
    films: int = 0
    first: int = 0
    passed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    used: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def check_figures() -> dict[str, float]:
    """Return the false accept and false refuse rates of the check."""
    accepted = [case for case in refused_cases() if not case.check()]
    refused = [case for case in faithful_cases() if case.check()]
    return {
        "invented texts": len(refused_cases()),
        "faithful texts": len(faithful_cases()),
        "invented texts accepted": len(accepted) / len(refused_cases()),
        "faithful texts refused": len(refused) / len(faithful_cases()),
    }


async def measure_rephrasings(say: Callable[[str], None], model: str = "", count: int = FILMS) -> Rephrasings:
    """Have the text service's decoder rephrase facts of films, each with one reason, as the orchestrator would.

    Raises:
        SourceUnavailable: MovieLens cannot be fetched.
    """
    enter_request(RequestContext())
    films = _facts(count)
    titles = frozenset(title for title in (folded_title(facts.title.name) for facts in _facts(None)) if " " in title)
    found = Rephrasings()
    with tempfile.TemporaryDirectory(prefix="marquee-writing-") as folder:
        options = TextSettings(port=0, bundle_repository=Path(folder), drain_seconds=0)
        async with running(text_main.build(options), options) as server:
            mesh = Mesh({"text": server.address, "vision": NOWHERE, "classical": NOWHERE})
            try:
                for number, facts in enumerate(films):
                    await _try(mesh, model, facts, titles, number, found)
                    if number % 50 == 49:
                        say(f"{number + 1} films, {found.passed} rephrased")
            except MeshError as error:
                say(f"rephrasing is left out: {error}")
            finally:
                await mesh.close()
    return found


async def _try(mesh: Mesh, model: str, facts: Facts, titles: frozenset[str], number: int, found: Rephrasings) -> None:
    found.films += 1
    for attempt, temperature in enumerate(_TEMPERATURES):
        options = generation_pb2.GenerationOptions(
            max_tokens=120, temperature=temperature, top_p=0.95, stop=STOPS, seed=3 * number + attempt
        )
        request = generation_pb2.GenerateTextRequest(prompt=facts_prompt(facts), model=model, options=options)
        begun, text = time.monotonic(), ""
        async with aclosing(mesh.generate_text(request, _SECONDS)) as pieces:
            async for piece in pieces:
                text += piece.text
                if piece.HasField("report"):
                    found.model = f"{piece.report.model} {piece.report.version}"
        found.seconds.append(time.monotonic() - begun)
        text = filled(text.strip(), facts)
        findings = check_faithful(text, facts, most_characters=400, known_titles=titles)
        if not findings:
            found.first += attempt == 0
            found.passed += 1
            found.used.append(text)
            return
        found.kinds.update({finding.kind for finding in findings})
        found.refused.append(f"{text!r}: {findings[0].kind} {findings[0].found!r}")


def _facts(count: int | None) -> list[Facts]:
    """Return facts of MovieLens-100K's films, each because another one was liked, resembles it, or many chose it."""
    films = [film for film in fetch_movielens().items if film.release_year and film.tags]
    draw = random.Random(0)
    chosen = films if count is None else draw.sample(films, count)
    made = []
    for film in chosen:
        other = read_title(draw.choice(films).title).name
        reason = draw.choice(
            (
                ReasonFact("history", other, "liked"),
                ReasonFact("history", other, "liked"),
                ReasonFact("alike", other),
                ReasonFact("popular"),
            )
        )
        made.append(
            Facts(
                read_title(film.title),
                kind="film",
                year=film.release_year,
                genres=tuple(film.tags),
                popular=reason.kind == "popular",
                reasons=(reason,),
            )
        )
    return made


def show(found: Rephrasings, examples: int = _SHOWN) -> None:
    """Print what became of the model's texts."""
    if not found.model:
        return
    seconds = sorted(found.seconds)
    print(f"\nrephrasing by {found.model}, {found.films} films")
    print(f"{'first text used':36s} {found.first / found.films:10.4f}")
    print(f"{'a text used within three tries':36s} {found.passed / found.films:10.4f}")
    print(f"{'median seconds a text':36s} {seconds[len(seconds) // 2]:10.3f}")
    for kind, count in found.kinds.most_common():
        print(f"  refused for {kind:23s} {count:10d}")
    for name, texts in (("used", found.used), ("refused", found.refused)):
        for text in texts[:examples]:
            print(f"  {name}: {text}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the check, and rephrasing by a model."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.text.writing", description=main.__doc__)
    parser.add_argument("--model", default="", help="decoder of the text service (its default)")
    parser.add_argument("--films", type=int, default=FILMS, help="films to write about")
    parser.add_argument("--examples", type=int, default=_SHOWN, help="texts to print of each sort")
    options = parser.parse_args(arguments)
    for name, value in check_figures().items():
        print(f"{name:36s} {value:10.4f}")
    found = asyncio.run(measure_rephrasings(print, options.model, options.films))
    show(found, options.examples)


if __name__ == "__main__":
    main()
