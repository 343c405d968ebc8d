"""Some rows of a batch, by their numbers: a bit of memory each, however many there are."""

from collections.abc import Collection, Iterable, Iterator


class Picked(Collection[int]):
    """A set of the numbers 1 to `rows`."""

    def __init__(self, rows: int, numbers: Iterable[int] = ()) -> None:
        self._marks = bytearray(rows + 1)
        for number in numbers:
            self.add(number)

    def add(self, number: int) -> None:
        self._marks[number] = 1

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and 0 < number < len(self._marks) and bool(self._marks[number])

    def __iter__(self) -> Iterator[int]:
        return (number for number, mark in enumerate(self._marks) if mark)

    def __len__(self) -> int:
        return self._marks.count(1)
