"""How many calls a server answers in time: few at first, more as its answers come well before their deadline.

A server that works on a few requests at a time makes the others wait. Whoever asks more of it than it can answer before
their deadlines is answered ever less: it works on requests whose callers have gone. Such a server shows itself: its
answers take the longer the more calls are under way, and what comes late is not alone in being slow. Calls that hang
among quick answers say nothing of the kind, and make nobody ask fewer.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

__all__ = ["InTime"]

START: Final = 4
"""Calls under way at a server of which nothing is known."""
REMEMBERED: Final = 32
"""Latest answers by which the server is judged."""
QUICK: Final = 0.5
"""An answer within this share of the deadline, were one call more under way at a server that takes them in turn, is no
reason to wait before there is one more."""
SAFE: Final = 0.9
"""The share within which one call more may be tried once as many as are under way have been answered."""
MOST_PATIENCE: Final = 16


class InTime:
    """Finds how many calls, at most `most`, are answered within `deadline_s` seconds; knows no clock."""

    def __init__(self, most: int, *, deadline_s: float) -> None:
        self.limit = min(START, most)
        self._most = most
        self._deadline_s = deadline_s
        self._turns: deque[float] = deque(maxlen=REMEMBERED)
        """Seconds that each call under way added to an answer, were they taken in turn."""
        self._n_in_time = 0
        """Answers since the limit was last changed."""
        self._patience = 1
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Counts how often there have become fewer: a call sent before that says nothing about as many as now."""
        return self._epoch

    def answered(self, *, n_under_way: int, seconds: float) -> None:
        """Take an answer to a call; so many were under way when it was sent, itself among them."""
        self._turns.append(seconds / n_under_way)
        self._n_in_time += 1
        if self.limit >= self._most:
            return
        if self._patience == 1 and seconds * (self.limit + 1) / n_under_way <= QUICK * self._deadline_s:
            self.limit += 1
        elif self._n_in_time >= self._patience * self.limit:
            more = max(1, self.limit // 4)
            if self._turn_s * (self.limit + more) <= SAFE * self._deadline_s:
                self._set(min(self._most, self.limit + more))

    def late(self, *, n_under_way: int, epoch: int) -> float:
        """Take a call whose answer did not come in time; return for how many seconds its place has to rest.

        That is how long the server will be working on what nobody waits for any more.
        """
        if not self._is_too_many(n_under_way):
            return 0.0
        if epoch == self._epoch:
            self._epoch += 1
            self._n_late = 0
            fitting = self._most if not self._turns else int(SAFE * self._deadline_s / self._turn_s)
            self._patience = min(MOST_PATIENCE, 2 * self._patience)
            self._set(max(1, min(n_under_way // 2, fitting)))
        self._n_late += 1
        return min(self._deadline_s, self._n_late * self._turn_s if self._turns else self._deadline_s / 2)

    @property
    def _turn_s(self) -> float:
        return median(self._turns)

    def _is_too_many(self, n_under_way: int) -> bool:
        """Whether a server that takes calls in turn would have answered the last of so many late, or nearly so."""
        return not self._turns or self._turn_s * n_under_way >= QUICK * self._deadline_s

    def _set(self, limit: int) -> None:
        self.limit = limit
        self._n_in_time = 0
