"""The ledger of a study's paid calls, and the cap on what they may cost.

Every call is recorded before it is sent, with the most that it can cost, and again once its actual cost is known. So
spending is known even if the process is killed: a call whose outcome is unknown counts with its maximum. The ledger is
one file in the study's folder; it covers all runs and all sittings.

Servers may bill more than a call's bound, above all for hidden reasoning. After the first such answer, the amount
reserved for each call of that model is what its answers have really cost. To keep few calls under way when such an
answer comes, calls under a limit begin one at a time for each model; each answer within its reservation allows one
more.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import math
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from agentsim.disk.durable import Lines, open_plainly
from agentsim.errors import (
    BadRequest,
    BudgetReached,
    LogError,
    LogLocked,
    NotSent,
    NotWritten,
    ProviderError,
    ScenarioError,
    Unavailable,
)
from agentsim.providers.base import PLAIN, Call, Completion, Layer, Prompt, Provider, Usage
from agentsim.providers.bounds import Bound, bound_of
from agentsim.providers.ledger_state import LEDGER, Billing, LedgerState, parse_ledger, read_ledger
from agentsim.providers.prices import MILLION, Price, cost_usd

__all__ = ["LEDGER", "Booked", "Booking", "Ledger", "LedgerState", "most_usd", "read_ledger"]

OnBeyond = Callable[[str], None]
"""Called with a sentence when a model first bills more than its calls' bound."""


def most_usd(price: Price | None, prompt: Prompt) -> float | None:
    """Return the most that one call can cost in US dollars, if its server respects the limits that it is sent.

    `None` if that is unknown: the price is not known, or nothing bounds the answer.
    """
    return _most_usd(price, bound_of(prompt), Billing())


class Booking(NamedTuple):
    """One call that has been recorded."""

    number: str
    model: str
    """Account and model, such as `openai/gpt-4o`."""
    price: Price | None
    bound: Bound


