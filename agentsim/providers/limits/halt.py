"""Stopping: once a study stops, nothing more is sent, and every wait to send something ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agentsim.errors import NotSent

__all__ = ["Halt"]


class Halt:
    """Ends waits for a place, a turn, a back-off or an outage. A call that has been sent is left alone."""

    def __init__(self) -> None:
        self.is_on = False
        """Whether the study is stopping."""
        self._waiting: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def cuts(self) -> AsyncIterator[None]:
        """End the wait in the body when the study stops.

        Raises:
            NotSent: the study stopped before the wait or during it.
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
        """Check that a call may still be sent.

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
