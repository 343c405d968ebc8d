"""Growth is told from noise."""

import os

import pytest
from process_growth import Sample, growth, sample, table

FLAT = [Sample(second, 60_000 + second % 7 * 500, 20 + second % 3, 4) for second in range(200)]


def grown(**per_sample: float) -> list[Sample]:
    return [
        each._replace(**{name: round(getattr(each, name) + step * n) for name, step in per_sample.items()})
        for n, each in enumerate(FLAT)
    ]


def test_noise_is_no_growth() -> None:
    assert growth(FLAT) == []


def test_garbage_that_is_collected_is_no_growth() -> None:
    """It piles up by 20 MiB, and goes."""
    assert growth([each._replace(rss_kib=60_000 + n % 80 * 250) for n, each in enumerate(FLAT)]) == []


def test_what_only_a_warm_up_has_is_no_growth() -> None:
    """Nor is it when a process starts small."""
    assert growth([Sample(0, 1000, 3, 1)] * 15 + FLAT) == []


@pytest.mark.parametrize(
    ("name", "step"),
    [("rss_kib", 200.0), ("descriptors", 0.05), ("threads", 0.01)],
)
def test_growth_is_found(name: str, step: float) -> None:
    """A leak in each sample, or a descriptor or a thread in some."""
    assert [word.split()[0] for word in growth(grown(**{name: step}))] == [name]


def test_a_process_is_sampled() -> None:
    """This one: a descriptor more is one more."""
    before = sample(os.getpid(), 0)
    read, write = os.pipe()
    after = sample(os.getpid(), 1)
    os.close(read)
    os.close(write)
    assert after.descriptors - before.descriptors == 2
    assert before.rss_kib > 1000
    assert before.threads >= 1
    assert len(table([before, after]).splitlines()) == 3
