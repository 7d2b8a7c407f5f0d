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
from agentsim.providers.limits.server import Elsewhere, Server

__all__ = ["Pool"]

SAME: Final = 1.1
"""An asker's server is preferred if a call costs at most this many times as much there as anywhere else."""
MOST_ASKERS: Final = 10_000
"""How many askers' servers are remembered; servers remember far fewer prompts."""
MOST_TOLD: Final = 3
"""How often a server that is left out is reported: one that comes and goes would fill the screen."""

_Waiting = tuple[int, int, Call, "asyncio.Future[Server]"]


class Pool:
    """Completes prompts at several servers with the same models.

    A call that fails at one server is asked again at once, at another, but within the limits (`Elsewhere`); only if all
    fail, the call fails. A call that was given up early is repeated like any other.
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
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        """`providers` are the servers' adapters by address; at most `most` calls are under way at each of them.

        `max_rest_s` bounds how long a place rests after a refusal. `on_note` is told when a server is left out or taken
        back.
        """
        self._servers = [
            Server(address, provider, most=most, deadline_s=deadline_s) for address, provider in providers.items()
        ]
        self._name = name
        self._max_rest_s = max_rest_s
        self._halt = halt or Halt()
        self._on_note = on_note
        self._n_told: dict[str, int] = {}
        self._homes: dict[str, Server] = {}
        """The server that was last asked for each asker; the latest askers last."""
        self._waiting: list[_Waiting] = []
        """A heap of calls that wait for room, as in `Places`."""
        self._arrivals = itertools.count()

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return a server's completion of `prompt`.

        Raises:
            Elsewhere: the call failed, and there are servers at which it has not failed.
            TransientError: it failed at the last of them, or was given up early.
            FatalProviderError: as the server's adapter; the call is not sent elsewhere.
            NotSent: the study stopped before the call was sent.
        """
        server = await self._take(call)
        outcome = await self._ask(server, prompt, call)
        if isinstance(outcome, Completion):
            return outcome.model_copy(update={"server": server.address})
        failed = call.failed | {server.address}
        if isinstance(outcome, GivenUp) or not self._open_to(failed):
            raise outcome
        raise Elsewhere(outcome, failed=failed)

    async def aclose(self) -> None:
        """Close every adapter."""
        for server in self._servers:
            await server.provider.aclose()

    async def _take(self, call: Call) -> Server:
        """Take a place at a server where the call has not failed yet, and wait for one if all are taken."""
        if (server := self._choose(call)) is not None:
            return server
        turn: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-call.n_after, next(self._arrivals), call, turn))
        try:
            async with self._halt.cuts():
                return await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._leave(turn.result())
            raise

    def _open_to(self, failed: frozenset[str]) -> list[Server]:
        """Return the servers that a call may be sent to after it has failed at these; those due for a test first.

        Servers that are left out are among them only where nothing is better.
        """
        now = asyncio.get_running_loop().time()
        left = [server for server in self._servers if server.address not in failed]
        due = [s for s in left if s.is_out and not s.is_tested and s.has_room and now >= s.out_until]
        good = due + [server for server in left if not server.is_out]
        if not good and all(server.is_out for server in self._servers):
            return sorted(left, key=lambda server: server.out_until)[:1]
        return good

    def _choose(self, call: Call) -> Server | None:
        """Take a place at the best server that has room."""
        good = self._open_to(call.failed) or self._open_to(frozenset())
        free = [server for server in good if server.has_room]
        if not free:
            return None
        now = asyncio.get_running_loop().time()
        server = free[0] if free[0].is_out else self._best(free, call, now=now)
        server.is_tested = server.is_tested or server.is_out
        server.n_places += 1
        if call.asker is not None and not server.is_out:
            self._homes.pop(call.asker, None)
            self._homes[call.asker] = server
            if len(self._homes) > MOST_ASKERS:
                del self._homes[next(iter(self._homes))]
        return server

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
            return Unavailable(
                f"{server.address} was left out while the call waited for its limits", may_be_billed=False
            )
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
            *_, call, turn = waiting
            if turn.done():
                continue
            if (server := self._choose(call)) is not None:
                turn.set_result(server)
            else:
                kept.append(waiting)
        for waiting in kept:
            heapq.heappush(self._waiting, waiting)
