"""`marquee write`: why a user might like an item, blurbs, review summaries, generated text."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.markup import escape

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FAILED, STEP_OUTCOME_FALLBACK, StepReport
from marquee.entertainment.v1 import writing_service_pb2 as pb
from marquee.text.v1 import generation_pb2
from marquee_client import GenerationWishes, WritingWishes
from services.cli.analyze import read_lines
from services.cli.connection import connected
from services.cli.console import output
from services.cli.recommend import AsJson
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, printable, titled

EPILOG = """
[bold]Examples[/]

  marquee write why 196 242                        [dim]# why user 196 might like item 242, and what that is based on[/]

  marquee write blurb 50 -n 3 --style lively       [dim]# three texts about item 50[/]

  marquee write summary reviews.jsonl              [dim]# what reviews have in common, with quotes[/]

  marquee write text "The film begins"             [dim]# a language model goes on, word by word[/]

[dim]Templates write from facts. With --rephrase a language model may put them into other words; its text is used only
when every name, number and claim of it is found in the facts.[/]
"""
WHY_EPILOG = """
[bold]Examples[/]

  marquee write why 196 242

  marquee write why 196 242 50 --kind film --style warm

  marquee write why 196 242 --rephrase --facts      [dim]# other words; what was checked, what was refused[/]
"""
BLURB_EPILOG = """
[bold]Examples[/]

  marquee write blurb 50

  marquee write blurb 50 --length long -n 5 --kind film

  marquee write blurb 50 --seed 7 --max-characters 120
"""
SUMMARY_EPILOG = """
[bold]Examples[/]

  marquee write summary reviews.txt                 [dim]# one review a line[/]

  marquee write summary reviews.jsonl               [dim]# lines like {"text": "Loved it", "rating": 4.5}[/]

  marquee write summary reviews.txt --aspect acting --aspect "frame rate"

  cat reviews.txt | marquee write summary - --json
"""
TEXT_EPILOG = """
[bold]Examples[/]

  marquee write text "The film begins with"

  marquee write text "I loved" --model recurrent-language-model --max-tokens 100 --temperature 0.5 --seed 1

  marquee write text "You are" --hold-back          [dim]# a sentence at a time, as far as moderation allows it[/]
"""
Choice = TypeVar("Choice")

_STYLES = {
    "plain": pb.WRITING_STYLE_PLAIN,
    "warm": pb.WRITING_STYLE_WARM,
    "lively": pb.WRITING_STYLE_LIVELY,
}
_LENGTHS = {"short": pb.BLURB_LENGTH_SHORT, "medium": pb.BLURB_LENGTH_MEDIUM, "long": pb.BLURB_LENGTH_LONG}
_SHOWN_REFUSALS = 5

Style = Annotated[str, typer.Option(help="How it sounds: plain, warm or lively.")]
MaximumCharacters = Annotated[int, typer.Option("--max-characters", help="Most characters, 40 to 2,000.")]
RephraseOption = Annotated[
    bool, typer.Option("--rephrase", help="Let a language model put the facts into other words, if it stays with them.")
]
SeedOption = Annotated[int, typer.Option(help="Decides the wording; the same seed gives the same text.")]
Model = Annotated[str, typer.Option(help="Language model; the service's own when left out.", show_default=False)]
Kind = Annotated[str, typer.Option(help='What the items are, for example "film" or "game".', show_default=False)]
ShowFacts = Annotated[bool, typer.Option("--facts", help="Also show the facts, and what the check refused.")]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.command(epilog=WHY_EPILOG)
def why(
    user: Annotated[str, typer.Argument(help="User to explain to.")],
    items: Annotated[list[str], typer.Argument(help="Items, at most 20.")],
    style: Style = "plain",
    max_characters: MaximumCharacters = 400,
    rephrase: RephraseOption = False,
    seed: SeedOption = 0,
    model: Model = "",
    kind: Kind = "",
    facts: ShowFacts = False,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Say why a user might like items, from the reasons that the scores give."""
    wishes = _wishes(style, max_characters, rephrase, seed, model, kind)
    with connected(target) as client:
        reply = client.explain_items(user, items, **wishes)
    if as_json:
        _print_json(reply)
        return
    for one in reply.explanations:
        _print_text(one.written, f"{one.item_id}  ", facts=facts)
    _print_lost(reply.degraded, reply.steps)


