"""The broker: keeps a study's limits and its budget over all workers, by leases. At any time there is one.

A lease is one call's place among those in flight, its request and its tokens of the minute, and under a budget its
money. It ends when it is given back or with its worker, whose connection then breaks. Money is recorded in the study's
ledger, which the broker alone writes under a budget; a call whose worker died counts with its maximum.

The broker may be killed at any time: its lock is free then, and whoever takes it goes on from the ledger, from the
journal of the last minute, and from what each worker states when it comes back.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agentsim.errors import AgentsimError, LogError, LogLocked
from agentsim.log.crew import WORKERS, joint, take
from agentsim.log.file_system import mount_of
from agentsim.orchestrator.engines.journal import Journal, Past, boot_id
from agentsim.orchestrator.engines.shared_limits import SharedLimits
from agentsim.orchestrator.engines.wire import ADDRESS, Address, Line, Message, proof, write_address
from agentsim.orchestrator.study import open_ledger
from agentsim.providers.base import Usage
from agentsim.providers.bounds import Bound
from agentsim.providers.ledger import Booking, Ledger
from agentsim.providers.prices import Price

__all__ = ["Broker", "try_lock"]

LOCK: Final = "broker.lock"
"""Held by the process that hosts the broker."""
JOURNAL: Final = "leases.jsonl"
GRACE_S: Final = 3.0
"""For so long a new broker waits for the workers that held leases of the last one."""
CLOSING_S: Final = 1.0
"""The longest that connections may take to be closed at a broker's end."""
SILENT_S: Final = 60.0
"""A worker that says nothing for so long is gone, though its connection has not broken: its machine has failed."""


def try_lock(folder: Path) -> int | None:
    """Take the right to host the broker of a study; return the lock, or `None` if another process has it.

    Raises:
        LogError: there can be no lock.
    """
    try:
        return take(folder / WORKERS / LOCK)
    except OSError as error:
        raise LogError(f"{folder / WORKERS / LOCK}: cannot be locked ({error.strerror})") from error


@dataclass(eq=False)
class _Wish:
    """A call that waits for its lease."""

    worker: _Worker
    number: int
    account: str
    n_after: int
    tokens: float
    money: Booking | None


@dataclass(eq=False)
class _Worker:
    """A worker that is connected."""

    name: str
    line: Line
    leases: dict[int, Past] = field(default_factory=dict)
    bookings: dict[int, Booking] = field(default_factory=dict)
    """Calls whose outcome has not been reported."""


