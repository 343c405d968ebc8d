"""Runs commands of batchcredit on a disk that can fail, each in a fork of one process that has imported it.

A line of JSON in for each command, a line out with its exit code. The fork is the program from its first line
on; nothing of one command is left for the next.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import fragile_disk
from forked_program import become, import_all

from batchcredit.cli import run
from batchcredit.ledger.sqlite import file as sqlite_file

LONGEST_S = 60


def main() -> None:
    import_all()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(order: dict[str, Any]) -> None:
    """Run one command in this process, write down what it did to the disk, and end."""
    signal.alarm(LONGEST_S)  # nobody waits longer for it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    outputs = Path(order["outputs"])
    out, err = (
        os.open(outputs.with_suffix(end), os.O_WRONLY | os.O_CREAT, 0o600) for end in (".out", ".err")
    )
    become(order, out, err)
    if order["synchronous"]:
        sqlite_file._WRITING = sqlite_file._WRITING.replace("synchronous=FULL", order["synchronous"])
    log = os.open(outputs.with_suffix(".acts"), os.O_WRONLY | os.O_CREAT, 0o600)
    trouble = order["trouble"] and fragile_disk.Trouble(*order["trouble"])
    disk = fragile_disk.Disk(order["root"], trouble, order["sync_s"])
    vfs = fragile_disk.install(disk)
    code = run(order["argv"])
    with os.fdopen(log, "w") as file:
        json.dump(disk.acts, file)
    sys.stdout.flush()
    sys.stderr.flush()
    del vfs
    os._exit(code)


if __name__ == "__main__":
    main()
