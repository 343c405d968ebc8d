"""Which line belongs to which row: maximum matching, and what holds in every one of them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

#: `rows[i]` has the lines that row i may own.
Edges = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Matching:
    """`line_of[i]` is the line of row i, or None; a line has one row at the most."""

    edges: Edges
    line_of: Sequence[int | None]

    @property
    def size(self) -> int:
        """How many rows have a line."""
        return sum(line is not None for line in self.line_of)

    def exchanges(self, *rows: int) -> set[int]:
        """The rows whose line one of these could have instead, were lines handed on; with themselves."""
        owner = {line: row for row, line in enumerate(self.line_of) if line is not None}
        found, queue = set(rows), deque(rows)
        while queue:
            for line in self.edges[queue.popleft()]:
                other = owner.get(line)
                if other is not None and other not in found:
                    found.add(other)
                    queue.append(other)
        return found

    def free(self) -> set[int]:
        """Rows that lack a line in some maximum matching; all others have one in each."""
        return self.exchanges(*(row for row, line in enumerate(self.line_of) if line is None))


def matching(edges: Edges) -> Matching:
    """As many rows with a line as can be; where not all can, those that come first have theirs."""
    line_of: list[int | None] = [None] * len(edges)
    owner: dict[int, int] = {}
    for row in range(len(edges)):
        _augment(row, edges, line_of, owner)
    return Matching(edges, line_of)


def _augment(row: int, edges: Edges, line_of: list[int | None], owner: dict[int, int]) -> None:
    """Give `row` a line, others handing theirs on; nothing changes where that is not possible."""
    came_from: dict[int, int] = {}
    queue = deque([row])
    while queue:
        asking = queue.popleft()
        for line in edges[asking]:
            if line in came_from:
                continue
            came_from[line] = asking
            if line not in owner:
                _hand_on(line, came_from, line_of, owner)
                return
            queue.append(owner[line])


def _hand_on(line: int, came_from: dict[int, int], line_of: list[int | None], owner: dict[int, int]) -> None:
    handed: int | None = line
    while handed is not None:
        row = came_from[handed]
        owner[handed] = row
        line_of[row], handed = handed, line_of[row]


def components(edges: Edges) -> list[tuple[list[int], set[int]]]:
    """Rows and lines that hang together, a row without a line by itself; rows in their order."""
    rows_of: dict[int, list[int]] = {}
    for row, lines in enumerate(edges):
        for line in lines:
            rows_of.setdefault(line, []).append(row)
    seen = set[int]()
    return [_component(row, edges, rows_of, seen) for row in range(len(edges)) if row not in seen]


def _component(
    row: int, edges: Edges, rows_of: dict[int, list[int]], seen: set[int]
) -> tuple[list[int], set[int]]:
    rows, lines, queue = [row], set[int](), deque([row])
    seen.add(row)
    while queue:
        for line in edges[queue.popleft()]:
            if line in lines:
                continue
            lines.add(line)
            new = [other for other in rows_of[line] if other not in seen]
            seen.update(new)
            rows += new
            queue += new
    return sorted(rows), lines
