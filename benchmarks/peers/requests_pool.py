"""requests in a thread pool, with urllib3's Retry as people configure it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from benchmarks.peers.script import HEADERS, Row, Script, asked, body

RETRIES = Retry(total=3, backoff_factor=0.1, status_forcelist=[429, 500, 502, 503, 504])

_own = threading.local()


def main(script: Script) -> None:
    """Send every row of a CSV file."""
    rows = script.rows()
    started = time.perf_counter()
    with ThreadPoolExecutor(script.concurrency) as pool:
        for row, status in zip(rows, pool.map(lambda row: _send(script.url, row), rows), strict=True):
            if status is None:
                script.lost()
            else:
                script.ended(row, status)
    script.tell(time.perf_counter() - started)


def _send(url: str, row: Row) -> int | None:
    try:
        return _session().put(url, data=body(row), timeout=60).status_code
    except requests.RequestException:
        return None


def _session() -> requests.Session:
    """One for each thread: a session is not safe to share."""
    if not hasattr(_own, "session"):
        _own.session = requests.Session()
        _own.session.headers.update(HEADERS)
        _own.session.mount("http://", HTTPAdapter(max_retries=RETRIES))
    session: requests.Session = _own.session
    return session


if __name__ == "__main__":
    main(asked())
