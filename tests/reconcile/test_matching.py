"""Maximum matching, against all matchings that there are."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from batchcredit.reconcile.matching import components, matching

edges_of = st.lists(st.lists(st.integers(0, 4), unique=True, max_size=4), max_size=5)


def all_matchings(edges: list[list[int]]) -> list[tuple[int | None, ...]]:
    """Every way to give each row one of its lines or none, and no line to two."""
    ways = product(*([None, *lines] for lines in edges))
    return [
        way for way in ways if len(given := [line for line in way if line is not None]) == len(set(given))
    ]


def held(way: tuple[int | None, ...]) -> int:
    return sum(line is not None for line in way)


@settings(deadline=None)
@given(edges_of)
def test_as_many_rows_have_a_line_as_can_be(edges: list[list[int]]) -> None:
    """The size is the largest of all; a line is one that its row may own, and has one owner."""
    found = matching(edges)
    assert tuple(found.line_of) in all_matchings(edges)
    assert found.size == max(map(held, all_matchings(edges)))


@settings(deadline=None)
@given(edges_of)
def test_rows_that_come_first_have_their_line(edges: list[list[int]]) -> None:
    """Of each beginning of the rows, as many have a line as could if there were no others."""
    found = matching(edges)
    for end in range(len(edges) + 1):
        assert held(tuple(found.line_of[:end])) == matching(edges[:end]).size


@settings(deadline=None)
@given(edges_of)
def test_free_rows_lack_a_line_in_some_way(edges: list[list[int]]) -> None:
    """Exactly the rows that some maximum matching leaves out are free."""
    found = matching(edges)
    largest = [way for way in all_matchings(edges) if held(way) == found.size]
    assert found.free() == {row for row in range(len(edges)) if any(way[row] is None for way in largest)}


@settings(deadline=None)
@given(edges_of)
def test_components_are_apart(edges: list[list[int]]) -> None:
    """Each row and each line is in one component, with all that it shares an edge with."""
    found = components(edges)
    assert sorted(row for rows, _ in found for row in rows) == list(range(len(edges)))
    for rows, lines in found:
        assert lines == {line for row in rows for line in edges[row]}
        assert rows == sorted(rows)
    assert sum(len(lines) for _, lines in found) == len({line for lines in edges for line in lines})
