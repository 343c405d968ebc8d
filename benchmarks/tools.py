"""The tools that send the same file to the same provider: we and our peers."""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchcredit.sandbox import SandboxAddress
from benchmarks.inputs import write_settings
from benchmarks.peers.newman_run import NEWMAN
from benchmarks.processes import ROOT, batchcredit

BEAM_PYTHON = ROOT / ".venv-beam" / "bin" / "python"


@dataclass(frozen=True)
class Job:
    """One file to be sent. `again` says that the tool will be killed and started anew, and may keep what it
    needs for that in `folder`."""

    folder: Path
    batch: Path
    address: SandboxAddress
    concurrency: int
    again: bool = False
    rate: str = ""

    @property
    def name(self) -> str:
        return self.batch.stem


@dataclass(frozen=True)
class Tool:
    """How a tool is started. `rows` are sent in one turn of a full run, as many as it sends in seconds."""

    name: str
    own_means: str
    command: Callable[[Job], list[str]]
    rows: int
    needs: Callable[[], str] = lambda: ""
    note: str = ""


def _ours(job: Job) -> list[str]:
    settings = job.folder / f"{job.name}.toml"
    write_settings(settings, job.address, job.concurrency, job.rate or "none")
    return batchcredit("run", job.batch, "--config", settings, "--yes")


def _script(name: str, python: Path = Path(sys.executable)) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        told = [str(job.batch), job.address.clicksend_url, str(job.concurrency)]
        done = ["--done", str(job.folder / f"{job.name}.done")] if job.again else []
        rate = ["--rate", job.rate] if job.rate else []
        return [str(python), "-m", f"benchmarks.peers.{name}", *told, *done, *rate]

    return command


def package(*names: str) -> Callable[[], str]:
    """Why these packages can not be used, or nothing."""

    def missing() -> str:
        absent = [name for name in names if importlib.util.find_spec(name) is None]
        return f"not installed: {', '.join(absent)} (make bench installs it)" if absent else ""

    return missing


def _program(path: Path | str, cure: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(path) else f"not installed ({cure})"


OURS = Tool("batchcredit", "the same command", _ours, 40_000)
HTTPX = Tool(
    "httpx + semaphore + aiolimiter",
    "a file of done rows; the rest is sent",
    _script("httpx_script"),
    1_000,
    package("httpx", "aiolimiter"),
)
AIOHTTP = Tool(
    "aiohttp, a bare loop",
    "a file of done rows; aiohttp itself repeats a PUT whose connection was lost",
    _script("aiohttp_loop"),
    40_000,
    package("aiohttp"),
)
AIOHTTP_UVLOOP = Tool(
    "aiohttp on uvloop",
    AIOHTTP.own_means,
    _script("aiohttp_uvloop"),
    AIOHTTP.rows,
    package("aiohttp", "uvloop"),
)

TOOLS: Sequence[Tool] = (
    OURS,
    AIOHTTP,
    AIOHTTP_UVLOOP,
    HTTPX,
    Tool(
        "aiometer + httpx",
        "a file of done rows; the rest is sent",
        _script("aiometer_script"),
        2_000,
        package("aiometer", "httpx"),
    ),
    Tool(
        "requests in a thread pool",
        "a file of done rows; urllib3's Retry(total=3) with statuses, as in its documentation",
        _script("requests_pool"),
        4_000,
        package("requests"),
    ),
    Tool(
        "Apache Beam RequestResponseIO",
        "the pipeline from its start; Beam's own repeater (2 retries)",
        _script("beam_pipeline", BEAM_PYTHON),
        1_000,
        _program(BEAM_PYTHON, "make bench-peers"),
        "DirectRunner with at most 64 threads: 256 took ten times as long, and 512 ended in an error",
    ),
    Tool(
        "Newman",
        "the collection from its start: it keeps no place in the file",
        _script("newman_run"),
        400,
        _program(NEWMAN, "make bench-peers"),
        "sends one row at a time, whatever is asked for",
    ),
    Tool(
        "GNU parallel + curl",
        "--joblog, --resume-failed and --retries 3",
        _script("parallel_curl"),
        600,
        _program("parallel", "apt install parallel"),
    ),
)