@app.command(epilog=BLURB_EPILOG)
def blurb(
    item: Annotated[str, typer.Argument(help="Item to write about.")],
    count: Annotated[int, typer.Option("--count", "-n", help="Different texts wanted, at most 10.")] = 1,
    length: Annotated[str, typer.Option(help="short, medium or long.")] = "medium",
    style: Style = "plain",
    max_characters: MaximumCharacters = 400,
    rephrase: RephraseOption = False,
    seed: SeedOption = 0,
    model: Model = "",
    kind: Kind = "",
    facts: ShowFacts = False,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Write about an item from what the catalogue says of it, and nothing else."""
    wishes = _wishes(style, max_characters, rephrase, seed, model, kind)
    chosen = _choose("--length", length, _LENGTHS)
    with connected(target) as client:
        reply = client.write_blurb(item, length=chosen, variant_count=count, **wishes)
    if as_json:
        _print_json(reply)
        return
    for number, written in enumerate(reply.variants, 1):
        _print_text(written, f"{number}  " if len(reply.variants) > 1 else "", facts=facts)
    _print_lost(reply.degraded, reply.steps)


@app.command(epilog=SUMMARY_EPILOG)
def summary(
    file: Annotated[Path, typer.Argument(help="Reviews, one a line, as text or as JSON; - reads standard input.")],
    aspect: Annotated[
        list[str] | None, typer.Option(help="What to look for; give two or more.", show_default=False)
    ] = None,
    subject: Annotated[
        str, typer.Option(help="What the reviews are of; --rephrase needs it.", show_default=False)
    ] = "",
    scale: Annotated[float, typer.Option(help="Best rating there is.")] = 5.0,
    quotes: Annotated[int, typer.Option(help="Quotes to show at most.")] = 4,
    style: Style = "plain",
    max_characters: MaximumCharacters = 400,
    rephrase: RephraseOption = False,
    seed: SeedOption = 0,
    model: Model = "",
    kind: Kind = "",
    facts: ShowFacts = False,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Say what reviews have in common: feelings, praise and criticism, and quotes taken from them word by word."""
    reviews = read_reviews(file)
    wishes = _wishes(style, max_characters, rephrase, seed, model, kind)
    with connected(target) as client:
        reply = client.summarize_reviews(
            reviews, aspects=aspect or [], subject=subject, rating_scale=scale, quote_count=quotes, **wishes
        )
    if as_json:
        _print_json(reply)
        return
    _print_text(reply.summary, "", facts=facts)
    _print_aspects(reply)
    for quote in reply.quotes:
        colour = "green" if quote.sentiment > 0 else "red"
        output.print(f"[{colour}]▌[/] “{escape(printable(quote.text))}” [dim]review {quote.review_index + 1}[/]")
    for skipped in reply.skipped:
        output.print(f"[yellow]review {skipped.review_index + 1} was not read:[/] {escape(skipped.message)}")
    _print_lost(reply.degraded, reply.steps)


@app.command(epilog=TEXT_EPILOG)
def text(
    prompt: Annotated[str, typer.Argument(help="Text to go on from.")],
    model: Model = "",
    max_tokens: Annotated[int, typer.Option(help="Most tokens to generate, at most 2,048.")] = 64,
    temperature: Annotated[float, typer.Option(help="How daring: 0 takes the most probable word each time.")] = 0.8,
    top_p: Annotated[float | None, typer.Option(help="Draw only from what is together this probable.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same text.", show_default=False)] = None,
    stop: Annotated[list[str] | None, typer.Option(help="Text that ends it; may be given again.")] = None,
    hold_back: Annotated[
        bool, typer.Option("--hold-back", help="Show a sentence only once moderation allows it.")
    ] = False,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Let a language model go on from a text; it appears as it is made, and Ctrl-C stops the work."""
    wishes: GenerationWishes = {"max_tokens": max_tokens, "temperature": temperature, "stop": stop or []}
    if top_p is not None:
        wishes["top_p"] = top_p
    if seed is not None:
        wishes["seed"] = seed
    last = pb.GenerateTextResponse()
    first_seed = 0
    with connected(target) as client:
        for piece in client.generate_text(prompt, model=model, hold_back=hold_back, **wishes):
            first_seed = first_seed or piece.seed
            last = piece
            if as_json:
                typer.echo(json_format.MessageToJson(piece, preserving_proto_field_name=True, indent=None))
            else:
                typer.echo("\n".join(map(printable, piece.text.split("\n"))), nl=False)
                sys.stdout.flush()
    if as_json:
        return
    typer.echo("")
    if last.withheld:
        output.print(f"[yellow]the rest is withheld:[/] {escape(last.withheld)}")
    else:
        why_ended = generation_pb2.FinishReason.Name(last.finish_reason).removeprefix("FINISH_REASON_").lower()
        output.print(
            f"[dim]{escape(last.report.model)} {escape(last.report.version)}: {last.usage.generated_tokens} tokens, "
            f"the first after {last.usage.first_token_microseconds / 1000:.0f} ms; ended by "
            f"{why_ended.replace('_', ' ')}; seed {first_seed}[/]"
        )


def read_reviews(file: Path) -> list[pb.Review]:
    """Return the reviews of a file: a line is a text, or a JSON object with "text" and perhaps "rating"."""
    reviews = []
    for number, line in enumerate(read_lines(file), 1):
        if not line.lstrip().startswith("{"):
            reviews.append(pb.Review(text=line))
            continue
        try:
            entry = json.loads(line)
            reviews.append(pb.Review(text=entry["text"], rating=entry.get("rating")))
        except (ValueError, KeyError, TypeError) as error:
            message = f'{file}: line {number} is no review: {{"text": "...", "rating": 4.5}}; the rating may be missing'
            raise typer.BadParameter(message) from error
    if not reviews:
        raise typer.BadParameter(f"{file} holds no review")
    return reviews


def _wishes(style: str, max_characters: int, rephrase: bool, seed: int, model: str, kind: str) -> WritingWishes:
    return {
        "style": _choose("--style", style, _STYLES),
        "max_characters": max_characters,
        "rephrase": pb.REPHRASE_IF_FAITHFUL if rephrase else pb.REPHRASE_NEVER,
        "seed": seed,
        "model": model,
        "kind": kind,
    }


def _choose(option: str, value: str, choices: Mapping[str, Choice]) -> Choice:
    if value not in choices:
        raise typer.BadParameter(f"{option} is one of {', '.join(choices)}, not {value!r}")
    return choices[value]


def _print_text(written: pb.WrittenText, before: str, *, facts: bool) -> None:
    mark = " [dim](rephrased)[/]" if written.rephrased else ""
    output.print(f"[bold]{escape(before)}[/]{escape(written.text)}{mark}")
    if not facts:
        return
    for fact in written.facts:
        output.print(f"    [dim]{escape(fact.field)} = {escape(printable(fact.value))}  ({escape(fact.source)})[/]")
    for refusal in written.refusals[:_SHOWN_REFUSALS]:
        output.print(f"    [yellow]refused:[/] [dim]{escape(printable(refusal.found))} {escape(refusal.message)}[/]")


def _print_aspects(reply: pb.SummarizeReviewsResponse) -> None:
    if not reply.praised and not reply.criticised:
        return
    table = plain_table()
    table.add_column("aspect")
    table.add_column("reviews", justify="right")
    table.add_column("sentiment", justify="right")
    for aspects, colour in ((reply.praised, "green"), (reply.criticised, "red")):
        for one in aspects:
            table.add_row(f"[{colour}]{escape(one.aspect)}[/]", f"{one.review_count:,}", f"{one.sentiment:+.2f}")
    output.print(titled("", table))


def _print_lost(degraded: bool, steps: Sequence[StepReport]) -> None:
    if not degraded:
        return
    for step in steps:
        if step.outcome in (STEP_OUTCOME_FALLBACK, STEP_OUTCOME_FAILED):
            output.print(f"[yellow]degraded:[/] {escape(step.step)}: {escape(step.detail)}")


def _print_json(reply: Message) -> None:
    typer.echo(json_format.MessageToJson(reply, preserving_proto_field_name=True))
