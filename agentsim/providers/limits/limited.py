"""One account's limits: calls in flight, and requests and tokens per minute, shared by all societies that use it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from asyncio_throttle.throttler import Throttler

from agentsim.errors import NotSent, RateLimited, TransientError, Unavailable
from agentsim.providers.base import PLAIN, Call, Completion, Layer, Prompt, Provider
from agentsim.providers.limits.early_timeout import GivenUp
from agentsim.providers.limits.gate import Gate, Lease, asked_under
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.in_time import InTime
from agentsim.providers.limits.learned_pace import LearnedPace
from agentsim.providers.limits.outage import Outage
from agentsim.providers.limits.places import OnWidth, Places
from agentsim.providers.limits.token_pace import Spent, TokenPace

__all__ = ["Limited", "Load"]

REST_S: Final = 0.5
"""How long a place rests after a refusal if the server asks for no particular wait."""
POLL_S: Final = 0.005
AT_GATE: Final = 4
"""How many calls of one process wait at a gate; more than one, because each grant may wait for a disk."""


@dataclass
class Load:
    """What an account's calls have used in one sitting, from which the least time that they need follows."""

    n_sent: int = 0
    busy_s: float = 0.0
    """Seconds from sending to answer or failure, summed over all calls."""
    tokens: int = 0
    """Tokens of prompts and answers, as far as the servers reported them."""


class Limited(Layer):
    """Keeps one account's limits: calls in flight, and requests and tokens per minute.

    No more than `requests_per_minute` requests begin in any 60 s, spread over the minute; without that setting, the
    limit is learned (`LearnedPace`). Tokens are limited by `TokenPace`. `concurrency` is the most calls in flight;
    refusals lower the number for a time (see `places`, which also decides which call goes first). A cancelled call
    gives its place back.
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
        gate: Gate | None = None,
    ) -> None:
        """`halt` ends all waiting; `ready` is awaited before each call unless the study stops.

        `deadline_s` is the deadline that the provider sets for an answer; if given, few calls are under way at first
        (see `in_time`). `max_rest_s` bounds how long a place rests after a refusal. `on_width` is called whenever the
        number of places changes. A `gate` keeps the limits instead, over several processes; what is learned of the
        server is learned by each.
        """
        if any(limit is not None and limit < 1 for limit in (concurrency, requests_per_minute, tokens_per_minute)):
            raise ValueError("concurrency, requests_per_minute and tokens_per_minute must be at least 1")
        self.load = Load()
        super().__init__(provider)
        self._gate = gate
        self._tokens = None if tokens_per_minute is None or gate is not None else TokenPace(tokens_per_minute)
        self._outage = outage
        self._max_rest_s = max_rest_s
        self._halt = halt or Halt()
        self._ready = ready
        self._in_time = None if deadline_s is None else InTime(concurrency, deadline_s=deadline_s)
        self._n_under_way = 0
        self._places = Places(concurrency, on_width=on_width, in_time=self._in_time)
        self._pace = LearnedPace() if requests_per_minute is None else None
        # Each waiter of the throttles polls, so only one waits at them; at a gate few wait, so that the best goes next.
        self._turn = Places(1 if gate is None else AT_GATE)
        self._throttles: tuple[Throttler, ...] = ()
        if requests_per_minute is not None and gate is None:
            per_beat = math.ceil(requests_per_minute / 60)
            beat = Throttler(per_beat, period=60 * per_beat / requests_per_minute, retry_interval=POLL_S)
            self._throttles = (beat, Throttler(requests_per_minute, period=60, retry_interval=POLL_S))

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the provider's completion once the limits allow the request; `call.on_sent` is called when they do.

        The place is given back when this returns or, for an answered call with `call.held`, when that is released.

        Raises:
            NotSent: the study stopped first, or the answer is not wanted any more.
        """
        async with self._halt.cuts():
            await self._places.take(call.n_after)
        rest_s, is_held = 0.0, False
        lease: Lease | None = None

        def leave(*, rest_s: float = 0.0) -> None:
            if lease is not None:
                lease.release()
            self._places.leave(rest_s=rest_s)

        try:
            async with self._halt.cuts():
                if self._gate is None:
                    spent = await self._its_turn(prompt)
                else:
                    spent, lease = None, await self._leased(self._gate, prompt, call)
            try:
                self._halt.check()  # a stop may have begun just as the wait ended
                if not call.is_wanted():
                    raise NotSent("the run is stopping; the question was not asked")
                if self._outage is not None:
                    self._outage.check()
            except BaseException:
                if lease is not None:
                    lease.unbilled()
                raise
            if call.on_sent is not None:
                call.on_sent()
            rest_s, outcome = await self._send(prompt, call, spent, lease)
            if call.held is not None and isinstance(outcome, Completion):
                call.held.keep(leave)
                is_held = True
            if isinstance(outcome, GivenUp) and outcome.witness is not None:  # it is still under way
                outcome.witness.add_done_callback(lambda _: leave())
                is_held = True
        finally:
            if not is_held:
                leave(rest_s=rest_s)
        if isinstance(outcome, TransientError):
            raise outcome
        return outcome

    async def _its_turn(self, prompt: Prompt) -> Spent | None:
        """Wait until the limits per minute allow the request; return the tokens set aside for it."""
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

    async def _leased(self, gate: Gate, prompt: Prompt, call: Call) -> Lease:
        """Wait until the gate allows the request, and what is learned of the server, too."""
        if self._ready is not None:
            await self._ready()
        await self._turn.take(call.n_after)
        try:
            if self._pace is not None:
                await self._pace.turn()
            return await gate.acquire(prompt, call)
        finally:
            self._turn.leave()

    async def _send(
        self, prompt: Prompt, call: Call, spent: Spent | None, lease: Lease | None
    ) -> tuple[float, Completion | TransientError]:
        """Return for how many seconds the place must rest, and the completion or the failure."""
        clock = asyncio.get_running_loop().time
        began, window, in_use = clock(), self._places.width.window, self._places.n_in_use
        epoch = 0 if self._in_time is None else self._in_time.epoch
        self._n_under_way += 1
        n_under_way = self._n_under_way
        self.load.n_sent += 1
        sent = None if self._pace is None else self._pace.sent()
        completion = None
        try:
            if lease is None:
                completion = await self._provider.complete(prompt, call)
            else:
                completion = await asked_under(lease, self._provider, prompt, call)
        except RateLimited as error:
            rest_s = REST_S if error.retry_after_s is None else min(error.retry_after_s, self._max_rest_s)
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
        """Send nothing more: calls that still wait for the limits raise `NotSent`."""
        self._halt.begin()
