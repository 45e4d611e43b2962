"""`marquee search`: titles by what people type, with what matched and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.text import Text

from marquee.entertainment.v1 import search_service_pb2 as pb
from marquee_client import ListOptions, SearchOptions
from services.cli.connection import connected
from services.cli.console import output
from services.cli.recommend import AsJson, Count, ExcludedTags, Filter, MaximumAge, Steps, Tags
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, printable, steps_table, titled

EPILOG = """
[bold]Examples[/]

  marquee search "space adventure with robots"        [dim]# words and meaning together[/]

  marquee search "shawshenk redemptiom"                [dim]# typing errors are forgiven, and shown[/]

  marquee search "romance" --user 196 --personal 0.6  [dim]# what user 196 likes comes first[/]

  marquee search "war" --filter 'release_year < 1960' --exclude-tag Comedy

  marquee search "star wa" --suggest                  [dim]# complete a title as it is typed[/]

  marquee search "heist" --by words --no-steps        [dim]# no model runs[/]

  marquee search "heist" --json | jq '.items[].title'

Words are shown [bold green]as written[/], [bold cyan]begun[/], [bold yellow]misspelled[/]. Both parts of the score are
shares of the best possible; docs/search.md tells how they are joined.
"""
_STYLES = {
    pb.WORD_MATCH_KIND_EXACT: "bold green",
    pb.WORD_MATCH_KIND_PREFIX: "bold cyan",
    pb.WORD_MATCH_KIND_TYPO: "bold yellow",
}
_MODES = {
    "both": pb.SEARCH_MODE_UNSPECIFIED,
    "words": pb.SEARCH_MODE_LEXICAL,
    "meaning": pb.SEARCH_MODE_SEMANTIC,
    "fast": pb.SEARCH_MODE_FAST,
}


def search(
    query: Annotated[str, typer.Argument(help="What to find: words of a title, a genre, a year, or what it is about.")],
    user: Annotated[
        str, typer.Option("--user", help="Search for this user: settings hold, and taste counts.", show_default=False)
    ] = "",
    personal: Annotated[
        float | None, typer.Option(help="How much taste counts, 0 to 1; 0.2 unless given.", show_default=False)
    ] = None,
    by: Annotated[
        str, typer.Option(help="What decides: words, meaning, both, or fast: both, by static word vectors.")
    ] = "both",
    suggest: Annotated[bool, typer.Option("--suggest", help="Complete to titles instead of searching.")] = False,
    count: Count = 10,
    tag: Tags = None,
    exclude_tag: ExcludedTags = None,
    max_age: MaximumAge = None,
    filter_: Filter = "",
    page: Annotated[str, typer.Option("--page", help="Token of the next page.", show_default=False)] = "",
    steps: Steps = True,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Find titles by words and by meaning, forgiving typing errors."""
    if by not in _MODES:
        raise typer.BadParameter(f"{by!r} is none of {', '.join(_MODES)}", param_hint="--by")
    wanted = ListOptions(
        page_size=count,
        required_tags=tag or [],
        excluded_tags=exclude_tag or [],
        maximum_maturity_age=max_age,
        filter=filter_,
    )
    with connected(target) as client:
        start = time.perf_counter()
        if suggest:
            found = pb.SearchResponse(items=client.suggest(query, **wanted))
        else:
            options = SearchOptions(**wanted, user_id=user, personal_weight=personal, mode=_MODES[by], page_token=page)
            found = client.search(query, **options)
        milliseconds = (time.perf_counter() - start) * 1000
    if as_json:
        typer.echo(json_format.MessageToJson(found, preserving_proto_field_name=True))
        return
    _print(query, found, personal=bool(user))
    if found.next_page_token:
        output.print(Text(f"next page: --page {found.next_page_token}", style="dim", overflow="fold"))
    if steps and found.steps:
        output.print(steps_table(found.steps, milliseconds, "as this command saw it, connecting included"))


def _print(query: str, found: pb.SearchResponse, *, personal: bool) -> None:
    if found.did_you_mean:
        output.print(
            Text.assemble(("Did you mean ", "yellow"), (printable(found.did_you_mean), "bold"), ("?", "yellow"))
        )
    if found.degraded:
        output.print("[yellow]degraded:[/] a part did not answer and its fallback stood in; the steps say which")
    if not found.items:
        output.print(
            Text.assemble((f"“{printable(query)}”", "bold"), f": {found.reason or 'no title begins like this'}.")
        )
        return
    table = plain_table()
    table.add_column("#", justify="right", style="dim")
    table.add_column("title", overflow="fold", min_width=20)
    table.add_column("year", justify="right")
    table.add_column("tags", overflow="fold", min_width=10)
    for name in ("score", "words", "meaning", *(["taste"] if personal else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for rank, item in enumerate(found.items, 1):
        scores = [item.score, item.lexical_score, item.semantic_score, *([item.personal_score] if personal else [])]
        year = Text(str(item.release_year or ""))
        for match in item.matches:
            if match.field == "year":
                year.stylize(_STYLES[match.kind])
        table.add_row(str(rank), _title(item), year, _tags(item), *(f"{score:.2f}" for score in scores))
    output.print(titled(f"“{printable(query)}”", table))


def _title(item: pb.FoundItem) -> Text:
    title = Text(printable(item.title))
    for match in item.matches:
        if match.field == "title":
            title.stylize(_STYLES[match.kind], match.start, match.end)
    said = [match for match in item.matches if match.field == "description"]
    if said:
        title.append(" …").append(_joined([(match.text, _STYLES[match.kind]) for match in said[:5]], " … "))
    return title


def _tags(item: pb.FoundItem) -> Text:
    kinds = {match.text: match.kind for match in item.matches if match.field == "tag"}
    return _joined([(tag, _STYLES[kinds[tag]] if tag in kinds else "dim") for tag in item.tags], ", ")


def _joined(parts: Sequence[tuple[str, str]], between: str) -> Text:
    return Text(between).join(Text(printable(text), style=style) for text, style in parts)
