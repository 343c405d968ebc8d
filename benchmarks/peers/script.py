"""What the scripts share: the same arguments, the same rows, the same body, the same last line.

python -m benchmarks.peers.NAME BATCH BASE_URL CONCURRENCY [--done FILE] [--rate N/SECONDS]

With --done each row that was answered with 200 is written to a file, and the next start leaves such rows out:
what people do who have been bitten once.
"""

import argparse
import base64
import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

Row = dict[str, str]

AUTHORIZATION = "Basic " + base64.b64encode(b"bench:bench").decode()
HEADERS = {"Authorization": AUTHORIZATION, "Content-Type": "application/json"}


@dataclass
class Script:
    """What a script was told, and what became of its rows."""

    batch: Path
    base_url: str
    concurrency: int
    done: Path | None
    rate: tuple[float, float] | None
    credited: int = 0
    failed: int = 0
    _log: TextIO | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"{self.base_url}/reseller/transfer-credit"

    def rows(self) -> list[Row]:
        """Those that no earlier start has done."""
        known = set(self.done.read_text().splitlines()) if self.done and self.done.exists() else set()
        if self.done:
            self._log = self.done.open("a", buffering=1)
        with self.batch.open(newline="") as file:
            return [row for row in csv.DictReader(file) if row["reference"] not in known]

    def ended(self, row: Row, status: int) -> None:
        """An answer came."""
        if status != 200:
            self.failed += 1
            return
        self.credited += 1
        if self._log:
            self._log.write(row["reference"] + "\n")

    def lost(self) -> None:
        """No answer came; the row is not in the file of done ones, so the next start sends it again."""
        self.failed += 1

    def tell(self, seconds: float) -> None:
        """The last line on stdout: what was credited in how many seconds of sending, and what failed."""
        print(json.dumps({"rows": self.credited, "seconds": seconds, "failed": self.failed}))


def asked() -> Script:
    """The script's arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("batch", type=Path)
    parser.add_argument("base_url")
    parser.add_argument("concurrency", type=int)
    parser.add_argument("--done", type=Path)
    parser.add_argument("--rate", type=_rate)
    return Script(**vars(parser.parse_args()))


def body(row: Row) -> bytes:
    """One transfer as ClickSend takes it."""
    transfer = {
        "client_user_id": int(row["account"]),
        "balance": float(row["amount"]),
        "currency": row["currency"],
    }
    return json.dumps(transfer).encode()


def _rate(text: str) -> tuple[float, float]:
    requests, _, seconds = text.partition("/")
    return float(requests), float(seconds)
