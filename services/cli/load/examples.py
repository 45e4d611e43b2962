"""What `marquee load --help` teaches below its options."""

from __future__ import annotations

EPILOG = """
[bold]A scenario at a rate you expect[/]  (open loop: callers do not wait for each other, as in real life)

  marquee load --scenario browse --rate 50

  marquee load -s play -r 30 --duration 60 --report build/load     [dim]# with plots: build/load/report.html[/]

[bold]How much can it take?[/]

  marquee load -s chat --ramp --objective-ms 100                   [dim]# the highest rate with p99 below 100 ms[/]

[bold]One RPC[/]

  marquee load marquee.text.v1.TextService/EmbedText --request '{"texts": ["a film about the sea"]}' -r 200

  marquee load TextService/EmbedText -d @request.json -r 200 --target 10.0.0.7:50061

  marquee load --list                                              [dim]# the RPCs and the scenarios[/]

[bold]A model through the Open Inference Protocol[/]

  marquee load --model minilm-sentence-vectors --rate 100 --shape input_ids=1,32 --shape attention_mask=1,32

[bold]A fixed number of callers[/]  (closed loop: each waits for its answer; finds the most that N callers can get)

  marquee load -s chat --callers 32

[bold]In a pipeline[/]

  marquee load -s browse -r 20 --fail-if 'p99>250ms, errors>1%'    [dim]# exit code 1 when it is so[/]

[dim]Latency counts from the time a call was due, not from when it could be sent, and a server that stalls is asked all
the same: nothing is hidden (docs/load-testing.md). Addresses: --target and the MARQUEE_*_TARGET variables, else this
machine.
Exit codes: 0 done, 1 a --fail-if condition holds or no call succeeded, 2 wrong input, 3 nobody answered, 130 Ctrl-C.[/]
"""
