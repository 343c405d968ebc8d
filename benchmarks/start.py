"""What --help imports, and how long it takes."""

import sys

from benchmarks.bench import Bench
from benchmarks.processes import run
from benchmarks.table import Measure, Target

SLOW = ("polars", "httpx", "ray")

#: What the console script does, and then the names of slow packages that it imported.
HELP = f"""
import contextlib, json, sys
from batchcredit.__main__ import main
sys.argv = ["batchcredit", "--help"]
with contextlib.suppress(SystemExit):
    main()
print(json.dumps({{"imported": [name for name in {SLOW!r} if name in sys.modules]}}))
"""
BARE = "print(1)"


def measure(bench: Bench) -> None:
    """Imports are counted once, the time is taken in turns with an interpreter that does nothing."""
    ours, theirs, imported = [], [], []
    with bench.own_folder("start") as folder:
        for _ in range(max(bench.sizes.turns, 3)):
            ran = run([sys.executable, "-c", HELP], folder)
            ours.append(ran.seconds)
            imported = ran.said["imported"]
            theirs.append(run([sys.executable, "-c", BARE], folder).seconds)
    what = f"--help: imports of {', '.join(SLOW)}"
    none = (Target(0, "at most", of="value"),)
    bench.add(Measure("help_imports", what, "", [len(imported)], "none", [0], none, ", ".join(imported)))
    bench.add(Measure("help_time", "--help: time", "s", ours, "Python alone", theirs))
