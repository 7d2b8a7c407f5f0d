"""Layers around a provider, each of the same one method: limits of an account, and retries.

Retries belong outermost, so that a call that waits to be repeated holds no place in the account.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from asyncio_throttle.throttler import Throttler

from agentsim.errors import NotSent, RateLimited, TransientError, Unavailable
from agentsim.providers.base import Completion, Held, Holding, Prompt, Provider, complete_held
from agentsim.providers.limits.early_timeout import PATIENT, GivenUp
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.in_time import InTime
from agentsim.providers.limits.learned_pace import LearnedPace
from agentsim.providers.limits.outage import PROBE_S, HeldBack, Outage
from agentsim.providers.limits.places import OnWidth, Places
from agentsim.providers.limits.token_pace import Spent, TokenPace

__all__ = ["WANTED", "Limited", "Load", "OnRetry", "Retried"]

OnRetry = Callable[[str, float], None]
"""Called before each repeated call with what happened and the seconds until it is asked again."""

FIRST_WAIT_S: Final = 0.5
JITTER: Final = 0.25
"""Waits asked for by a server are lengthened by up to this fraction, and by up to as many seconds."""
POLL_S: Final = 0.005

WANTED: ContextVar[Callable[[], bool]] = ContextVar("WANTED", default=lambda: True)
"""Says whether the caller still wants an answer that has not been asked for yet."""


@dataclass
class Load:
    """What an account has taken in one sitting, from which the least time for it follows."""

    n_sent: int = 0
    busy_s: float = 0.0
    """Seconds from sending to answer or failure, over all calls."""
    tokens: int = 0
    """Of prompts and answers, as far as the servers said."""


class Limited(Holding):
    """Keeps one account's limits: calls in flight, requests and tokens a minute; all societies that use it share them.

    Never more than `requests_per_minute` requests begin in any 60 s, and they are spread over the minute; where nobody
    stated them, see `LearnedPace`; of tokens see `TokenPace`. `concurrency` is the most calls in flight: refused ones
    make it fewer for a time, see `places`, which also says who goes first. A cancelled call gives its place back.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        concurrency: int,
        requests_per_minute: int | None,
        tokens_per_minute: int | None = None,
        outage: Outage | None = None,
        halt: Halt | None = None,
        ready: Callable[[], Awaitable[object]] | None = None,
        deadline_s: float | None = None,
        max_rest_s: float = 60.0,
        on_width: OnWidth | None = None,
    ) -> None:
        """`halt` ends all waiting; `ready` is awaited before each call, as long as nothing halts.

        `deadline_s` is the provider's own for an answer: with it, few calls are under way at first, see `in_time`.
        `max_rest_s` bounds how long a place rests after a refusal; `on_width` is told of every change of places.
        """
        if any(limit is not None and limit < 1 for limit in (concurrency, requests_per_minute, tokens_per_minute)):
            raise ValueError("concurrency, requests_per_minute and tokens_per_minute must be at least 1")
        self.load = Load()
        self._tokens = None if tokens_per_minute is None else TokenPace(tokens_per_minute)
        self._provider = provider
        self._outage = outage
        self._max_rest_s = max_rest_s
        self._halt = halt or Halt()
        self._ready = ready
        self._in_time = None if deadline_s is None else InTime(concurrency, deadline_s=deadline_s)
        self._n_under_way = 0
        self._places = Places(concurrency, on_width=on_width, in_time=self._in_time)
        self._pace = LearnedPace() if requests_per_minute is None else None
        self._turn = Places(1)  # each waiter of the throttles polls, so only one waits at them
        self._throttles: tuple[Throttler, ...] = ()
        if requests_per_minute is not None:
            per_beat = math.ceil(requests_per_minute / 60)
            beat = Throttler(per_beat, period=60 * per_beat / requests_per_minute, retry_interval=POLL_S)
            self._throttles = (beat, Throttler(requests_per_minute, period=60, retry_interval=POLL_S))

    async def complete(
        self, prompt: Prompt, *, held: Held | None = None, on_sent: Callable[[], None] | None = None
    ) -> Completion:
        """Return the provider's completion once the limits allow the request; `on_sent` is called when they do.

        An answered call's place is free when this returns or, if `held` is given, when that is released.

        Raises:
            NotSent: the study stopped before they did, or nobody wants the answer any more.
        """
        async with self._halt.cuts():
            await self._places.take()
        rest_s, is_held = 0.0, False
        try:
            async with self._halt.cuts():
                spent = await self._its_turn(prompt)
            self._halt.check()  # it may have begun in the moment in which the wait ended
            if not WANTED.get()():
                raise NotSent("the run is stopping; the question was not asked")
            if self._outage is not None:
                self._outage.check()
            if on_sent is not None:
                on_sent()
            rest_s, outcome = await self._send(prompt, spent)
            if held is not None and isinstance(outcome, Completion):
                held.keep(self._places.leave)
                is_held = True
            if isinstance(outcome, GivenUp) and outcome.witness is not None:  # it is still under way
                outcome.witness.add_done_callback(lambda _: self._places.leave())
                is_held = True
        finally:
            if not is_held:
                self._places.leave(rest_s=rest_s)
        if isinstance(outcome, TransientError):
            raise outcome
        return outcome

    async def _its_turn(self, prompt: Prompt) -> Spent | None:
        """Wait until the limits of the minute allow the request; return the tokens set aside for it."""
        if self._ready is not None:
            await self._ready()
        await self._turn.take()
        try:
            if self._pace is not None:
                await self._pace.turn()
            for throttle in self._throttles:
                await throttle.acquire()  # type: ignore[no-untyped-call]
            return None if self._tokens is None else await self._tokens.acquire(prompt)
        finally:
            self._turn.leave()

    async def _send(self, prompt: Prompt, spent: Spent | None) -> tuple[float, Completion | TransientError]:
        """Return what came, or the failure, and for how many seconds the place has to rest."""
        clock = asyncio.get_running_loop().time
        began, window, in_use = clock(), self._places.width.window, self._places.n_in_use
        epoch = 0 if self._in_time is None else self._in_time.epoch
        self._n_under_way += 1
        n_under_way = self._n_under_way
        self.load.n_sent += 1
        sent = None if self._pace is None else self._pace.sent()
        completion = None
        try:
            completion = await self._provider.complete(prompt)
        except RateLimited as error:
            rest_s = FIRST_WAIT_S if error.retry_after_s is None else min(error.retry_after_s, self._max_rest_s)
            if self._pace is not None and sent is not None:
                self._pace.refused(sent, rest_s=rest_s)
            seconds = clock() - began + rest_s
            self._places.width.count(window, in_use=in_use, seconds=seconds, is_refused=True)
            return rest_s, error
        except Unavailable as error:
            if self._in_time is None or not error.is_late:
                raise
            return self._in_time.late(n_under_way=n_under_way, epoch=epoch), error
        finally:
            self._n_under_way -= 1
            self.load.busy_s += clock() - began
            if self._tokens is not None and spent is not None:
                self._tokens.correct(spent, prompt, completion)
        if self._outage is not None:
            self._outage.answered(sent=began)
        self._places.width.count(window, in_use=in_use, seconds=clock() - began, is_refused=False)
        if self._in_time is not None:
            before = self._in_time.limit
            self._in_time.answered(n_under_way=n_under_way, seconds=clock() - began)
            if self._in_time.limit != before:
                self._places.width.begin_anew()
        self.load.tokens += (completion.usage.input_tokens or 0) + (completion.usage.output_tokens or 0)
        return 0.0, completion

    def drain(self) -> None:
        """Send nothing more: calls that still wait for the limits end in `NotSent`."""
        self._halt.begin()

    async def aclose(self) -> None:
        """Close the provider."""
        await self._provider.aclose()


