"""Draws docs/load-testing/open-and-closed.svg: one server, one stall, seen by an open and by a closed loop.

    python -m tests.load.stall_picture

The server answers at once, but hangs for one second in the middle of each run.
"""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from marquee.text.v1 import text_service_pb2 as pb
from services.cli.load import plots
from services.cli.load.crew import Crew, Load, Result
from services.cli.load.histograms import curve, percentiles
from services.cli.load.plan import Plan, Step
from tests.support.load_server import EMBED, Stalls, load_server

_PATH = Path("docs/load-testing/open-and-closed.svg")
_SECONDS = 8.0
_RATE = 200


def measure(load: Load) -> Result:
    """Run a load against a server of its own that stalls in the middle."""
    with load_server(lambda: Stalls(load.warm_up_seconds + _SECONDS / 2, 1.0)) as server:
        body = pb.EmbedTextRequest(texts=["a film about the sea"]).SerializeToString()
        with Crew(Plan((Step("embed", f"/{EMBED}", server.address, (body,)),)), 1) as crew:
            return crew.run(load)


def draw(runs: dict[str, Result]) -> str:
    """Return the picture."""
    with rc_context(plots.STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for (label, result), colour in zip(runs.items(), ("#1f6feb", "#cf222e"), strict=True):
            levels, times = curve(result.recording.total.latency)
            left.plot([1 / (1 - level) for level in levels], times, color=colour, label=label)
            width = result.recording.interval_seconds
            worst = [percentiles(one.latency, (100.0,))[100.0] for one in result.recording.course(result.seconds)]
            right.plot([(place + 0.5) * width for place in range(len(worst))], worst, ".-", color=colour)
        left.set(xscale="log", yscale="log", xlabel="share of calls that were quicker", ylabel="ms")
        left.set_xticks([1, 2, 10, 100, 1000], ["0 %", "50 %", "90 %", "99 %", "99.9 %"])
        left.set_title("What a report says", loc="left", fontweight="bold")
        left.legend()
        right.set(xlabel="time at which the call was sent or due, s", ylabel="largest latency, ms")
        right.set_title("What happened", loc="left", fontweight="bold")
        with io.StringIO() as out:
            figure.savefig(out, format="svg", metadata={"Date": None})
            return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def main() -> None:
    """Run both loops and write the picture."""
    runs = {
        f"open loop, {_RATE} calls/s": measure(Load(rate=_RATE, seconds=_SECONDS, warm_up_seconds=1)),
        "closed loop, 2 callers": measure(Load(callers=2, seconds=_SECONDS, warm_up_seconds=1)),
    }
    for label, result in runs.items():
        total = result.recording.total
        found = percentiles(total.latency, (50.0, 90.0, 99.0, 99.9, 100.0))
        print(f"{label}: {total.ok:,} calls, " + ", ".join(f"p{level:g} {ms:,.1f} ms" for level, ms in found.items()))
    _PATH.parent.mkdir(parents=True, exist_ok=True)
    _PATH.write_text(draw(runs), encoding="utf-8")
    print(f"wrote {_PATH}")


if __name__ == "__main__":
    main()
