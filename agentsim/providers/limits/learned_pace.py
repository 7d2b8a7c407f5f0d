"""An account's limit of requests per minute, learned from refusals where the settings do not state it.

A server that asks for a long rest many times in a row has a limit per minute: the number of calls that it accepted in
the last minute. Lowering the number of calls at a time would only approximate it, with every third call refused.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

__all__ = ["LearnedPace", "Sent"]

LONG_REST_S: Final = 5.0
"""A server that asks for a longer rest than this may have a limit per minute."""
IN_A_ROW: Final = 6
"""This many calls refused in a row are not due to chance."""
SHARE: Final = 0.98
"""Fraction of the calls accepted in the last minute that is sent in the next."""
TRIAL: Final = 1.5
"""A trial multiplies the limit by this."""
TRIAL_S: Final = 15.0
"""How long a trial lasts."""
MOST_PATIENCE: Final = 16
"""The most minutes between two trials."""
TOO_MANY: Final = 3
TOO_LARGE_A_SHARE: Final = 0.2
"""A trial ends when its refusals reach the one number and exceed the other as a share of its calls."""


@dataclass
class Sent:
    """One call; `at` is the event loop's time when it was sent."""

    at: float
    is_refused: bool = False


class LearnedPace:
    """Spreads requests over the minute once a limit is known, and tests now and then whether it still holds."""

    def __init__(self) -> None:
        self.limit: float | None = None
        """Requests per minute; `None` while there is no sign of a limit."""
        self._taken: deque[Sent] = deque()
        """The calls of the last minute."""
        self._last: deque[Sent] = deque(maxlen=IN_A_ROW)
        self._n_tried = self._n_refused = 0
        """Calls sent and calls refused in the current trial."""
        self._next = 0.0
        self._rest_until = 0.0
        self._good: float | None = None
        self._n_minutes = 1
        self._until = 0.0
        """When the current trial has succeeded, or the next one begins."""

    async def turn(self) -> None:
        """Wait until one more request may be sent."""
        clock = asyncio.get_running_loop().time
        while True:
            wait_s = max(self._rest_until, self._next) - clock()
            if wait_s <= 0:
                break
            await asyncio.sleep(wait_s)  # a refusal may postpone it meanwhile, so look again
        if self.limit is None:
            return
        now = clock()
        if now >= self._until:
            self._try_more(now)
        if self.limit is not None:
            self._next = now + 60 / self.limit

    def sent(self) -> Sent:
        """Record a call that is sent now; the result is passed to `refused` if it is refused."""
        sent = Sent(at=asyncio.get_running_loop().time())
        self._last.append(sent)
        self._taken.append(sent)
        self._n_tried += 1
        while self._taken[0].at <= sent.at - 60:
            self._taken.popleft()
        return sent

    def refused(self, sent: Sent, *, rest_s: float) -> None:
        """Record that a call was refused, and for how long the server asks to rest."""
        now = asyncio.get_running_loop().time()
        sent.is_refused = True
        self._n_refused += 1
        is_trial = self._good is not None and self.limit != self._good
        if rest_s > LONG_REST_S and len(self._last) == IN_A_ROW and all(call.is_refused for call in self._last):
            self._rest_until = max(self._rest_until, now + rest_s)
            n_taken = sum(not call.is_refused for call in self._taken if call.at > now - 60)
            if self.limit is None or n_taken < self.limit:
                self._n_minutes = 1
                self._keep(SHARE * n_taken, now)
        elif is_trial and self._n_refused >= TOO_MANY and self._n_refused > TOO_LARGE_A_SHARE * self._n_tried:
            assert self._good is not None
            self._n_minutes = min(MOST_PATIENCE, 2 * self._n_minutes)
            self._keep(self._good, now)

    def _keep(self, limit: float, now: float) -> None:
        self.limit = self._good = max(1.0, limit)
        self._until = max(now, self._rest_until) + 60 * self._n_minutes

    def _try_more(self, now: float) -> None:
        """Begin a trial with a higher limit, or drop the limit if less than half of it was used."""
        assert self.limit is not None
        if sum(call.at > now - TRIAL_S for call in self._taken) < self.limit * TRIAL_S / 60 / 2:
            self.limit = self._good = None
            self._n_minutes = 1
            return
        self._good, self.limit = self.limit, TRIAL * self.limit
        self._until = now + TRIAL_S
        self._n_tried = self._n_refused = 0
