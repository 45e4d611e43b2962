"""The `marquee` command."""

from __future__ import annotations

import typer

from services.cli import (
    analyze,
    bundle,
    demo,
    evaluate,
    events,
    home,
    importing,
    insight,
    models,
    moderate,
    recommend,
    report,
    route,
    search,
    status,
    train,
    up,
    usage,
    write,
)
from services.cli.catalog import command as catalog
from services.cli.cluster import command as cluster
from services.cli.failures import MarqueeCommands
from services.cli.load.command import load
from services.cli.load.examples import EPILOG as LOAD_EXAMPLES
from services.cli.media import clip, image
from services.cli.media import demo as demo_clip

EPILOG = """
[bold]The whole story in one command[/]

  marquee demo

[bold]Step by step[/]

  marquee up                  [dim]# the four services, until Ctrl-C[/]

  marquee import movielens    [dim]# in another terminal: a catalogue and 100,000 events[/]

  marquee train               [dim]# fit the recommenders and let them serve[/]

  marquee recommend 196       [dim]# a list, with reasons[/]

  marquee search "star wrs"   [dim]# titles by words and meaning[/]

[dim]Exit codes: 0 done, 1 the answer is no, 2 wrong input, 3 nobody answered.[/]
"""

app = typer.Typer(
    name="marquee",
    cls=MarqueeCommands,
    help="Entertainment models as a service: run a mesh, fill it, train it, ask it.",
    epilog=EPILOG,
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo.app.command(epilog=demo_clip.EPILOG)(demo_clip.clip)
app.add_typer(demo.app, name="demo", epilog=demo.EPILOG)
app.command(epilog=up.EPILOG)(up.up)
app.command(epilog=status.EPILOG)(status.status)
app.command(epilog=usage.EPILOG)(usage.usage)
app.command(epilog=LOAD_EXAMPLES)(load)
app.add_typer(importing.app, name="import", help="Fill the catalogue and the history.", epilog=importing.EPILOG)
app.add_typer(catalog.app, name="catalog", help="The catalogue: import, export, change.", epilog=catalog.EPILOG)
app.add_typer(events.app, name="events", help="What users did: write, read, hand out, erase.", epilog=events.EPILOG)
app.command(epilog=train.EPILOG)(train.train)
app.command(epilog=evaluate.EPILOG)(evaluate.evaluate)
app.add_typer(bundle.app, name="bundle", help="Which bundle serves; activate and roll back.", epilog=bundle.EPILOG)
app.command(epilog=report.EPILOG)(report.report)
app.add_typer(route.app, name="route", help="Share users out over bundles.", epilog=route.EPILOG)
app.command(epilog=recommend.RECOMMEND_EXAMPLES)(recommend.recommend)
app.command(epilog=recommend.SIMILAR_EXAMPLES)(recommend.similar)
app.command(epilog=search.EPILOG)(search.search)
app.command(epilog=home.EPILOG)(home.home)
app.command(epilog=insight.EPILOG)(insight.insight)
analyze.app.command(epilog=image.EPILOG)(image.image)
analyze.app.command(epilog=clip.EPILOG)(clip.clip)
app.add_typer(analyze.app, name="analyze", help="What can be said of texts, pictures and clips.")
app.command(epilog=moderate.EPILOG)(moderate.moderate)
app.add_typer(cluster.app, name="cluster", help="A mesh in Kubernetes: check, watch, change.", epilog=cluster.EPILOG)
app.add_typer(models.app, name="models", help="Models: bring your own, list, try, remove.", epilog=models.EPILOG)
app.add_typer(
    write.app, name="write", help="Texts from true facts: why, blurbs, summaries; generated text.", epilog=write.EPILOG
)


if __name__ == "__main__":
    app(prog_name="marquee")
