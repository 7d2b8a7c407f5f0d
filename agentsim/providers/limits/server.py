"""One of several servers behind an account: how fast it is, how many calls it takes, and whether it is left out.

How long a server needs for a call depends on how many are under way there. Some take as many as come without delay,
some process a few at a time, and most are in between; so the time is learned by the number of calls.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

from agentsim.errors import TransientError, Unavailable
from agentsim.providers.base import Provider
from agentsim.providers.limits.in_time import InTime
from agentsim.providers.limits.places import Width

__all__ = ["Elsewhere", "Server", "Speed"]

REMEMBERED: Final = 16
"""The answers by which the speed with about so many calls under way is judged."""
IN_A_ROW: Final = 3
"""A server that fails this many calls in a row is left out."""
FIRST_PAUSE_S: Final = 0.5
"""For how long it is left out at first; each test that fails doubles the time."""
LONGEST_PAUSE_S: Final = 30.0
IDLE: Final = 20
"""A server that was sent nothing for this many times as long as a call takes there is tried again: it may have become
faster, and the trial costs at most a twentieth of the time."""


class Elsewhere(Unavailable):
    """The call failed at one of several servers, and is to be asked at another at once, within the limits."""

    def __init__(self, error: TransientError, *, failed: frozenset[str]) -> None:
        may_be_billed = isinstance(error, Unavailable) and error.may_be_billed
        super().__init__(f"{error}; another server is asked", may_be_billed=may_be_billed)
        self.failed = failed
        """As `Call.failed`, with this failure."""


class Speed:
    """How long a server takes for a call, by the number of calls under way; reads no clock."""

    def __init__(self) -> None:
        self._turns: dict[int, deque[float]] = {}
        """Seconds of an answer divided by the calls under way, by the level of their number."""
        self._typical: dict[int, float] = {}
        """The medians of these."""

    def learn(self, n: int, seconds: float) -> None:
        """Count an answer; `n` calls, itself included, were under way when it was sent."""
        level = _level(n)
        turns = self._turns.setdefault(level, deque(maxlen=REMEMBERED))
        turns.append(seconds / n)
        self._typical[level] = median(turns)

    def expected_s(self, n: int) -> float | None:
        """Return the seconds for a call that is the `n`th under way; `None` while nothing is known.

        With more calls than ever before, an answer is expected to take longer in proportion.
        """
        level = _level(n)
        turn_s = self._typical.get(level)
        if turn_s is None:
            if not self._typical:
                return None
            fewer = [known for known in self._typical if known < level]
            turn_s = self._typical[max(fewer) if fewer else min(self._typical)]
        return n * turn_s

    def cost_s(self, n: int) -> float | None:
        """Return the seconds for the `n`th call under way, and by how much longer it makes the other calls there take.

        Where calls do not wait for each other, that is the time for the call alone; where they are processed in turn,
        it is twice as long. So an idle server is used even if it is slower than the queues of the others.
        """
        own_s, with_fewer_s = self.expected_s(n), self.expected_s((n + 1) // 2)
        if own_s is None or with_fewer_s is None:
            return None
        return own_s + min(own_s, max(0.0, 2 * (own_s - with_fewer_s)))


def _level(n: int) -> int:
    """Return the group of numbers to which `n` belongs: 1, 2, 3, 4 to 5, 6 to 7, 8 to 11, 12 to 15, ..."""
    if n < 4:
        return n
    length = n.bit_length()
    return 2 * length + (n >> (length - 2) & 1)


class Server:
    """What an account knows of one of its servers. Times are the event loop's."""

    def __init__(self, address: str, provider: Provider, *, most: int, deadline_s: float) -> None:
        """At most `most` calls are under way at once; the provider sets the deadline for an answer."""
        self.address = address
        self.provider = provider
        self.width = Width(most)
        self.in_time = InTime(most, deadline_s=deadline_s)
        self.speed = Speed()
        self.n_places = 0
        """Places taken or resting."""
        self.n_under_way = 0
        self.sent = 0.0
        """When the latest call was sent."""
        self.is_out = False
        """Whether it is left out, but for tests."""
        self.out_until = 0.0
        """When it is tested, if it is left out."""
        self.is_tested = False
        """Whether a test is under way."""
        self._n_failed = self._n_tests_failed = 0
        self._row_began = 0.0

    @property
    def has_room(self) -> bool:
        """Whether one more call may be sent."""
        return self.n_places < min(self.width.limit, self.in_time.limit)

    def cost_s(self, now: float) -> float:
        """Return what one more call costs here (`Speed.cost_s`); 0: nobody knows, so it should be tried."""
        cost_s = self.speed.cost_s(self.n_under_way + 1)
        if cost_s is None:
            return (now - self.sent) * (self.n_under_way + 1) if self.n_under_way else 0.0
        return 0.0 if not self.n_under_way and now - self.sent > IDLE * cost_s else cost_s

    def failed(self, now: float, error: TransientError, *, is_test: bool, most_s: float) -> bool:
        """Count a failure; return whether the server is left out from now on. No test waits longer than `most_s`."""
        if self._n_failed == 0:
            self._row_began = now
        self._n_failed += 1
        is_new = not self.is_out and self._n_failed >= IN_A_ROW
        if is_new or is_test:
            self._n_tests_failed = 0 if is_new else self._n_tests_failed + 1
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._n_tests_failed, 30))
            self.is_out, self.out_until = True, now + max(pause_s, min(most_s, error.retry_after_s or 0.0))
        return is_new

    def answered(self, *, sent: float) -> bool:
        """Count an answer to a call sent then; return whether the server is taken back with it.

        An answer to a call sent before the first of the failures in a row says nothing about them.
        """
        if self._n_failed and sent < self._row_began:
            return False
        was_out, self.is_out, self.is_tested = self.is_out, False, False
        self._n_failed = 0
        return was_out
