"""Several servers behind one account: a call goes to the one that should answer it first, and elsewhere if it fails.

A server that fails several calls in a row is left out; now and then one call tests whether it answers again. Refusals
and late answers lower the number of calls at that server alone.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from agentsim.errors import NotSent, RateLimited, TransientError, Unavailable
from agentsim.providers.base import PLAIN, Call, Completion, Prompt, Provider
from agentsim.providers.limits.early_timeout import GivenUp
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.limited import REST_S
from agentsim.providers.limits.server import Server

__all__ = ["Pool"]

SAME: Final = 1.1
"""An asker's server is preferred if a call costs at most this many times as much there as anywhere else."""
MOST_ASKERS: Final = 10_000
"""How many askers' servers are remembered; servers remember far fewer prompts."""
MOST_TOLD: Final = 3
"""How often a server that is left out is reported: one that comes and goes would fill the screen."""

_Waiting = tuple[int, int, frozenset[str], Call, "asyncio.Future[Server | None]"]


class Pool:
    """Completes prompts at several servers with the same models.

    A call that fails at one server is sent to another at once, to each at most once; only if all fail, the call fails.
    A call that was given up early is passed on to be repeated.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        name: str,
        most: int,
        deadline_s: float,
        max_rest_s: float,
        halt: Halt | None = None,
        on_retry: Callable[[str, float], None] | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        """`providers` are the servers' adapters by address; at most `most` calls are under way at each of them.

        `max_rest_s` bounds how long a place rests after a refusal. `on_retry` is told of each call that is sent
        elsewhere, `on_note` when a server is left out or taken back.
        """
        self._servers = [
            Server(address, provider, most=most, deadline_s=deadline_s) for address, provider in providers.items()
        ]
        self._name = name
        self._max_rest_s = max_rest_s
        self._halt = halt or Halt()
        self._on_retry = on_retry
        self._on_note = on_note
        self._n_told: dict[str, int] = {}
        self._homes: dict[str, Server] = {}
        """The server that was last asked for each asker; the latest askers last."""
        self._waiting: list[_Waiting] = []
        """A heap of calls that wait for room, as in `Places`, with the addresses where they have failed."""
        self._arrivals = itertools.count()

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return a server's completion of `prompt`.

        Raises:
            TransientError: every server failed, or the call was given up early.
            FatalProviderError: as the server's adapter; the call is not sent elsewhere.
            NotSent: the study stopped before the call was sent.
        """
        failures: dict[str, TransientError] = {}
        while True:
            server = await self._take(call, frozenset(failures))
            if server is None:
                raise min(failures.values(), key=lambda error: error.retry_after_s or 0.0)
            outcome = await self._ask(server, prompt, call)
            if isinstance(outcome, Completion):
                return outcome.model_copy(update={"server": server.address})
            failures[server.address] = outcome
            if isinstance(outcome, GivenUp) or self._halt.is_on or not call.is_wanted():
                raise outcome
            if len(failures) < len(self._servers) and self._on_retry is not None:
                self._on_retry(f"{outcome}; another server is asked", 0.0)

    async def aclose(self) -> None:
        """Close every adapter."""
        for server in self._servers:
            await server.provider.aclose()

    async def _take(self, call: Call, failed: frozenset[str]) -> Server | None:
        """Take a place at a server where the call has not failed yet, and wait for one if all are taken.

        `None`: there is no such server, or those that are left are out.
        """
        is_over, server = self._choose(call, failed)
        if server is None and not is_over:
            turn: asyncio.Future[Server | None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (-call.n_after, next(self._arrivals), failed, call, turn))
            try:
                async with self._halt.cuts():
                    return await turn
            except BaseException:
                if turn.done() and not turn.cancelled() and (given := turn.result()) is not None:
                    self._leave(given)
                raise
        return server

    def _choose(self, call: Call, failed: frozenset[str]) -> tuple[bool, Server | None]:
        """Return whether waiting is of no use, and the server at which a place was taken."""
        now = asyncio.get_running_loop().time()
        left = [server for server in self._servers if server.address not in failed]
        due = [s for s in left if s.is_out and not s.is_tested and s.has_room and now >= s.out_until]
        good = [server for server in left if not server.is_out]
        if not due and not good and all(server.is_out for server in self._servers):
            good = sorted(left, key=lambda server: server.out_until)[:1]  # there is nothing better than to ask
        if not due and not good:
            return True, None
        free = due[:1] or [server for server in good if server.has_room]
        if not free:
            return False, None
        server = due[0] if due else self._best(free, call, now=now)
        server.is_tested = server.is_tested or server.is_out
        server.n_places += 1
        if call.asker is not None and not server.is_out:
            self._homes.pop(call.asker, None)
            self._homes[call.asker] = server
            if len(self._homes) > MOST_ASKERS:
                del self._homes[next(iter(self._homes))]
        return False, server

    def _best(self, free: list[Server], call: Call, *, now: float) -> Server:
        cost_s = {server: server.cost_s(now) for server in free}
        best = min(free, key=lambda server: (cost_s[server], server.n_places))
        home = None if call.asker is None or call.times else self._homes.get(call.asker)
        return home if home in cost_s and cost_s[home] <= SAME * cost_s[best] else best

    async def _ask(self, server: Server, prompt: Prompt, call: Call) -> Completion | TransientError:
        """Ask one server at which a place was taken, and give the place back."""
        clock = asyncio.get_running_loop().time
        is_test = server.is_out
        server.n_under_way += 1
        server.sent = began = clock()
        n, window, in_use, epoch = server.n_under_way, server.width.window, server.n_places, server.in_time.epoch
        rest_s = 0.0
        failure: TransientError | None = None
        witness: asyncio.Future[Completion] | None = None

        def is_wanted() -> bool:
            return call.is_wanted() and (is_test or not server.is_out)

        try:
            completion = await server.provider.complete(
                prompt, replace(call, held=None, on_sent=None, is_wanted=is_wanted)
            )
        except NotSent:
            if self._halt.is_on or not call.is_wanted():
                raise
            return Unavailable(f"{server.address} was left out while the call waited for its limits")
        except GivenUp as error:
            witness, failure = error.witness, error
        except RateLimited as error:
            rest_s = min(self._max_rest_s, REST_S if error.retry_after_s is None else error.retry_after_s)
            server.width.count(window, in_use=in_use, seconds=clock() - began + rest_s, is_refused=True)
            failure = error
        except TransientError as error:
            if isinstance(error, Unavailable) and error.is_late:
                rest_s = server.in_time.late(n_under_way=n, epoch=epoch)
            failure = error
        else:
            self._learn(server, n=n, window=window, in_use=in_use, began=began)
        finally:
            if is_test:
                server.is_tested = False
            if failure is not None:
                self._count_failure(server, failure, is_test=is_test)
            if witness is not None:
                witness.add_done_callback(lambda _: self._end(server, rest_s=0.0))
            else:
                self._end(server, rest_s=rest_s)
        return completion if failure is None else failure

    def _learn(self, server: Server, *, n: int, window: object, in_use: int, began: float) -> None:
        seconds = asyncio.get_running_loop().time() - began
        server.speed.learn(n, seconds)
        server.width.count(window, in_use=in_use, seconds=seconds, is_refused=False)
        before = server.in_time.limit
        server.in_time.answered(n_under_way=n, seconds=seconds)
        if server.in_time.limit != before:
            server.width.begin_anew()
        if server.answered(sent=began) and self._n_told.get(server.address, 0) <= MOST_TOLD:
            self._tell(f"{self._name}: {server.address} answers again, and is asked again")

    def _count_failure(self, server: Server, error: TransientError, *, is_test: bool) -> None:
        loop = asyncio.get_running_loop()
        was_left_out = server.failed(loop.time(), error, is_test=is_test, most_s=self._max_rest_s)
        if was_left_out or is_test:
            loop.call_at(server.out_until, self._wake)
        if was_left_out:
            self._n_told[server.address] = self._n_told.get(server.address, 0) + 1
            if self._n_told[server.address] <= MOST_TOLD:
                self._tell(
                    f"{self._name}: {server.address} fails call after call and is left out until it answers again;"
                    f" the last failure: {error}"
                )

    def _tell(self, text: str) -> None:
        if self._on_note is not None:
            self._on_note(text)

    def _end(self, server: Server, *, rest_s: float) -> None:
        """Count a call as no longer under way, and give its place back, at once or after it has rested."""
        server.n_under_way -= 1
        if rest_s > 0:
            asyncio.get_running_loop().call_later(rest_s, self._leave, server)
        else:
            self._leave(server)

    def _leave(self, server: Server) -> None:
        server.n_places -= 1
        self._wake()

    def _wake(self) -> None:
        """Send waiting calls on, those with the longest chain behind them first."""
        kept = []
        while self._waiting and any(server.has_room for server in self._servers):
            waiting = heapq.heappop(self._waiting)
            *_, failed, call, turn = waiting
            if turn.done():
                continue
            is_over, server = self._choose(call, failed)
            if is_over or server is not None:
                turn.set_result(server)
            else:
                kept.append(waiting)
        for waiting in kept:
            heapq.heappush(self._waiting, waiting)
