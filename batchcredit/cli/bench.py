"""bench: what these settings reach on this machine."""

import json
from itertools import chain
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from batchcredit.cli.flags import Common, latency_flag, named_again, rate_flag
from batchcredit.cli.session import console_of, put, settings_of

_COMMON = Common()


def bench(
    *,
    rows: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=1, lte=1_000_000),
            help="Rows for each profile; else 10,000, or what takes 20 seconds with --latency or --rate.",
        ),
    ] = None,
    provider: Annotated[
        tuple[str, ...], Parameter(negative=(), help="Measure this profile only. Repeatable.")
    ] = (),
    latency: Annotated[
        str | None, Parameter(help="How long the simulated provider takes, such as 300ms.")
    ] = None,
    concurrency: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=1, lte=1024), help="Requests in flight, instead of the profiles' own."
        ),
    ] = None,
    rate: Annotated[str | None, Parameter(help="Keep to this rate, such as 10/s; else to none.")] = None,
    common: Common = _COMMON,
) -> int:
    """Measure your settings on this machine, all simulated.

    Throughput, latency and memory, against the sandbox.
    """
    from batchcredit.console import bench as tables
    from batchcredit.engine.loop import in_loop
    from batchcredit.runner import bench as benches

    again = [*named_again(common), *chain.from_iterable(("--provider", name) for name in provider)]
    if rows:
        again += ["--rows", f"{rows}"]
    if rate:
        again += ["--rate", rate]
    wanted = benches.BenchOptions(
        rows, provider, latency_flag(latency), concurrency, rate_flag(rate), tuple(again)
    )
    console, settings = console_of(common), settings_of(common)
    found = in_loop(lambda: benches.bench(wanted, settings, console))
    put(json.dumps(tables.as_json(found)) if common.json else tables.shown(found))
    return found.whole.exit_code
