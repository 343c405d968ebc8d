"""What a process holds while it runs, sampled, and whether that grows."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

#: The first part of the samples, in which caches fill and connections are made, says nothing.
WARM_UP = 0.1

#: What the low-water mark may rise by without being called growth. In an hour of 60 rows a second a leak of
#: 100 bytes a row is found all the same.
SLACK = {"rss_kib": 8192, "descriptors": 2, "threads": 0}
GROWTH = 1.02


class Sample(NamedTuple):
    seconds: float
    rss_kib: int
    descriptors: int
    threads: int


def sample(pid: int, seconds: float) -> Sample:
    """How a process stands now; Linux only. Raises OSError when it is gone."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    descriptors = process / "fd"
    # its size is their number since Linux 6.2; only root may list those of a process that keeps secrets in
    number = descriptors.stat().st_size or len(list(descriptors.iterdir()))
    return Sample(seconds, int(status["VmRSS"].split()[0]), number, int(status["Threads"]))


def growth(samples: Sequence[Sample]) -> list[str]:
    """What the last half always has more than the first one after the warm-up had at times.

    The least counts: cyclic garbage comes and goes over minutes, by 20 MiB, and a leak raises the least too.
    """
    warm = samples[int(len(samples) * WARM_UP) :]
    half = len(warm) // 2
    assert half, f"{len(samples)} samples say nothing"
    first, last = least(warm[:half]), least(warm[half:])
    return [
        f"{name} grew from {getattr(first, name)} to {getattr(last, name)}"
        for name, slack in SLACK.items()
        if getattr(last, name) > getattr(first, name) * GROWTH + slack
    ]


def least(samples: Sequence[Sample]) -> Sample:
    """The least of each."""
    return Sample(*map(min, zip(*samples, strict=True)))


def middle(samples: Sequence[Sample]) -> Sample:
    """The median of each."""
    return Sample(samples[0].seconds, *(round(median(each)) for each in list(zip(*samples, strict=True))[1:]))


def table(samples: Sequence[Sample], lines: int = 12) -> str:
    """Medians of so many parts."""
    size = max(1, -(-len(samples) // lines))
    parts = [middle(samples[start : start + size]) for start in range(0, len(samples), size)]
    head = f"{'from s':>8}{'RSS MiB':>10}{'descriptors':>13}{'threads':>9}"
    return "\n".join(
        [head, *(f"{p.seconds:8.0f}{p.rss_kib / 1024:10.1f}{p.descriptors:13}{p.threads:9}" for p in parts)]
    )