class Retried(Holding):
    """Asks again after a `TransientError`, as long as the server wished or ever longer, and never after another error.

    A server that asks for more than `max_wait_s` seconds is not waited for.
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
    ) -> None:
        """`attempts` counts the first call, and none that failed in an outage or was refused while others were
        answered; `draw` gives the jitter, in [0, 1).

        `halt` ends all waiting.
        """
        from stamina.instrumentation import set_on_retry_hooks  # here, as commands that ask nobody need none of it

        set_on_retry_hooks(())  # stamina's own would write each retry to the terminal
        self._provider = provider
        self._attempts = attempts
        self._max_wait_s = max_wait_s
        self._outage = outage
        self._halt = halt or Halt()
        self._on_retry = on_retry
        self._draw = draw

    async def complete(self, prompt: Prompt, *, held: Held | None = None) -> Completion:
        """Return the provider's completion.

        Raises:
            TransientError: the last attempt's, or one whose wait would be too long.
            FatalProviderError: at once.
            NotSent: the study stopped while the call waited to be made, or made again.
        """
        import stamina

        n_failed = n_refused = 0
        refused_since: float | None = None
        clock = asyncio.get_running_loop().time
        PATIENT.set(0.0)

        def wait(error: Exception) -> float | bool:
            nonlocal n_failed, n_refused, refused_since
            if not isinstance(error, TransientError):
                return False
            if isinstance(error, GivenUp):  # none of the attempts: it was not waited for to the end
                PATIENT.set(error.times)
                if self._on_retry is not None:
                    self._on_retry(str(error), 0.0)
                return 0.0
            if isinstance(error, HeldBack):
                return 0.0
            if self._outage is not None and self._is_held_back(self._outage, error):
                return 0.0  # the outage says when
            if self._is_too_long(error):
                return False
            if isinstance(error, RateLimited) and self._outage is not None:  # it knows that others are answered
                n_refused += 1
                refused_since = clock() if refused_since is None else refused_since
                if n_refused >= self._attempts and clock() - refused_since > self._outage.max_s:
                    return False
            else:
                n_failed += 1
                if n_failed >= self._attempts:
                    return False
            wait_s = self._wait_s(n_failed + n_refused, asked_s=error.retry_after_s)
            if self._on_retry is not None:
                self._on_retry(str(error), wait_s)
            return wait_s

        try:
            attempts = aiter(stamina.retry_context(on=wait, attempts=None, timeout=None))
            while True:
                async with self._halt.cuts():
                    attempt = await anext(attempts)
                    if self._outage is not None:
                        await self._outage.turn()
                with attempt:
                    return await complete_held(self._provider, prompt, held)
        except TransientError as error:
            raise type(error)(str(error) + self._why_given_up(error), retry_after_s=error.retry_after_s) from None

    async def aclose(self) -> None:
        """Close the provider."""
        await self._provider.aclose()

    def _is_held_back(self, outage: Outage, error: TransientError) -> bool:
        """Count the failure, and return whether the account is in an outage now."""
        if outage.failed(error) and self._on_retry is not None:
            self._on_retry(f"nobody gets an answer; one call in {PROBE_S:.0f} s asks on: {error}", PROBE_S)
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
            return f" (refused for {self._outage.max_s / 60:.0f} min while others were answered; run again to go on)"
        return f" (given up after {self._attempts} attempts; run again to go on)"
