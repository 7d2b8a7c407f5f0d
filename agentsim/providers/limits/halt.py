"""The end of sending: once a study stops, nothing more is sent, and whoever waits to send is told at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agentsim.errors import NotSent

__all__ = ["Halt"]


class Halt:
    """Cuts waits short: for a place, a turn, the end of a back-off or of an outage. A call on its way is left alone."""

    def __init__(self) -> None:
        self.is_on = False
        """Whether the study is stopping."""
        self._waiting: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def cuts(self) -> AsyncIterator[None]:
        """Let the body wait until the study stops.

        Raises:
            NotSent: the study is stopping, now or since before.
        """
        self.check()
        try:
            async with asyncio.timeout(None) as scope:
                self._waiting.add(scope)
                try:
                    yield
                finally:
                    self._waiting.discard(scope)
        except TimeoutError:
            if scope.expired():
                raise _not_sent() from None
            raise

    def check(self) -> None:
        """Find out whether a call may still be sent.

        Raises:
            NotSent: the study is stopping.
        """
        if self.is_on:
            raise _not_sent()

    def begin(self) -> None:
        """Stop: end every wait now."""
        if self.is_on:
            return
        self.is_on = True
        for scope in self._waiting:
            scope.reschedule(asyncio.get_running_loop().time())


def _not_sent() -> NotSent:
    return NotSent("the study is stopping; the question was not asked")
