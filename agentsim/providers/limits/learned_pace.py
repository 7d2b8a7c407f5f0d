"""An account's requests a minute, learned from refusals, where nobody has stated them.

A server that asks for a long rest, many times in a row, has a limit of the minute: what it took in the last minute is
that limit. Fewer calls at a time would only ever find a makeshift for it, at the price of a refusal in three.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

__all__ = ["LearnedPace", "Sent"]

LONG_REST_S: Final = 5.0
"""Servers that ask for a longer rest may mean a limit of the minute."""
IN_A_ROW: Final = 6
"""So many calls, one sent after the other and all refused, are no accident."""
SHARE: Final = 0.98
"""Of what was taken in the last minute, so much is asked again in the next."""
TRIAL: Final = 1.5
TRIAL_S: Final = 15.0
MOST_PATIENCE: Final = 16
"""Minutes, at most, before more is tried."""
TOO_MANY: Final = 3
TOO_LARGE_A_SHARE: Final = 0.2
"""So many refusals in a trial, in number and as a share of its calls, end it."""


@dataclass
class Sent:
    """One call, sent at a time of the event loop."""

    at: float
    is_refused: bool = False


class LearnedPace:
    """Spreads requests over the minute once a limit has shown itself; tries now and then whether it still holds."""

    def __init__(self) -> None:
        self.limit: float | None = None
        """Requests a minute, or None where nothing says there is a limit."""
        self._taken: deque[Sent] = deque()
        """The calls of the last minute."""
        self._last: deque[Sent] = deque(maxlen=IN_A_ROW)
        self._n_tried = self._n_refused = 0
        """Calls sent, and refused, in the trial that is on."""
        self._next = 0.0
        self._rest_until = 0.0
        self._good: float | None = None
        self._n_minutes = 1
        self._until = 0.0
        """When a trial has succeeded, or the next begins."""

    async def turn(self) -> None:
        """Wait until one more request may be sent."""
        clock = asyncio.get_running_loop().time
        while True:
            wait_s = max(self._rest_until, self._next) - clock()
            if wait_s <= 0:
                break
            await asyncio.sleep(wait_s)  # a refusal may have put it off meanwhile
        if self.limit is None:
            return
        now = clock()
        if now >= self._until:
            self._try_more(now)
        if self.limit is not None:
            self._next = now + 60 / self.limit

    def sent(self) -> Sent:
        """Take note of a call that is sent now; return what `refused` wants to know of it."""
        sent = Sent(at=asyncio.get_running_loop().time())
        self._last.append(sent)
        self._taken.append(sent)
        self._n_tried += 1
        while self._taken[0].at <= sent.at - 60:
            self._taken.popleft()
        return sent

    def refused(self, sent: Sent, *, rest_s: float) -> None:
        """Take note that a call was refused, and for how long the server wishes to rest."""
        now = asyncio.get_running_loop().time()
        sent.is_refused = True
        self._n_refused += 1
        is_trial = self._good is not None and self.limit != self._good
        if rest_s > LONG_REST_S and len(self._last) == IN_A_ROW and all(each.is_refused for each in self._last):
            self._rest_until = max(self._rest_until, now + rest_s)
            n_taken = sum(not each.is_refused for each in self._taken if each.at > now - 60)
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
        """Ask for more, or for as much as wanted where what is allowed has not been asked for."""
        assert self.limit is not None
        if sum(each.at > now - TRIAL_S for each in self._taken) < self.limit * TRIAL_S / 60 / 2:
            self.limit = self._good = None
            self._n_minutes = 1
            return
        self._good, self.limit = self.limit, TRIAL * self.limit
        self._until = now + TRIAL_S
        self._n_tried = self._n_refused = 0
