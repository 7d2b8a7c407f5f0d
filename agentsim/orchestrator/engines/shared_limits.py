"""One account's limits over all workers: who may send next, and when."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from agentsim.orchestrator.engines.journal import Past

__all__ = ["WINDOW_S", "SharedLimits"]

WINDOW_S: Final = 60.5
"""No more than a minute's requests are granted within so many seconds.

The half second is for what lies between a grant and the server: workers that are busy for a moment send a little later
than others. A request that comes up to so much later than its neighbours makes no minute too full.
"""
LATE_S: Final = 0.5
"""A grant that is later than its turn by no more than this does not delay the following ones."""


class SharedLimits:
    """Calls in flight, requests and tokens of the last minute; reads the clock, waits for nothing.

    Requests are spread evenly over the minute.
    """

    def __init__(self, terms: Mapping[str, Any]) -> None:
        """`terms` hold the account's `concurrency`, `requests_per_minute` and `tokens_per_minute`; `None`: no limit."""
        self._most: int | None = terms["concurrency"]
        self._requests: int | None = terms["requests_per_minute"]
        self._tokens: int | None = terms["tokens_per_minute"]
        self._interval_s = 0.0 if self._requests is None else WINDOW_S / self._requests
        self._next_at = -math.inf
        self._window: deque[Past] = deque()
        self.n_out = 0
        """Leases that are out, that is calls in flight."""

    def wait_s(self, tokens: float) -> float:
        """Return in how many seconds a call may be sent: 0 now, infinity when a lease has been given back."""
        now = time.monotonic()
        while self._window and self._window[0].at <= now - WINDOW_S:
            self._window.popleft()
        if self._most is not None and self.n_out >= self._most:
            return math.inf
        at = self._next_at if self._requests is not None else now
        if self._requests is not None and len(self._window) >= self._requests:
            at = max(at, self._window[-self._requests].at + WINDOW_S)
        if self._tokens is not None:
            at = max(at, self._fits_at(min(tokens, self._tokens), now))
        return max(0.0, at - now)

    def take(self, past: Past) -> None:
        """Count a lease that is granted now."""
        self.n_out += 1
        self._window.append(past)
        self._next_at = max(self._next_at, past.at - LATE_S) + self._interval_s

    def restore(self, past: Past) -> None:
        """Count a lease that an earlier broker granted; in the order in which they were granted."""
        self.n_out += past.is_out
        self._window.append(past)
        self._next_at = max(self._next_at, past.at + self._interval_s)

    def give_back(self) -> None:
        """Count a lease that is given back."""
        self.n_out -= 1

    def _fits_at(self, tokens: float, now: float) -> float:
        """Return when so many tokens fit into the minute; a call beyond the limit is sent alone."""
        assert self._tokens is not None
        spent = sum(past.tokens for past in self._window)
        if spent + tokens <= self._tokens:
            return now
        for past in self._window:
            spent -= past.tokens
            if spent + tokens <= self._tokens:
                return past.at + WINDOW_S
        return now