class Ledger:
    """A study's ledger, open for writing.

    With a limit, only one process may open it; without one, processes that play other runs of the study may share it.
    """

    def __init__(self, folder: Path, *, limit_usd: float | None = None, on_beyond: OnBeyond | None = None) -> None:
        """`on_beyond` is told, once for each model, that it bills more than the bounds of its calls."""
        self.limit_usd = limit_usd
        self._on_beyond = on_beyond
        self._path = folder / LEDGER
        self._state = LedgerState()
        self._prefixes: dict[str, str] = {}
        """The prefix of the numbers of this sitting's calls, for each model."""
        self._n = 0
        self._under_way: dict[str, set[str]] = {}
        """The numbers of this sitting's calls under way, for each model."""
        self._turns: dict[str, asyncio.Lock] = {}
        """For each model, the lock under which calls wait for money or for earlier answers, in order of arrival."""
        self._changed = asyncio.Event()
        self._is_draining = False
        self._is_told = False
        """Whether an error has already reported that the ledger cannot be written."""

    def __enter__(self) -> Self:
        """Open the ledger.

        Raises:
            LogLocked: another process spends under a limit.
            LogError: it cannot be read or written.
            ScenarioError: there is a limit, but what has been spent before is not known.
        """
        try:
            file = open_plainly(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            try:
                self._open(file)
            except BaseException:
                os.close(file)
                raise
        except OSError as error:
            raise LogError(f"{self._path}: cannot be opened ({error.strerror})") from error
        self._lines = Lines(file, self._path, is_shared=self.limit_usd is None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the ledger.

        Raises:
            NotWritten: a line could not be written, and no later call was refused because of it.
        """
        is_broken = self._lines.is_broken
        self._lines.close()
        if is_broken and not self._is_told and error is None:
            self._lines.check()

    @property
    def is_new(self) -> bool:
        """Whether nothing is in the ledger yet."""
        return self._state == LedgerState()

    @property
    def spent_usd(self) -> float:
        """US dollars spent, including the maximum of every call whose outcome will stay unknown."""
        under_way_usd = sum(
            self._state.open[number] or 0.0 for numbers in self._under_way.values() for number in numbers
        )
        return self._state.spent_usd + self._state.open_usd - under_way_usd

    def carry(self, usd: float | None, *, n_calls: int) -> None:
        """Start with the calls that the study made before it had a ledger, and their cost in US dollars."""
        self._note({"carried": usd, "n_calls": n_calls})
        self._lines.sync()
        self._check_known()

    async def reserve(self, model: str, price: Price | None, bound: Bound) -> Booking:
        """Record a call that is about to be sent; when this returns, the record is on the disk.

        Under a limit, the call waits while calls under way may turn out cheaper than reserved, and while the model has
        more calls under way than its earlier answers allow.

        Raises:
            BudgetReached: the call could exceed the limit, and no call under way can free the money.
            NotSent: `drain` was called meanwhile.
            NotWritten: the ledger cannot be written.
        """
        if self.limit_usd is None:
            return self._send(model, price, bound)
        async with self._turns.setdefault(model, asyncio.Lock()):
            while not self._may_send(model, price, bound, limit_usd=self.limit_usd):
                self._changed.clear()
                await self._changed.wait()
            call = self._send(model, price, bound)
        try:
            await self._lines.synced()
            if self._is_draining:
                raise _not_sent()
        except NotWritten:
            self._is_told = True
            raise
        except BaseException:
            self.unbilled(call)
            raise
        return call

    def answered(self, call: Booking, usage: Usage) -> None:
        """Record that a call was answered, and its cost; if the cost is not known, its maximum counts.

        The line needs no sync: no later call is sent before it is on the disk. If it cannot be written, no later call
        is sent at all, but this answer may still be stored.
        """
        cost = None if call.price is None else cost_usd(call.price, usage)
        record: dict[str, Any] = {"id": call.number, "cost": cost}
        known = self._state.billing.get(call.model, Billing())
        is_first = not known.is_beyond
        if beyond := _beyond(call, usage, known):
            record |= beyond
        self._settle(call, record)
        if beyond and is_first and self._on_beyond is not None:
            self._on_beyond(_told(call, usage))

    def unbilled(self, call: Booking) -> None:
        """Record that a call was refused or never sent, and so is not billed."""
        self._settle(call, {"id": call.number, "unbilled": True})

    def lost(self, call: Booking) -> None:
        """Treat a call as one whose outcome will stay unknown: it may be billed, and counts with its maximum."""
        self._under_way[call.model].discard(call.number)
        self._changed.set()

    def drain(self) -> None:
        """Send nothing more: calls that still wait raise `NotSent`."""
        self._is_draining = True
        self._changed.set()

    def offer(self, model: str, price: Price | None, bound: Bound, *, number: str, limit_usd: float) -> Booking | None:
        """Record a call of another process if it may be sent now; `None` if it has to wait for an outcome.

        `number` is the caller's own: a prefix of its own for each model, `-`, and a count.

        Raises:
            BadRequest, BudgetReached, NotSent: the call may not be sent at all.
            NotWritten: the ledger cannot be written.
        """
        if not self._may_send(model, price, bound, limit_usd=limit_usd):
            return None
        prefix = number.rpartition("-")[0]
        if prefix not in self._state.models:
            self._note({"sitting": prefix, "model": model})
        return self._begin(Booking(number, model, price, bound))

    async def synced(self) -> None:
        """Wait until every call recorded so far is on the disk.

        Raises:
            NotWritten: the disk is failing.
        """
        await self._lines.synced()

    def take_up(self, call: Booking) -> bool:
        """Go on with a call that an earlier process recorded for its caller, who still has it under way.

        Return whether its outcome is still open.
        """
        if call.number not in self._state.open:
            return False
        self._under_way.setdefault(call.model, set()).add(call.number)
        return True

    def open_of(self, prefixes: Iterable[str]) -> list[Booking]:
        """Return the calls, of the callers that these prefixes belong to, whose outcome is open and not under way."""
        known = {prefix: self._state.models[prefix] for prefix in prefixes if prefix in self._state.models}
        return [
            Booking(number, known[prefix], None, Bound(0, None))
            for number in self._state.open
            if (prefix := number.rpartition("-")[0]) in known and number not in self._under_way.get(known[prefix], ())
        ]

    def _may_send(self, model: str, price: Price | None, bound: Bound, *, limit_usd: float) -> bool:
        """Whether a call may be sent now; if not, the outcome of a call under way can change that.

        Raises:
            BadRequest, BudgetReached, NotSent: the call may not be sent at all.
        """
        if self._is_draining:
            raise _not_sent()
        known = self._state.billing.get(model, Billing())
        usd = _most_usd(price, bound, known)
        if usd is None:  # the scenario was checked for this
            raise BadRequest("the most that a call can cost is not known, so no budget can be kept")
        if len(self._under_way.get(model, ())) > known.n_within:
            return False
        if self._state.spent_usd + self._state.open_usd + usd <= limit_usd:
            return True
        if not any(self._under_way.values()):
            why = ", because its answers are billed with more than max_tokens" if known.is_beyond else ""
            raise BudgetReached(
                f"the budget of {_shown(limit_usd)} is reached: ${self.spent_usd:,.4f} are spent and the next call of"
                f" {model} can cost ${usd:,.4f}{why}; run again with a higher --max-cost to continue"
            )
        return False

    def _send(self, model: str, price: Price | None, bound: Bound) -> Booking:
        if model not in self._prefixes:
            prefix = secrets.token_hex(3)
            self._note({"sitting": prefix, "model": model})
            self._prefixes[model] = prefix
        self._n += 1
        return self._begin(Booking(f"{self._prefixes[model]}-{self._n}", model, price, bound))

    def _begin(self, call: Booking) -> Booking:
        known = self._state.billing.get(call.model, Billing())
        self._note({"id": call.number, "at_most": _most_usd(call.price, call.bound, known)})
        self._under_way.setdefault(call.model, set()).add(call.number)
        return call

    def _settle(self, call: Booking, record: dict[str, Any]) -> None:
        self._under_way.get(call.model, set()).discard(call.number)
        is_told = self._is_told
        try:
            self._note(record)
        except NotWritten:  # the next call is refused because of it, or closing the ledger reports it
            self._is_told = is_told
        self._changed.set()

    def _open(self, file: int) -> None:
        is_alone = _has_lock(file, fcntl.LOCK_EX)
        if not is_alone and (self.limit_usd is not None or not _has_lock(file, fcntl.LOCK_SH)):
            raise LogLocked(
                f"{self._path}: another process makes paid calls in this study, and one of the two has a budget; wait"
                " for it; or stop it, and start both with --claim"
            )
        fcntl.lockf(file, fcntl.LOCK_EX)  # no other process is in the middle of a line
        try:
            data = b"".join(iter(lambda: os.read(file, 1 << 20), b""))
            sound = data.rfind(b"\n") + 1
            if sound < len(data):  # a crash cut the last line off: its call was not sent, or is still open
                os.ftruncate(file, sound)
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN)
        if is_alone and self.limit_usd is None:
            _has_lock(file, fcntl.LOCK_SH)
        self._state = parse_ledger(self._path, data)
        self._check_known()

    def _check_known(self) -> None:
        if self.limit_usd is not None and (self._state.n_unknown or None in self._state.open.values()):
            raise ScenarioError(
                f"{self._path.parent}: the cost of its calls is not known, so no budget can be kept in this study;"
                " remove the budget, or begin a new study with --new"
            )

    def _note(self, record: dict[str, Any]) -> None:
        """Count a line, then write it: if the write fails, no other call may rely on the money.

        Raises:
            NotWritten: the disk is full or failing.
        """
        self._state.take(record)
        try:
            self._lines.append(json.dumps(record).encode() + b"\n")
        except NotWritten:
            self._is_told = True
            raise


def _most_usd(price: Price | None, bound: Bound, known: Billing) -> float | None:
    if price is None or bound.n_out is None:
        return None
    dearest = price.dearest_input
    usd = (dearest * (bound.n_in + known.n_in) + price.output * max(bound.n_out, known.n_out)) / MILLION
    return usd if math.isfinite(usd) else None


def _beyond(call: Booking, usage: Usage, known: Billing) -> dict[str, Any]:
    """Return the extra fields of an answer billed with more tokens than its model was known to take; else none."""
    if call.price is None or call.bound.n_out is None:
        return {}
    n_out_known = max(call.bound.n_out, known.n_out)
    n_out, n_in = usage.output_tokens or 0, (usage.input_tokens or 0) - call.bound.n_in
    if n_out <= n_out_known and n_in <= known.n_in:
        return {}
    dearest = call.price.dearest_input
    more = dearest * max(0, n_in - known.n_in) + call.price.output * max(0, n_out - n_out_known)
    return {
        "n_out": n_out if n_out > n_out_known else known.n_out,
        "n_in": max(n_in, known.n_in),
        "more": more / MILLION,
    }


def _told(call: Booking, usage: Usage) -> str:
    return (
        f"{call.model} bills more than the bounds of its calls: {usage.input_tokens or 0:,} tokens of input and"
        f" {usage.output_tokens or 0:,} of output instead of at most {call.bound.n_in:,} and"
        f" {call.bound.n_out or 0:,}; from now on this much is reserved for each of its calls"
    )


def _shown(usd: float) -> str:
    """Return an amount in dollars and cents, or with all its digits if cents are not enough."""
    return f"${usd:,.2f}" if round(usd, 2) == usd else f"${usd:,.12g}"


def _not_sent() -> NotSent:
    return NotSent("the study is stopping; the question was not asked")


def _has_lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Booked(Layer):
    """Records every call before it is sent, and sends it only if the most it can cost is within the budget.

    It is inside the account's limits, so that money is reserved for calls that are sent now, not for those that wait.
    """

    def __init__(
        self, provider: Provider, ledger: Ledger, *, price: Callable[[str], Price | None], account: str = ""
    ) -> None:
        """`price` returns the price of a model, by the provider's name for it; `None` if it is not known."""
        super().__init__(provider)
        self._ledger = ledger
        self._price = price
        self._account = account

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the provider's completion.

        Raises:
            BudgetReached: the call could exceed the limit; it was not sent.
            NotWritten: the call could not be recorded; it was not sent.
        """
        model = f"{self._account}/{prompt.model}" if self._account else prompt.model
        booking = await self._ledger.reserve(model, self._price(prompt.model), bound_of(prompt))
        try:
            completion = await self._provider.complete(prompt, call)
        except ProviderError as error:
            if isinstance(error, Unavailable) and error.may_be_billed:
                self._ledger.lost(booking)
            else:
                self._ledger.unbilled(booking)
            raise
        except BaseException:  # cancelled after it was sent, so it may be billed
            self._ledger.lost(booking)
            raise
        self._ledger.answered(booking, completion.usage)
        return completion
