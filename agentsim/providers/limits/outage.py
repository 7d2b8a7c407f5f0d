"""An account's outages: while no call is answered, one call every five seconds tests whether the outage is over.

Failures scattered among answers pause no other call: a shared pause after each would make a study many times slower.
"""

from __future__ import annotations

import asyncio
from typing import Final

from agentsim.errors import AccountDown, TransientError

__all__ = ["PROBE_S", "HeldBack", "Outage"]

PROBE_S: Final = 5.0
"""Seconds between two calls that test whether an outage is over."""

FEW: Final = 12
LONG_S: Final = 30.0
"""In an account with few calls under way, `FEW` failures in a row over more than `LONG_S` seconds are an outage."""


class HeldBack(TransientError):
    """An outage began while the call waited for its place: it was not sent, and waits for its turn again."""


class Outage:
    """Counts an account's failures in a row, and holds calls back once as many have failed as can be under way.

    Times are the event loop's: they neither jump with the wall clock nor count while the machine sleeps.
    """

    def __init__(self, *, name: str, threshold: int, max_s: float) -> None:
        """`threshold` failures without an answer between them are an outage; after `max_s` the account is given up."""
        self._name = name
        self._threshold = threshold
        self.max_s = max_s
        """After this many seconds without any answer the account is given up."""
        self._in_a_row = 0
        self._row_began = 0.0
        self._since: float | None = None
        self._next_probe = 0.0
        self._last = ""
        self._over = asyncio.Event()
        self._may_probe = False

    @property
    def is_on(self) -> bool:
        """Whether calls are held back."""
        return self._since is not None

    async def turn(self) -> None:
        """Wait until a call may be made: no time, or in an outage until it is this call's turn to test.

        Raises:
            AccountDown: the outage has lasted longer than the account's `max_outage_s`.
        """
        clock = asyncio.get_running_loop().time
        while self._in_a_row >= FEW:
            now = clock()
            if now - self._row_began > self.max_s:
                raise AccountDown(
                    f"{self._name} has answered nothing for {self.max_s / 60:.0f} min; the last failure: {self._last};"
                    " nothing more is sent. Run again when it is back"
                )
            if self._since is None:
                return
            if now >= self._next_probe:
                self._next_probe = now + PROBE_S
                self._may_probe = True
                return
            try:
                async with asyncio.timeout(self._next_probe - now):
                    await self._over.wait()
            except TimeoutError:
                continue

    def check(self) -> None:
        """Check that a call may still be sent after waiting for its place.

        Raises:
            HeldBack: an outage has begun since.
        """
        if self._since is not None and not self._may_probe:
            raise HeldBack("an outage has begun; the call was not sent")
        self._may_probe = False

    def failed(self, error: TransientError) -> bool:
        """Count a failure; return whether an outage begins with it."""
        now = asyncio.get_running_loop().time()
        if self._in_a_row == 0:
            self._row_began = now
        self._in_a_row += 1
        self._last = str(error)
        is_outage = self._in_a_row >= (FEW if now - self._row_began > LONG_S else self._threshold)
        if self._since is not None or not is_outage:
            return False
        self._since = now
        self._next_probe = self._since + PROBE_S
        self._over.clear()
        return True

    def answered(self, *, sent: float) -> None:
        """Count an answered call: any outage is over. `sent` is the loop's time when the call was sent.

        An answer to a call sent before the first of the failures in a row says nothing about them.
        """
        if self._in_a_row and sent < self._row_began:
            return
        self._in_a_row = 0
        self._since = None
        self._over.set()
