"""A worker's end of its broker: takes leases, reports outcomes; when a broker is lost, finds or becomes the next."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

from agentsim import errors
from agentsim.errors import AgentsimError, LogError
from agentsim.log.crew import WORKERS
from agentsim.orchestrator.engines.broker import Broker, try_lock
from agentsim.orchestrator.engines.journal import boot_id
from agentsim.orchestrator.engines.wire import Address, Line, Message, is_there, proof, read_address
from agentsim.providers.base import Call, Completion, Prompt
from agentsim.providers.bounds import bound_of
from agentsim.providers.limits.gate import Lease
from agentsim.providers.limits.token_pace import Spent, TokenPace
from agentsim.providers.prices import Price

__all__ = ["AccountGate", "Client"]

T = TypeVar("T")

RETRY_S: Final = 0.03
"""How soon a lost broker is looked for again."""
PING_S: Final = 10.0
SILENT_S: Final = 45.0
"""A broker that says nothing for so long is gone, though its connection has not broken."""


class _Wanted(NamedTuple):
    """A message that is repeated to each new broker until it is answered."""

    message: Message
    answer: asyncio.Future[None]


class Client:
    """Keeps a connection to whatever broker the study has; all state that a new broker needs is here."""

    def __init__(
        self,
        folder: Path,
        terms: Mapping[str, Any],
        *,
        on_note: Callable[[str], None],
        first_lock: int | None = None,
        address: Address | None = None,
        host: str | None = None,
    ) -> None:
        """Prepare to connect.

        Args:
            folder: the study's.
            terms: as for `Crew`.
            on_note: is told what the user should know.
            first_lock: the broker's lock, if this is the first worker and has it already.
            address: where the broker is, if it is not one of the workers.
            host: the address at which this worker serves if it hosts the broker, if not the usual one.
        """
        self.name = secrets.token_hex(4)
        self._folder = folder
        self._terms = terms
        self._on_note = on_note
        self._first_lock = first_lock
        self._address = address
        self._host = host
        self._hosted: _Hosted | None = None
        self._line: Line | None = None
        self._nonce = ""
        self._token = ""
        self._welcome = asyncio.Event()
        self._connected = asyncio.Event()
        self._disconnected = asyncio.Event()
        self._failure: AgentsimError | None = None
        self._numbers = itertools.count(1)
        self._wishes: dict[int, _Wanted] = {}
        self._leases: dict[int, tuple[str, float]] = {}
        self._bookings: dict[int, list[Any]] = {}
        self._settling: dict[int, _Wanted] = {}
        self._lost: list[str] = []
        """Numbers, in the ledger, of calls whose outcome stays unknown."""
        self._prefixes: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Connect to the broker, or become it.

        Raises:
            ScenarioError, LogError: the broker refuses this worker, or none can be begun.
        """
        self._staying = asyncio.create_task(self._stay())
        await self._connected.wait()
        if self._failure is not None:
            await self.aclose()
            raise self._failure
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Disconnect; a broker that is hosted here ends, and another worker becomes the next one."""
        self._staying.cancel()
        await asyncio.gather(self._staying, return_exceptions=True)
        if self._line is not None:
            self._line.finish()
        if self._hosted is not None:
            await self._hosted.aclose()

    def number_for(self, model: str, number: int) -> str:
        """Return a call's number in the ledger."""
        prefix = self._prefixes.setdefault(model, secrets.token_hex(4))
        return f"{prefix}-{number}"

    async def acquire(
        self, account: str, *, n_after: int, tokens: float, money: Callable[[int], list[Any]] | None
    ) -> int:
        """Wait for a lease, and return its number.

        `money` returns, for that number, what the ledger needs to know of the call.

        Raises:
            AgentsimError: there will be no lease.
        """
        number = next(self._numbers)
        booking = None if money is None else money(number)
        message = {"op": "acquire", "id": number, "account": account, "n_after": n_after, "tokens": tokens}
        wish = _Wanted({**message, "money": booking}, asyncio.get_running_loop().create_future())
        if self._failure is not None:
            raise self._failure
        self._wishes[number] = wish
        self._send(wish.message)
        try:
            await wish.answer
        except asyncio.CancelledError:
            if self._wishes.pop(number, None) is None:  # granted just before
                self._leases.pop(number, None)
                self._bookings.pop(number, None)
            self._send({"op": "cancel", "id": number})
            raise
        return number

    def correct(self, number: int, tokens: float) -> None:
        """State the tokens that a call has really taken."""
        if number in self._leases:
            self._leases[number] = (self._leases[number][0], tokens)
            self._send({"op": "tokens", "id": number, "tokens": tokens})

    def settle(self, number: int, outcome: str, *, usage: Mapping[str, Any] | None = None) -> asyncio.Future[None]:
        """State the outcome of a call that was paid for; the result is done when it is in the ledger."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if number not in self._bookings:
            answer.set_result(None)
            return answer
        if outcome == "lost":
            self._lost.append(self._bookings[number][0])
        self._settling[number] = _Wanted({"op": "settle", "id": number, "outcome": outcome, "usage": usage}, answer)
        self._send(self._settling[number].message)
        return answer

    def release(self, number: int) -> None:
        """Give a lease back."""
        if self._leases.pop(number, None) is not None:
            self._send({"op": "release", "id": number})

    async def settled(self) -> None:
        """Wait until the outcomes of all calls are in the ledger."""
        while self._settling and self._failure is None:
            await asyncio.wait([wanted.answer for wanted in self._settling.values()], timeout=1)

    def _send(self, message: Message) -> None:
        if self._line is not None:
            self._line.send(message)

    async def _stay(self) -> None:
        """Connect, and connect again whenever the connection is lost."""
        loop = asyncio.get_running_loop()
        while self._failure is None:
            try:
                address = await self._find()
            except AgentsimError as error:
                self._fail(error)
                return
            if address is not None:
                self._disconnected.clear()
                self._token = address.token
                self._welcome.clear()
                with suppress(OSError):
                    await loop.create_connection(self._new_line, address.host, address.port)
                    await self._first_of(self._welcome, self._disconnected)
                    if self._welcome.is_set():
                        self._connected.set()
                    while not self._disconnected.is_set():
                        with suppress(TimeoutError):
                            await asyncio.wait_for(self._disconnected.wait(), PING_S)
                        self._ping()
            await asyncio.sleep(RETRY_S)

    @staticmethod
    async def _first_of(*events: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _find(self) -> Address | None:
        """Return where the broker is; become it if there is none.

        Raises:
            LogError: locks do not hold here, or the broker cannot be begun.
            ScenarioError: what was spent is not known.
        """
        if self._hosted is None:
            lock, self._first_lock, is_first = self._first_lock, None, self._first_lock is not None
            if lock is None:
                lock = try_lock(self._folder)
            if lock is not None:
                try:
                    before = read_address(self._folder / WORKERS)
                    await self._check_gone(before)
                    if self._address is None:
                        self._hosted = await self._host_it(lock, before=before, is_first=is_first)
                finally:
                    if self._hosted is None:
                        os.close(lock)
        return self._address or read_address(self._folder / WORKERS)

    async def _host_it(self, lock: int, *, before: Address | None, is_first: bool) -> _Hosted:
        gone = frozenset() if before is None else frozenset({before.worker})
        hosted = _Hosted(Broker(self._folder, self._terms, lock=lock, name=self.name, is_first=is_first, gone=gone))
        await hosted.open(host=self._host)
        return hosted

    async def _check_gone(self, before: Address | None) -> None:
        """Check that a broker whose lock was free is gone.

        Raises:
            LogError: it answers from another machine, so locks do not hold between the two.
        """
        if before is not None and before.boot != boot_id() and await is_there(before):
            raise LogError(
                f"{self._folder}: locks that the machine {before.host} holds do not hold on this one, so one run could"
                " be written by two processes; use a folder where they hold, such as one on NFS or on Lustre mounted"
                " with flock, or workers on one machine"
            )

    def _new_line(self) -> Line:
        return Line(on_message=self._hear, on_lost=self._hear_no_more)

    def _ping(self) -> None:
        if self._line is None:
            return
        if self._line.last_heard < asyncio.get_running_loop().time() - SILENT_S:
            self._line.close()
        self._line.send({"op": "ping"})

    def _hear_no_more(self, line: Line) -> None:
        if line is self._line:
            self._line = None
        self._disconnected.set()

    def _hear(self, line: Line, message: Message) -> None:
        if not self._welcome.is_set():
            self._be_greeted(line, message)
            return
        match message["op"]:
            case "granted":
                self._take(int(message["id"]))
            case "denied":
                wish = self._wishes.pop(int(message["id"]), None)
                if wish is not None and not wish.answer.done():
                    wish.answer.set_exception(_error(message))
            case "settled":
                number = int(message["id"])
                self._bookings.pop(number, None)
                settled = self._settling.pop(number, None)
                if settled is not None and not settled.answer.done():
                    settled.answer.set_result(None)
            case "note":
                self._on_note(str(message["text"]))

    def _be_greeted(self, line: Line, message: Message) -> None:
        if "nonce" in message:
            self._nonce = secrets.token_hex(16)
            line.send(
                {
                    "name": self.name,
                    "nonce": self._nonce,
                    "proof": proof(self._token, nonce=str(message["nonce"]), of="worker"),
                    "terms": self._terms,
                    "leases": [[number, *lease] for number, lease in self._leases.items()],
                    "bookings": [[number, *booking] for number, booking in self._bookings.items()],
                    "prefixes": list(self._prefixes.values()),
                    "lost": self._lost,
                }
            )
            self._line = line  # whatever is sent from now on comes after what was just stated
            for wanted in (*self._wishes.values(), *self._settling.values()):
                line.send(wanted.message)
        elif message["op"] == "welcome" and message["proof"] == proof(self._token, nonce=self._nonce, of="broker"):
            self._welcome.set()
        elif message["op"] == "refused":
            self._fail(_error(message))
        else:
            raise ValueError("a stranger")

    def _take(self, number: int) -> None:
        wish = self._wishes.pop(number, None)
        if wish is None or wish.answer.done():
            return  # it was cancelled meanwhile, as the broker is told
        self._leases[number] = (wish.message["account"], wish.message["tokens"])
        if wish.message["money"] is not None:
            self._bookings[number] = wish.message["money"]
        wish.answer.set_result(None)

    def _fail(self, error: AgentsimError) -> None:
        """Give up: no lease will come any more."""
        self._failure = error
        for wanted in (*self._wishes.values(), *self._settling.values()):
            if not wanted.answer.done():
                wanted.answer.set_exception(error)
        self._wishes.clear()
        self._connected.set()
        self._disconnected.set()


class _Hosted:
    """A broker on a thread of this process, which answers even while a run keeps the main thread busy."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="agentsim-broker", daemon=True)
        self._thread.start()

    async def open(self, *, host: str | None) -> None:
        try:
            await self._there(self._broker.open(host=host))
        except BaseException:
            await self._end()
            raise

    async def aclose(self) -> None:
        try:
            await self._there(self._broker.aclose())
        finally:
            await self._end()

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()


