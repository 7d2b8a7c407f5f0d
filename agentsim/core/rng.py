"""Named, independent random streams.

A stream is named by what it decides, never by when it is drawn: two models at one seed meet the same pairings and
ties, and the order in which answers arrive changes nothing. Only `Random.random()` is used underneath, the one method
whose sequence Python promises to keep for ever, so an old log can be replayed by a new Python.

A single number that depends on whole numbers alone is cheaper: `uniform`, and `uniforms` for arrays of them at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["shuffled", "stream", "uniform", "uniforms"]

T = TypeVar("T")

MASK: Final = 2**64 - 1
STEP: Final = 0x9E3779B97F4A7C15
FACTORS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""Of SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators")."""


def stream(seed: int, *name: str | int) -> Random:
    """Return the random stream of that name, e.g. `stream(seed, "pairing", generation)`."""
    return Random("/".join(str(part) for part in (seed, *name)))


def shuffled(items: Iterable[T], rng: Random) -> list[T]:
    """Return the items in a uniformly random order."""
    keyed = [(rng.random(), index, item) for index, item in enumerate(items)]
    keyed.sort(key=lambda entry: entry[:2])
    return [item for _, _, item in keyed]


def uniform(what: str, *place: int) -> float:
    """Return the number in [0, 1) that belongs to a decision, as `uniform("error", seed, generation, game, round)`.

    Another purpose, or another place, is another number, independent of all others; numbers are at least 0.
    """
    state = _purpose(what)
    for part in place:
        state = (state ^ part) + STEP & MASK
        state = (state ^ state >> 30) * FACTORS[0] & MASK
        state = (state ^ state >> 27) * FACTORS[1] & MASK
        state ^= state >> 31
    return (state >> 11) / 2.0**53


def uniforms(what: str, *place: ArrayLike) -> NDArray[np.float64]:
    """Return `uniform(what, ...)` for each element of the places, which are whole numbers or arrays that broadcast."""
    import numpy as np  # reading a scenario needs none of it

    state: NDArray[np.uint64] = np.asarray(_purpose(what), dtype=np.uint64)
    with np.errstate(over="ignore"):  # wrapping around is what is meant
        for part in place:
            state = (state ^ np.asarray(part).astype(np.uint64)) + np.uint64(STEP)
            state = (state ^ state >> np.uint64(30)) * np.uint64(FACTORS[0])
            state = (state ^ state >> np.uint64(27)) * np.uint64(FACTORS[1])
            state = state ^ state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53


@cache
def _purpose(what: str) -> int:
    return int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], "big")
