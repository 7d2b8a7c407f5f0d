"""How many calls a server answers before their deadline: few at first, more while answers come well in time.

A server that works on a few requests at a time makes the others wait. If it is sent more than it can answer in time, it
spends its time on requests whose callers have given up, and fewer and fewer are answered. Such a server can be
recognised: the more calls are under way, the longer each answer takes, and when one is late, the others are slow too.
Calls that hang among quick answers are no such sign and do not lower the limit.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

__all__ = ["InTime"]

START: Final = 4
"""The limit at first, while nothing is known of the server."""
REMEMBERED: Final = 32
"""The server is judged by this many latest answers."""
QUICK: Final = 0.5
"""The limit rises by one at once if, with one more call under way at a server that answers calls in turn, the answer
would still have come within this fraction of the deadline."""
SAFE: Final = 0.9
"""Otherwise the limit rises after a full round of answers, if they would still come within this fraction."""
MOST_PATIENCE: Final = 16
"""The most rounds of answers that are waited for before the limit rises."""


class InTime:
    """Finds how many calls, at most `most`, are answered within `deadline_s` seconds; reads no clock."""

    def __init__(self, most: int, *, deadline_s: float) -> None:
        self.limit = min(START, most)
        self._most = most
        self._deadline_s = deadline_s
        self._turns: deque[float] = deque(maxlen=REMEMBERED)
        """For each answer, its latency divided by the calls under way: seconds a call, if they are answered in turn."""
        self._n_in_time = 0
        """Answers in time since the limit last changed."""
        self._patience = 1
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """How often the limit has been lowered; a call sent before that says nothing about the new limit."""
        return self._epoch

    def answered(self, *, n_under_way: int, seconds: float) -> None:
        """Count an answered call; `n_under_way` calls, itself included, were under way when it was sent."""
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
        """Count a call whose answer did not come in time; return for how many seconds its place must rest.

        That is how long the server will keep working on requests that nobody waits for any more.
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
        """Whether a server that answers calls in turn would have been late, or nearly late, with the last of them."""
        return not self._turns or self._turn_s * n_under_way >= QUICK * self._deadline_s

    def _set(self, limit: int) -> None:
        self.limit = limit
        self._n_in_time = 0
