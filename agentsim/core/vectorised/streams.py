"""The first numbers of many random streams at once: what `rng.stream(...)` gives one by one, several times as fast.

A stream is Python's Mersenne Twister (Matsumoto & Nishimura 1998, ACM Trans. Model. Comput. Simul. 8), seeded by a
string the way `random.Random` does. Nearly all its cost is the seeding, a chain of 1,247 steps; here each step is done
for all streams together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["first_numbers", "numbers_by_seed"]

Words = NDArray[np.uint32]
Numbers = NDArray[np.float64]

N: Final = 624
M: Final = 397
"""Words of the twister's state, and its middle offset."""
SHIFT: Final = np.array(30, dtype=np.uint32)
FIRST_FACTOR: Final = np.array(1664525, dtype=np.uint32)
SECOND_FACTOR: Final = np.array(1566083941, dtype=np.uint32)
"""Of the two passes that mix the key into the state."""
FEW: Final = 500
"""Below so many streams, one after the other is faster."""
AT_ONCE: Final = 8192
"""About how many streams are seeded together: their states, 2.5 kB each, should fit in the processor's cache."""


KEPT: Final = 2**17
"""The most numbers that are kept for the next call; there are at most 96 such."""


def numbers_by_seed(seeds: tuple[int, ...], what: str, places: tuple[tuple[int, ...], ...], n: int) -> Numbers:
    """Return the first `n` numbers of `stream(seed, what, *place)`, as (places, n, seeds); not to be written to.

    Where they are few they are kept for the next call: conditions that share seeds share what is drawn.
    """
    few = len(seeds) * len(places) * n <= KEPT
    return (_kept if few else _kept.__wrapped__)(seeds, what, places, n)


@lru_cache(maxsize=96)
def _kept(seeds: tuple[int, ...], what: str, places: tuple[tuple[int, ...], ...], n: int) -> Numbers:
    tails = ["/".join(["", what, *map(str, place)]).encode() for place in places]
    heads = [b"%d" % seed for seed in seeds]
    numbers = first_numbers([head + tail for tail in tails for head in heads], n)
    numbers = np.ascontiguousarray(numbers.reshape(n, len(places), len(seeds)).swapaxes(0, 1))
    numbers.flags.writeable = False
    return numbers


def first_numbers(names: Sequence[bytes], n: int) -> Numbers:
    """Return the first `n` numbers in [0, 1) of `Random(name)` for each name, as (n, names)."""
    numbers = np.empty((n, len(names)))
    if len(names) < FEW:
        rng = Random()
        for place, name in enumerate(names):
            rng.seed(name)
            draw = rng.random
            numbers[:, place] = [draw() for _ in range(n)]
        return numbers
    size = max(FEW, AT_ONCE * N // max(N, 2 * n))
    n_words = -(-np.fromiter(map(len, names), dtype=np.intp) // 4)
    for alike in (np.flatnonzero(n_words == length) for length in np.unique(n_words).tolist()):
        width = 4 * int(n_words[alike[0]])
        for some in np.array_split(alike, max(1, round(len(alike) / size))):
            keys = _keys([names[place] for place in some.tolist()], width)
            numbers[:, some] = _numbers(_seeded(keys), n)
    return numbers


def _keys(names: Sequence[bytes], width: int) -> Words:
    """Return the words `Random(name)` is seeded with, as (words, names); each name fills `width` bytes, or 1 to 3 less.

    They are those of one long number: the name, then its SHA-512.
    """
    sha512 = hashlib.sha512
    numbers = b"".join([name.rjust(width, b"\0") + sha512(name).digest() for name in names])
    words = np.frombuffer(numbers, dtype=">u4").reshape(len(names), -1)
    return np.ascontiguousarray(words[:, ::-1].T.astype(np.uint32))


@lru_cache(maxsize=1)
def _start() -> list[int]:
    """Return the state that seeding by words begins with."""
    state = [19650218]
    for place in range(1, N):
        state.append((1812433253 * (state[-1] ^ state[-1] >> 30) + place) % 2**32)
    return state


def _seeded(keys: Words) -> Words:
    """Return the twisters' states once seeded, as (624, names)."""
    n_keys = len(keys)
    numbered_keys = list(keys + np.arange(n_keys, dtype=np.uint32)[:, None])
    state = np.empty((N, keys.shape[1]), dtype=np.uint32)
    words, start = list(state), _arrays(_start())
    words[0][:] = start[0]
    mixed = np.empty_like(words[0])
    for step in range(N - 1):
        _mix(words[step], FIRST_FACTOR, mixed)
        np.bitwise_xor(mixed, start[step + 1], mixed)
        np.add(mixed, numbered_keys[step % n_keys], words[step + 1])
    _mix(words[N - 1], FIRST_FACTOR, mixed)
    np.bitwise_xor(mixed, words[1], mixed)
    np.add(mixed, numbered_keys[(N - 1) % n_keys], words[1])
    numbers = _arrays(range(N))
    for place in (*range(2, N), 1):
        _mix(words[place - 1 or N - 1], SECOND_FACTOR, mixed)
        np.bitwise_xor(mixed, words[place], mixed)
        np.subtract(mixed, numbers[place], words[place])
    words[0][:] = 0x80000000
    return state


def _mix(word: Words, factor: Words, mixed: Words) -> None:
    np.right_shift(word, SHIFT, mixed)
    np.bitwise_xor(mixed, word, mixed)
    np.multiply(mixed, factor, mixed)


def _arrays(numbers: Iterable[int]) -> list[Words]:
    """Return each number as an array: quicker to work with than NumPy's scalars."""
    return [np.array(number, dtype=np.uint32) for number in numbers]


def _numbers(state: Words, n: int) -> Numbers:
    """Return the first `n` numbers of each seeded state, as (n, states); the states move on."""
    numbers = np.empty((n, state.shape[1]))
    for start in range(0, n, N // 2):
        some = min(N // 2, n - start)
        _twist(state, 2 * some)
        words = state[: 2 * some].copy()
        words ^= words >> 11
        words ^= words << 7 & np.uint32(0x9D2C5680)
        words ^= words << 15 & np.uint32(0xEFC60000)
        words ^= words >> 18
        numbers[start : start + some] = ((words[0::2] >> 5) * 67108864.0 + (words[1::2] >> 6)) / 9007199254740992.0
    return numbers


def _twist(state: Words, n: int) -> None:
    """Replace the first `n` words of the states by their successors."""
    place = 0
    while place < n:
        # What a word becomes depends on the one 397 further on, or, wrapping around, on one replaced before it.
        until = min(n, place + N - M if place < N - 1 else N, N - M if place < N - M else N - 1 if place < N - 1 else N)
        these = slice(place, until)
        after = state[place + 1 : until + 1] if until < N else state[0:1]
        ahead = state[place + M : until + M] if until <= N - M else state[place + M - N : until + M - N]
        joined = (state[these] & np.uint32(0x80000000)) | (after & np.uint32(0x7FFFFFFF))
        state[these] = ahead ^ (joined >> 1) ^ np.where(joined & 1, np.uint32(0x9908B0DF), np.uint32(0))
        place = until