class Broker:
    """Grants leases to the workers that connect; see the module."""

    def __init__(
        self,
        folder: Path,
        terms: Mapping[str, Any],
        *,
        lock: int,
        name: str = "",
        is_first: bool = False,
        gone: frozenset[str] = frozenset(),
    ) -> None:
        """Prepare to serve.

        Args:
            folder: the study's.
            terms: the crew's.
            lock: what `try_lock` returned; `aclose` gives it back.
            name: that of the worker that hosts it.
            is_first: whether no other worker lives, so that nobody can hold a lease of an earlier broker.
            gone: names of workers that are known to have ended.
        """
        self._folder = folder
        self._terms = dict(terms)
        self._lock = lock
        self._name = name
        self._is_first = is_first
        self._gone = gone
        self._stack = ExitStack()
        self._limits: dict[str, SharedLimits] = {}
        self._workers: dict[Line, _Worker] = {}
        self._nonces: dict[Line, str] = {}
        self._wishes: list[_Wish] = []
        self._awaited: set[str] = set()
        self._token = secrets.token_hex(16)
        self._timer: asyncio.TimerHandle | None = None
        self._granting: set[asyncio.Task[None]] = set()
        self._failure: AgentsimError | None = None
        self._is_ending = False
        self._all_lost = asyncio.Event()
        """Set at the end, when no connection is open any more."""
        self._ledger: Ledger | None = None

    async def open(self, *, host: str | None = None) -> Address:
        """Begin to serve; return where.

        On a file system of this machine alone only this machine can connect; else all can that know the token. `host`
        is the address to serve at instead.

        Raises:
            LogError, ScenarioError: the ledger cannot be opened, or what was spent is not known.
        """
        loop = asyncio.get_running_loop()
        self._loop = loop
        budget = self._terms["budget"]
        try:
            if budget is not None:
                self._ledger = await self._open_ledger(budget)
            self._journal = Journal(self._folder / WORKERS / JOURNAL)
            self._restore()
            is_here = mount_of(self._folder).is_of_one_machine
            server = await loop.create_server(self._line, host or ("127.0.0.1" if is_here else "0.0.0.0"), 0)
            self._server = server
            port = server.sockets[0].getsockname()[1]
            address = Address(
                host or ("127.0.0.1" if is_here else socket.gethostname()),
                port,
                self._token,
                boot=boot_id(),
                worker=self._name,
                pid=os.getpid(),
            )
            write_address(self._folder / WORKERS, address)
        except OSError as error:
            self._stack.close()
            raise LogError(f"{self._folder / WORKERS}: no broker can be begun ({error.strerror})") from error
        except BaseException:
            self._stack.close()
            raise
        self._grace = loop.call_later(GRACE_S, self._wait_no_longer)
        self._watch = loop.call_later(SILENT_S / 4, self._look_for_silent)
        return address

    async def _open_ledger(self, budget: float) -> Ledger:
        until = self._loop.time() + GRACE_S
        while True:
            try:
                return self._stack.enter_context(open_ledger(self._folder, limit_usd=budget, on_note=self._tell_all))
            except LogLocked:  # a process that is being killed gives its locks back one after the other
                if self._loop.time() > until:
                    raise
            await asyncio.sleep(0.02)

    async def aclose(self) -> None:
        """Serve no more: break all connections, then let others host the broker."""
        for timer in (self._timer, self._grace, self._watch):
            if timer is not None:
                timer.cancel()
        self._server.close()
        self._is_ending = True
        for line in list(self._nonces) + list(self._workers):
            line.close()
        if self._nonces or self._workers:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_lost.wait(), CLOSING_S)
        for task in self._granting:
            task.cancel()
        await asyncio.gather(*self._granting, return_exceptions=True)
        try:
            self._stack.close()
        finally:
            self._journal.close()
            with suppress(OSError):
                (self._folder / WORKERS / ADDRESS).unlink()
            os.close(self._lock)

    # Connections

    def _line(self) -> Line:
        nonce = secrets.token_hex(16)
        line = Line(on_message=self._hear, on_lost=self._lost, first={"nonce": nonce})
        self._nonces[line] = nonce
        return line

    def _hear(self, line: Line, message: Message) -> None:
        worker = self._workers.get(line)
        if worker is None:
            self._greet(line, message)
            return
        match message["op"]:
            case "acquire":
                self._wishes.append(self._wish(worker, message))
                self._pump()
            case "cancel":
                self._cancel(worker, int(message["id"]))
            case "tokens":
                if past := worker.leases.get(int(message["id"])):
                    self._try(lambda: self._journal.corrected(past, float(message["tokens"])))
            case "release":
                self._release(worker, int(message["id"]))
            case "settle":
                self._settle(worker, message)
            case "ping":
                line.send({"op": "pong"})
            case _:
                raise ValueError("no message")

    def _greet(self, line: Line, message: Message) -> None:
        """Let a worker in that knows the token and has the same terms, with what it holds."""
        if "who" in message:
            line.send({"proof": proof(self._token, nonce=str(message["who"]), of="broker")})
            return
        nonce = self._nonces[line]
        if not hmac.compare_digest(str(message["proof"]), proof(self._token, nonce=nonce, of="worker")):
            raise ValueError("a stranger")
        try:
            self._terms = joint(self._terms, message["terms"])
        except AgentsimError as error:
            line.send({"op": "refused", "kind": type(error).__name__, "why": str(error)})
            return
        del self._nonces[line]
        worker = self._workers[line] = _Worker(str(message["name"]), line)
        for number, account, tokens in message["leases"]:
            self._take_up(worker, int(number), str(account), float(tokens))
        for number, *booking in message["bookings"]:
            call = _booking(booking)
            if self._ledger is not None and self._ledger.take_up(call):
                worker.bookings[int(number)] = call
        if self._ledger is not None:
            lost = set(message["lost"])
            for call in self._ledger.open_of(message["prefixes"]):
                if call.number not in lost:  # its grant never reached the worker, so it was not sent
                    self._ledger.unbilled(call)
        line.send({"op": "welcome", "proof": proof(self._token, nonce=str(message["nonce"]), of="broker")})
        self._awaited.discard(worker.name)
        self._drop_leases(of=worker.name)
        self._pump()

    def _lost(self, line: Line) -> None:
        self._nonces.pop(line, None)
        worker = self._workers.pop(line, None)
        if self._is_ending:  # a worker that goes on states its leases to the next broker
            if not self._nonces and not self._workers:
                self._all_lost.set()
            return
        if worker is None:
            return
        self._wishes = [wish for wish in self._wishes if wish.worker is not worker]
        for number in list(worker.leases):
            self._release(worker, number)
        if self._ledger is not None:
            for call in worker.bookings.values():
                self._ledger.lost(call)
        self._pump()

    def _look_for_silent(self) -> None:
        now = self._loop.time()
        for line in list(self._workers):
            if line.last_heard < now - SILENT_S:
                line.close()
        self._watch = self._loop.call_later(SILENT_S / 4, self._look_for_silent)

    def _tell_all(self, note: str) -> None:
        for line in self._workers:
            line.send({"op": "note", "text": note})

    # Leases

    def _restore(self) -> None:
        """Go on from an earlier broker's journal."""
        for name in {_worker_of(past) for past in self._journal.past.values() if past.is_out}:
            if self._is_first or name in self._gone:
                self._drop_leases(of=name)
            else:
                self._awaited.add(name)

    def _wait_no_longer(self) -> None:
        for name in self._awaited:
            self._drop_leases(of=name)
        self._awaited.clear()
        self._pump()

    def _drop_leases(self, *, of: str) -> None:
        """End the leases that a worker held of an earlier broker and has not stated again."""
        stated = {id(past) for worker in self._workers.values() for past in worker.leases.values()}
        for past in list(self._journal.past.values()):
            if past.is_out and _worker_of(past) == of and id(past) not in stated:
                self._end(past)

    def _take_up(self, worker: _Worker, number: int, account: str, tokens: float) -> None:
        """Count a lease that a worker states again."""
        known = self._journal.past.get(_name(worker, number))
        if known is not None and known.is_out:
            worker.leases[number] = known
            return
        limits = self._of(account)
        past = self._journal.granted(_name(worker, number), account, tokens)
        limits.take(past)
        worker.leases[number] = past

    def _of(self, account: str) -> SharedLimits:
        if account not in self._limits:
            limits = self._limits[account] = SharedLimits(self._terms["providers"][account])
            for past in sorted(self._journal.past.values(), key=lambda past: past.at):
                if past.account == account:
                    limits.restore(past)
        return self._limits[account]

    def _wish(self, worker: _Worker, message: Message) -> _Wish:
        money = message["money"]
        account = str(message["account"])
        if account not in self._terms["providers"]:
            raise ValueError("no such account")
        return _Wish(
            worker=worker,
            number=int(message["id"]),
            account=account,
            n_after=int(message["n_after"]),
            tokens=float(message["tokens"]),
            money=None if money is None else _booking(money),
        )

    def _pump(self) -> None:
        """Grant what may be granted now: of each account first the call that most calls must follow."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._failure is not None:
            for wish in self._wishes:
                _refuse(wish, self._failure)
            self._wishes.clear()
        if not self._wishes or self._awaited:
            return
        closed_s = self._journal.closed_until - self._loop.time()
        if closed_s > 0:
            self._timer = self._loop.call_later(closed_s, self._pump)
            return
        next_s = float("inf")
        full: set[str] = set()
        for wish in sorted(self._wishes, key=lambda wish: -wish.n_after):
            if wish.account in full:
                continue
            wait_s = self._of(wish.account).wait_s(wish.tokens)
            if wait_s > 0:
                full.add(wish.account)
                next_s = min(next_s, wait_s)
            else:
                self._try(lambda wish=wish: self._grant(wish), wish=wish)  # type: ignore[misc]
        if next_s < float("inf"):
            self._timer = self._loop.call_later(next_s, self._pump)

    def _grant(self, wish: _Wish) -> None:
        """Grant a lease, unless there is no money for it yet.

        Raises:
            AgentsimError: the call may not be sent at all, or nothing can be recorded.
        """
        booking = None
        if wish.money is not None and self._ledger is not None:
            assert self._ledger.limit_usd is not None
            number, model, price, bound = wish.money
            booking = self._ledger.offer(model, price, bound, number=number, limit_usd=self._ledger.limit_usd)
            if booking is None:
                return
            wish.worker.bookings[wish.number] = booking
        self._wishes.remove(wish)
        past = self._journal.granted(_name(wish.worker, wish.number), wish.account, wish.tokens)
        self._of(wish.account).take(past)
        wish.worker.leases[wish.number] = past
        if booking is None or self._ledger is None:
            wish.worker.line.send({"op": "granted", "id": wish.number})
            return
        task = self._loop.create_task(self._once_on_disk(wish, self._ledger))
        self._granting.add(task)
        task.add_done_callback(self._granting.discard)

    async def _once_on_disk(self, wish: _Wish, ledger: Ledger) -> None:
        try:
            await ledger.synced()
        except AgentsimError as error:
            self._fail(error)
            _refuse(wish, error)
            return
        wish.worker.line.send({"op": "granted", "id": wish.number})

    def _cancel(self, worker: _Worker, number: int) -> None:
        """Forget a wish; if it was granted meanwhile, the call was not sent."""
        self._wishes = [wish for wish in self._wishes if wish.worker is not worker or wish.number != number]
        booking = worker.bookings.pop(number, None)
        if booking is not None and self._ledger is not None:
            self._ledger.unbilled(booking)
        self._release(worker, number)

    def _release(self, worker: _Worker, number: int) -> None:
        past = worker.leases.pop(number, None)
        if past is not None:
            self._end(past)
            self._pump()

    def _end(self, past: Past) -> None:
        if past.account in self._terms["providers"]:
            self._of(past.account).give_back()
        self._try(lambda: self._journal.returned(past))

    def _settle(self, worker: _Worker, message: Message) -> None:
        number = int(message["id"])
        booking = worker.bookings.pop(number, None)
        if booking is not None and self._ledger is not None:
            match message["outcome"]:
                case "answered":
                    self._ledger.answered(booking, Usage(**message["usage"]))
                case "unbilled":
                    self._ledger.unbilled(booking)
                case _:
                    self._ledger.lost(booking)
        worker.line.send({"op": "settled", "id": number})
        self._pump()

    def _try(self, work: Callable[[], None], *, wish: _Wish | None = None) -> None:
        """Do something; whoever waits is told if it fails."""
        try:
            work()
        except AgentsimError as error:
            if isinstance(error, LogError):
                self._fail(error)
            if wish is not None:
                with suppress(ValueError):
                    self._wishes.remove(wish)
                _refuse(wish, error)

    def _fail(self, error: AgentsimError) -> None:
        """Grant nothing more: what is granted could not be recorded."""
        self._failure = self._failure or error
        self._loop.call_soon(self._pump)


def _refuse(wish: _Wish, error: AgentsimError) -> None:
    wish.worker.line.send({"op": "denied", "id": wish.number, "kind": type(error).__name__, "why": str(error)})


def _booking(parts: list[Any]) -> Booking:
    number, model, price, bound = parts
    return Booking(str(number), str(model), None if price is None else Price(**price), Bound(int(bound[0]), bound[1]))


def _name(worker: _Worker, number: int) -> str:
    return f"{worker.name}-{number}"


def _worker_of(past: Past) -> str:
    return past.lease.rpartition("-")[0]
