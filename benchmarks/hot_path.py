"""Where the time of a row goes: a sampled profile of the engine while it sends."""

from batchcredit.sandbox import SandboxSettings, sandbox_process
from benchmarks.bench import Bench
from benchmarks.inputs import write_settings
from benchmarks.processes import module, run
from benchmarks.tools import package

WIDTH = 64
KEPT = "hot_path.txt"


def measure(bench: Bench) -> None:
    """Keep the profile as a text."""
    missing = package("pyinstrument")()
    if missing:
        bench.say(f"  SKIPPED profile: {missing}")
        return
    rows = bench.sizes.profile_rows
    with (
        bench.own_folder("profile") as folder,
        sandbox_process(SandboxSettings(keep_book="totals")) as address,
    ):
        settings = write_settings(folder / "bench.toml", address, WIDTH)
        ran = run(module("engine_alone", "sqlite", settings, rows, folder / KEPT), folder)
        profile = (folder / KEPT).read_text()
    head = (
        f"The engine's event loop while it sends {rows:,} rows, {WIDTH} at a time, sampled each ms by\n"
        f"pyinstrument: {ran.said['seconds']:.2f} s, of which sampling takes a part. The ledger commits in\n"
        "a thread of its own, which is not seen here.\n"
    )
    bench.beside[KEPT] = head + _without_head(profile)
    bench.say(f"  profile of {rows:,} rows: {KEPT}")


def _without_head(profile: str) -> str:
    """The tree alone: what stands above it names the program by its path."""
    lines = [line.rstrip() for line in profile.splitlines()]
    first = next(number for number, line in enumerate(lines) if line and line[0].isdecimal())
    return "\n" + "\n".join(lines[first:]).rstrip() + "\n"
