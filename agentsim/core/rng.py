"""Named, independent random streams.

A stream is named by what it decides, never by when it is drawn: two models at one seed meet the same pairings and
ties, and the order in which answers arrive changes nothing. Only `Random.random()` is used underneath, the one method
whose sequence Python promises to keep for ever, so an old log can be replayed by a new Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

__all__ = ["shuffled", "stream"]

T = TypeVar("T")


def stream(seed: int, *name: str | int) -> Random:
    """Return the random stream of that name, e.g. `stream(seed, "pairing", generation)`."""
    return Random("/".join(str(part) for part in (seed, *name)))


def shuffled(items: Iterable[T], rng: Random) -> list[T]:
    """Return the items in a uniformly random order."""
    keyed = [(rng.random(), index, item) for index, item in enumerate(items)]
    keyed.sort(key=lambda entry: entry[:2])
    return [item for _, _, item in keyed]
