"""Apache Beam: RequestResponseIO on the direct runner with threads, with its own repeater."""

import time
from typing import Any, Self

import apache_beam as beam
import requests
from apache_beam.io.requestresponse import Caller, RequestResponseIO, UserCodeTimeoutException
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.peers.script import HEADERS, Row, Script, asked, body

MOST_THREADS = 64


class Transfer(Caller[Row, int]):
    """One transfer. What has no answer is the kind of error that Beam's repeater sends again."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> Self:
        self._session = requests.Session()
        self._session.headers.update(HEADERS)
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def __call__(self, row: Row, *_: Any, **__: Any) -> int:
        try:
            return self._session.put(self._url, data=body(row), timeout=60).status_code
        except requests.RequestException as error:
            raise UserCodeTimeoutException(str(error)) from error


def main(script: Script) -> None:
    """Send every row of a CSV file."""
    rows = script.rows()
    options = PipelineOptions(
        [],
        runner="DirectRunner",
        direct_running_mode="multi_threading",
        direct_num_workers=min(script.concurrency, MOST_THREADS),
    )
    started = time.perf_counter()
    with beam.Pipeline(options=options) as pipeline:
        calls = pipeline | beam.Create(rows) | RequestResponseIO(Transfer(script.url))
        calls | beam.Map(_expect_200)
    script.credited = len(rows)
    script.tell(time.perf_counter() - started)


def _expect_200(status: int) -> None:
    if status != 200:
        raise RuntimeError(f"HTTP {status}")


if __name__ == "__main__":
    main(asked())