class AccountGate:
    """Asks the broker for the leases of one account, or of one of its servers."""

    def __init__(
        self,
        client: Client,
        limits: str,
        *,
        account: str,
        tokens_per_minute: int | None,
        price: Callable[[str], Price | None] | None,
    ) -> None:
        """`limits` are named as in the crew's terms, `account` is the account's name.

        `price` returns a model's price, by its provider's name for it; `None` if no money is needed.
        """
        self._client = client
        self._limits = limits
        self._account = account
        self._pace = None if tokens_per_minute is None else TokenPace(tokens_per_minute)
        self._price = price

    async def acquire(self, prompt: Prompt, call: Call) -> Lease:
        """Wait for a lease.

        Raises:
            AgentsimError: there will be none.
        """
        tokens = 0.0 if self._pace is None else self._pace.estimate(prompt)
        money = None
        if self._price is not None:
            model, price, bound = f"{self._account}/{prompt.model}", self._price(prompt.model), bound_of(prompt)
            stated = None if price is None else price.model_dump(mode="json")

            def money(number: int) -> list[Any]:
                return [self._client.number_for(model, number), model, stated, list(bound)]

        number = await self._client.acquire(self._limits, n_after=call.n_after, tokens=tokens, money=money)
        return _Leased(self._client, number, prompt=prompt, pace=self._pace)


class _Leased:
    """The lease of one call."""

    def __init__(self, client: Client, number: int, *, prompt: Prompt, pace: TokenPace | None) -> None:
        self._client = client
        self._number = number
        self._prompt = prompt
        self._pace = pace

    async def answered(self, completion: Completion) -> None:
        self._count(completion)
        await self._client.settle(self._number, "answered", usage=completion.usage.model_dump())

    def unbilled(self) -> None:
        self._count(None)
        self._client.settle(self._number, "unbilled")

    def lost(self) -> None:
        self._count(None)
        self._client.settle(self._number, "lost")

    def release(self) -> None:
        self._client.release(self._number)

    def _count(self, completion: Completion | None) -> None:
        if self._pace is not None:
            spent = Spent(0.0, 0.0 if completion is None else self._pace.estimate(self._prompt))
            self._pace.correct(spent, self._prompt, completion)
            self._client.correct(self._number, spent.tokens)


def _error(message: Message) -> AgentsimError:
    """Return an error that the broker states, of the same kind."""
    kind = getattr(errors, str(message["kind"]), AgentsimError)
    return kind(str(message["why"])) if issubclass(kind, AgentsimError) else AgentsimError(str(message["why"]))
