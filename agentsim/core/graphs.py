"""Graphs on the places of a society, and how their edges are met in rounds.

Places count from 0, and an edge is a pair of places, the lower first. Nothing is drawn but by `Random.random()`, whose
sequence Python keeps for ever: a library's generators draw by other methods, and may draw otherwise in their next
version, after which an old log could not be replayed. The tests compare these graphs with networkx.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final, Literal

from agentsim.core.rng import shuffled

__all__ = [
    "Edge",
    "changed",
    "lattice",
    "matched",
    "random_regular",
    "ring",
    "scale_free",
    "sides_of",
    "small_world",
    "turns",
]

Edge = tuple[int, int]
MAX_SWAPS: Final = 100
"""How often, for each edge, two edges exchange ends before a random regular graph counts as random."""


def ring(n: int, *, degree: int) -> list[Edge]:
    """Return a ring on which each place is connected to the nearest `degree`, an even number, or to all others."""
    return _edges((place, (place + step) % n) for step in range(1, degree // 2 + 1) for place in range(n))


def sides_of(n: int) -> tuple[int, int] | None:
    """Return the sides, at least 3 and as equal as possible, of a lattice of `n` places; `None`: there is none."""
    side = next((side for side in range(math.isqrt(n), 2, -1) if n % side == 0), None)
    return None if side is None else (side, n // side)


def lattice(n: int, *, degree: int) -> list[Edge]:
    """Return a square lattice without borders, with 4 neighbours (von Neumann) or 8 (Moore)."""
    sides = sides_of(n)
    assert sides is not None
    rows, columns = sides
    steps = [(0, 1), (1, 0), (1, 1), (1, -1)][: degree // 2]
    return _edges(
        (row * columns + column, (row + down) % rows * columns + (column + right) % columns)
        for down, right in steps
        for row in range(rows)
        for column in range(columns)
    )


def small_world(n: int, *, degree: int, rewired: float, rng: Random) -> list[Edge]:
    """Return a ring of which each edge gets another end with a chance of `rewired`. (Watts & Strogatz 1998)"""
    edges = ring(n, degree=degree)
    known = set(edges)
    for index, edge in enumerate(edges):
        if rng.random() >= rewired:
            continue
        kept = edge[int(rng.random() * 2)]
        free = [place for place in range(n) if place != kept and _edge(kept, place) not in known]
        if free:
            known.remove(edge)
            edges[index] = _edge(kept, free[int(rng.random() * len(free))])
            known.add(edges[index])
    return sorted(edges)


def scale_free(n: int, *, degree: int, rng: Random) -> list[Edge]:
    """Return a graph that grew: each new place is connected to `degree` / 2 others, in proportion to their edges.

    (Barabási & Albert 1999, from a star of degree / 2 + 1 places)
    """
    m = degree // 2
    edges = [(0, place) for place in range(1, m + 1)]
    ends = [place for edge in edges for place in edge]
    for new in range(m + 1, n):
        chosen: dict[int, None] = {}
        while len(chosen) < m:
            chosen[ends[int(rng.random() * len(ends))]] = None
        for old in chosen:
            edges.append((old, new))
            ends += [old, new]
    return sorted(edges)


def random_regular(n: int, *, degree: int, rng: Random) -> list[Edge]:
    """Return a random graph in which each place has `degree` neighbours; `n` × `degree` is even, `degree` below `n`.

    A regular graph whose edges exchange ends many times, which reaches all such graphs and prefers none.
    """
    edges = ring(n, degree=degree)
    if degree % 2:
        edges += [(place, place + n // 2) for place in range(n // 2)]
    known = set(edges)
    for _ in range(MAX_SWAPS * len(edges)):
        one, other = (int(rng.random() * len(edges)) for _ in range(2))
        _exchanged(edges, known, one, other, is_turned=rng.random() < 0.5)
    return sorted(edges)


def changed(
    edges: Sequence[Edge], *, probability: float, keeps: Literal["one_end", "degrees"], rng: Random
) -> list[Edge]:
    """Return the edges, each of which is rewired with that probability; no place loses its last neighbour.

    `one_end`: one end, drawn, stays, and the other becomes any place that is no neighbour of it. `degrees`: the edge
    exchanges ends with another one, drawn, where that is possible.
    """
    ends = sorted(edges)
    places = sorted({place for edge in ends for place in edge})
    known = set(ends)
    n_neighbours = {place: sum(place in edge for edge in ends) for place in places}
    for index in range(len(ends)):
        if rng.random() >= probability:
            continue
        if keeps == "degrees":
            _exchanged(ends, known, index, int(rng.random() * len(ends)), is_turned=rng.random() < 0.5)
            continue
        kept, left = ends[index] if rng.random() < 0.5 else ends[index][::-1]
        free = [place for place in places if place != kept and _edge(kept, place) not in known]
        number = rng.random()
        if free and n_neighbours[left] > 1:
            new = free[int(number * len(free))]
            known.remove(ends[index])
            ends[index] = _edge(kept, new)
            known.add(ends[index])
            n_neighbours[left] -= 1
            n_neighbours[new] += 1
    return sorted(ends)


def _exchanged(edges: list[Edge], known: set[Edge], one: int, other: int, *, is_turned: bool) -> None:
    """Let two edges exchange ends, unless they share a place or become edges that there are already."""
    (a, b), (c, d) = edges[one], edges[other]
    if is_turned:
        c, d = d, c
    first, second = _edge(a, d), _edge(c, b)
    if a == d or b == c or first in known or second in known:
        return
    known -= {edges[one], edges[other]}
    known |= {first, second}
    edges[one], edges[other] = first, second


def turns(edges: Sequence[Edge], rng: Random) -> list[list[Edge]]:
    """Return the edges as matchings, as few as the most neighbours of a place where that is possible without search.

    A ring or lattice of even sides needs no more; another graph may need a few more. (König 1916; Vizing 1964)
    """
    at: dict[int, dict[int, int]] = {}
    """By place and matching, whom it is matched with."""
    n_matchings = 0
    for a, b in shuffled(edges, rng):
        of_a, of_b = at.setdefault(a, {}), at.setdefault(b, {})
        n_matchings = max(n_matchings, len(of_a) + 1, len(of_b) + 1)
        free_of_a, free_of_b = ([one for one in range(n_matchings) if one not in taken] for taken in (of_a, of_b))
        free = next((one for one in free_of_a if one not in of_b), None)
        if free is None:
            pairs = ((mine, other) for mine in free_of_a for other in free_of_b)
            free = next((mine for mine, other in pairs if _freed(at, b, mine, other, kept=a)), None)
        if free is None:
            free, n_matchings = n_matchings, n_matchings + 1
        of_a[free], of_b[free] = b, a
    matchings: list[list[Edge]] = [[] for _ in range(n_matchings)]
    for place in sorted(at):
        for matching, other in at[place].items():
            if place < other:
                matchings[matching].append((place, other))
    return shuffled(matchings, rng)


def matched(edges: Sequence[Edge], rng: Random) -> list[Edge]:
    """Return edges without a common place, taken in random order for as long as there are any."""
    taken: set[int] = set()
    found = []
    for edge in shuffled(edges, rng):
        if taken.isdisjoint(edge):
            taken.update(edge)
            found.append(edge)
    return found


def _freed(at: dict[int, dict[int, int]], start: int, wanted: int, other: int, *, kept: int) -> bool:
    """Exchange two matchings along the path from a place, so that `wanted` is free there, unless it ends at `kept`."""
    path, matching = [start], wanted
    while matching in at[path[-1]]:
        path.append(at[path[-1]][matching])
        matching = other if matching == wanted else wanted
    if path[-1] == kept:
        return False
    for place in path:
        exchanged = {wanted: at[place].pop(other, None), other: at[place].pop(wanted, None)}
        at[place].update({one: partner for one, partner in exchanged.items() if partner is not None})
    return True


def _edge(a: int, b: int) -> Edge:
    return (a, b) if a < b else (b, a)


def _edges(pairs: Iterable[Edge]) -> list[Edge]:
    return sorted({_edge(a, b) for a, b in pairs if a != b})
