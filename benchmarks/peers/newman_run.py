"""Newman, Postman's runner: a collection of one request, and the CSV file as its iterations."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.script import AUTHORIZATION, Script, asked

NEWMAN = Path(__file__).parents[2] / ".newman" / "node_modules" / ".bin" / "newman"
COLLECTION = Path(__file__).with_name("transfers.postman_collection.json")


def main(script: Script) -> None:
    """Send every row of a CSV file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(_command(script, report), check=False, stdout=subprocess.DEVNULL)
        run = json.loads(report.read_text())["run"]
    script.credited = sum(_is_credited(execution) for execution in run["executions"])
    script.failed = len(run["executions"]) - script.credited
    script.tell((run["timings"]["completed"] - run["timings"]["started"]) / 1000)


def _command(script: Script, report: Path) -> list[str]:
    return [
        *(str(NEWMAN), "run", str(COLLECTION), "--iteration-data", str(script.batch)),
        *("--env-var", f"url={script.url}", "--env-var", f"authorization={AUTHORIZATION}"),
        *("--reporters", "json", "--reporter-json-export", str(report)),
    ]


def _is_credited(execution: dict[str, Any]) -> bool:
    return bool(execution.get("response", {}).get("code") == 200)


if __name__ == "__main__":
    main(asked())
