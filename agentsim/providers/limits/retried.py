"""Retries: after a transient failure, a call is repeated, after the wait that the server asks for or a back-off.

Retries are outside the limits, so that a call that waits to be repeated holds no place in the account.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from agentsim.errors import RateLimited, TransientError
from agentsim.providers.base import PLAIN, Call, Completion, Layer, Prompt, Provider
from agentsim.providers.limits.early_timeout import GivenUp
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.outage import PROBE_S, HeldBack, Outage
from agentsim.providers.limits.server import Elsewhere

__all__ = ["OnRetry", "Retried"]

OnRetry = Callable[[str, float], None]
"""Called before each repeated call with the reason and the seconds until it is made."""

FIRST_WAIT_S: Final = 0.5
JITTER: Final = 0.25
"""A wait that a server asks for is lengthened by up to this fraction of itself plus up to this many seconds."""


class Retried(Layer):
    """Repeats a call after a `TransientError`, and after no other error.

    The wait is the one that the server asks for, or else an exponential back-off. If the server asks for more than
    `max_wait_s` seconds, the call fails.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        attempts: int,
        max_wait_s: float,
        outage: Outage | None = None,
        halt: Halt | None = None,
        on_retry: OnRetry | None = None,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`attempts` includes the first call, but no call that failed in an outage or was refused while others were
        answered. `draw` gives the jitter, in [0, 1). `halt` ends all waiting.
        """
        super().__init__(provider)
        self._attempts = attempts
        self._max_wait_s = max_wait_s
        self._outage = outage
        self._halt = halt or Halt()
        self._on_retry = on_retry
        self._draw = draw
        self._sleep = sleep

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the provider's completion.

        Raises:
            TransientError: the last attempt failed, or the server asks for too long a wait.
            FatalProviderError: as the inner provider; the call is not repeated.
            NotSent: the study stopped while the call waited to be made or repeated.
        """
        n_failed = n_refused = 0
        refused_since: float | None = None
        clock = asyncio.get_running_loop().time

        def wait(error: TransientError) -> float | None:
            nonlocal call, n_failed, n_refused, refused_since
            if isinstance(error, GivenUp):  # does not count as an attempt, as its deadline had not passed
                call = replace(call, times=error.times)
                if self._on_retry is not None:
                    self._on_retry(str(error), 0.0)
                return 0.0
            if isinstance(error, HeldBack):
                return 0.0
            if isinstance(error, Elsewhere):
                call = replace(call, failed=error.failed)
                if self._on_retry is not None:
                    self._on_retry(str(error), 0.0)
                return 0.0
            if call.failed:  # it failed at the last of them as well
                call = replace(call, failed=frozenset())
            if self._outage is not None and self._is_held_back(self._outage, error):
                return 0.0  # the outage decides when
            if self._is_too_long(error):
                return None
            if isinstance(error, RateLimited) and self._outage is not None:  # no outage is on, so others are answered
                n_refused += 1
                refused_since = clock() if refused_since is None else refused_since
                if n_refused >= self._attempts and clock() - refused_since > self._outage.max_s:
                    return None
            else:
                n_failed += 1
                if n_failed >= self._attempts:
                    return None
            wait_s = self._wait_s(n_failed + n_refused, asked_s=error.retry_after_s)
            if self._on_retry is not None:
                self._on_retry(str(error), wait_s)
            return wait_s

        failure: TransientError | None = None
        while True:
            async with self._halt.cuts():
                if failure is not None:
                    wait_s = wait(failure)
                    if wait_s is None:
                        why = str(failure) + self._why_given_up(failure)
                        raise type(failure)(why, retry_after_s=failure.retry_after_s)
                    await self._sleep(wait_s)
                if self._outage is not None:
                    await self._outage.turn()
            try:
                return await self._provider.complete(prompt, call)
            except TransientError as error:
                failure = error

    def _is_held_back(self, outage: Outage, error: TransientError) -> bool:
        """Count the failure, and return whether the account is in an outage now."""
        if outage.failed(error) and self._on_retry is not None:
            self._on_retry(
                f"no call is answered; one call every {PROBE_S:.0f} s tests whether that is over: {error}", PROBE_S
            )
        return outage.is_on

    def _is_too_long(self, error: TransientError) -> bool:
        return error.retry_after_s is not None and error.retry_after_s > self._max_wait_s

    def _wait_s(self, n_failed: int, *, asked_s: float | None) -> float:
        backoff_s = min(self._max_wait_s, FIRST_WAIT_S * 2.0 ** min(n_failed - 1, 60))
        if asked_s is None:
            return backoff_s * (0.5 + 0.5 * self._draw())
        return asked_s + JITTER * self._draw() * (1 + asked_s)

    def _why_given_up(self, error: TransientError) -> str:
        if self._is_too_long(error):
            return (
                f" (the server asks to wait {error.retry_after_s:.0f} s, longer than max_wait_s = {self._max_wait_s:g}:"
                " run again later, or raise it in the scenario's providers)"
            )
        if isinstance(error, RateLimited) and self._outage is not None:
            return f" (refused for {self._outage.max_s / 60:.0f} min while others were answered; run again to continue)"
        return f" (given up after {self._attempts} attempts; run again to continue)"
