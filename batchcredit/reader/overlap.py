"""Two cores: while one piece is used, the next is made."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def overlapped(items: Iterable[_Item]) -> Iterator[_Item]:
    """`items` in their order, each made in a thread of its own while the one before it is in use.

    At most one item is made ahead. What making one raises is raised here, in its turn.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as worker:
        coming = worker.submit(_next, iterator)
        while held := coming.result():
            coming = worker.submit(_next, iterator)
            yield held[0]


def _next(iterator: Iterator[_Item]) -> tuple[_Item] | None:
    for item in iterator:
        return (item,)
    return None
