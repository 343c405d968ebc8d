"""GNU parallel starts a curl for each row; its job log says which rows a later start leaves out."""

import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.peers.script import AUTHORIZATION, Script, asked

EXIT_VALUE = 6
BODY = '{"client_user_id":{account},"balance":{amount},"currency":"{currency}"}'


def main(script: Script) -> None:
    """Send every row of a CSV file."""
    with tempfile.TemporaryDirectory() as folder:
        log = script.done or Path(folder) / "jobs"
        started = time.perf_counter()
        subprocess.run(_command(script, log), check=False, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        exits = [line.split("\t")[EXIT_VALUE] for line in log.read_text().splitlines()[1:]]
    script.credited = exits.count("0")
    script.failed = len(exits) - script.credited
    script.tell(seconds)


def _command(script: Script, log: Path) -> list[str]:
    return [
        *("parallel", "--will-cite", "--quote", "--jobs", str(script.concurrency)),
        *("--header", ":", "--colsep", ",", "--arg-file", str(script.batch)),
        *("--joblog", str(log), "--resume-failed", "--retries", "3"),
        *("curl", "--silent", "--fail", "--request", "PUT", script.url),
        *("--header", f"Authorization: {AUTHORIZATION}", "--header", "Content-Type: application/json"),
        *("--data", BODY),
    ]


if __name__ == "__main__":
    main(asked())
