"""`marquee recommend` and `marquee similar`: ask for a list and show why and how."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.markup import escape

from marquee.entertainment.v1.recommendation_service_pb2 import RecommendResponse, SimilarItemsResponse
from marquee_client import RecommendOptions
from services.cli.connection import connected
from services.cli.console import output
from services.cli.settings import TargetOption
from services.cli.tables import items_table, steps_table
from services.cli.wishes import Arm, Caps, Dislikes, Explore, Fatigue, Likes, Seed, Weights, wishes

Count = Annotated[int, typer.Option("--count", "-n", help="Titles wanted, at most 100.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only titles with this tag; may be given again.")]
ExcludedTags = Annotated[list[str] | None, typer.Option("--exclude-tag", help="No titles with this tag.")]
MaximumAge = Annotated[int | None, typer.Option("--max-age", help="Only titles suitable for this age in years.")]
Filter = Annotated[
    str,
    typer.Option("--filter", help="Only titles that pass this expression; see docs/filters.md.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON, for programs.")]
Explain = Annotated[bool, typer.Option(help="Say why each title is there.")]
Steps = Annotated[bool, typer.Option(help="Say which service did what, and how long it took.")]

RECOMMEND_EXAMPLES = """
[bold]Examples[/]

  marquee recommend 196                              [dim]# ten titles for user 196[/]

  marquee recommend 196 --tag Comedy --exclude-tag Romance -n 5

  marquee recommend 196 --filter '"Drama" in tags && release_year >= 1990'

  marquee recommend 196 --diversity 0.6              [dim]# fewer titles that resemble each other[/]

  marquee recommend 196 --like Western --cap Drama=2 --weight popularity=0

  marquee recommend 196 --json | jq '.items[].title'
"""
SIMILAR_EXAMPLES = """
[bold]Examples[/]

  marquee similar 50                   [dim]# titles most like item 50[/]

  marquee similar 50 --tag Documentary -n 5
"""


def recommend(
    user: Annotated[str, typer.Argument(help="User the list is for. One without events gets what is popular.")],
    count: Count = 10,
    tag: Tags = None,
    exclude_tag: ExcludedTags = None,
    max_age: MaximumAge = None,
    filter_: Filter = "",
    diversity: Annotated[
        float | None, typer.Option(help="0 keeps the ranker's order; towards 1, titles resemble each other less.")
    ] = None,
    novelty: Annotated[
        float | None, typer.Option(help="Towards 1, prefers what few people know.", show_default=False)
    ] = None,
    session: Annotated[
        list[str] | None, typer.Option("--session", help="Item looked at just now, not stored; may be given again.")
    ] = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also titles the user has already had.")] = False,
    like: Likes = None,
    dislike: Dislikes = None,
    cap: Caps = None,
    weight: Weights = None,
    fatigue: Fatigue = None,
    explore: Explore = False,
    seed: Seed = None,
    arm: Arm = "",
    explain: Explain = True,
    steps: Steps = True,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Show a personalised list: what, why, and how it was made."""
    options = RecommendOptions(
        page_size=count,
        required_tags=tag or [],
        excluded_tags=exclude_tag or [],
        maximum_maturity_age=max_age,
        filter=filter_,
        diversity=diversity,
        novelty=novelty,
        session_item_ids=session or [],
        include_seen=include_seen,
        reason_count=None if explain else 0,
        impression_fatigue=fatigue,
        seed=seed,
        arm=arm,
    )
    options.update(wishes(like, dislike, cap, weight, explore=explore))
    with connected(target) as client:
        start = time.perf_counter()
        response = client.recommend(user, **options)
        milliseconds = (time.perf_counter() - start) * 1000
    events = "event" if response.history_count == 1 else "events"
    known = f"from {response.history_count} {events}" if response.history_count else "no events yet: what is popular"
    show_list(f"For user {user} ({known})", response, milliseconds, explain=explain, steps=steps, as_json=as_json)


def similar(
    item: Annotated[str, typer.Argument(help="Item to start from.")],
    count: Count = 10,
    tag: Tags = None,
    exclude_tag: ExcludedTags = None,
    max_age: MaximumAge = None,
    filter_: Filter = "",
    explain: Explain = True,
    steps: Steps = True,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Show the titles most like one title."""
    with connected(target) as client:
        title = client.get_item(item).title
        start = time.perf_counter()
        response = client.similar_items(
            item,
            page_size=count,
            required_tags=tag or [],
            excluded_tags=exclude_tag or [],
            maximum_maturity_age=max_age,
            filter=filter_,
        )
        milliseconds = (time.perf_counter() - start) * 1000
    show_list(f"Like {title}", response, milliseconds, explain=explain, steps=steps, as_json=as_json)


def show_list(
    title: str,
    response: RecommendResponse | SimilarItemsResponse,
    milliseconds: float,
    *,
    explain: bool = True,
    steps: bool = True,
    as_json: bool = False,
) -> None:
    """Print an answer.

    Args:
        title: heading of the list.
        response: the answer.
        milliseconds: duration of the call as its caller saw it.
        explain: show why each item is there.
        steps: show how the answer was made.
        as_json: print the message as JSON instead.
    """
    if as_json:
        typer.echo(json_format.MessageToJson(response, preserving_proto_field_name=True))
        return
    if response.items:
        output.print(items_table(title, response.items, explain=explain))
    else:
        output.print(f"[bold]{escape(title)}[/]: nothing passes the filters. `marquee status` shows what is stored.")
    if response.degraded:
        output.print("[yellow]degraded:[/] a part did not answer and its fallback stood in; the steps say which")
    if not response.bundle_version:
        output.print("[yellow]no bundle serves yet:[/] fit one with `marquee train`")
    if steps:
        output.print(steps_table(response.steps, milliseconds, "as this command saw it, connecting included"))
