"""A hard cap on what a study may cost: the most a call can cost is reserved before it is sent.

The ledger is one file in the study's folder, so that the cap holds over all runs and over all sittings, whatever kills
them: a reservation is on the disk before its call is sent, and counts whole until what the call really cost is there.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from agentsim.errors import BudgetReached, LogError, LogLocked, ProviderError, Unavailable
from agentsim.providers.base import Completion, Prompt, Provider, n_bytes
from agentsim.providers.prices import MILLION, Price, cost_usd

__all__ = ["LEDGER", "Budget", "Budgeted", "most_usd"]

LEDGER: Final = "budget.jsonl"
MESSAGE_TOKENS: Final = 64
"""Tokens that a message may take beyond its bytes (role, separators), and a request beyond its messages."""


def most_usd(price: Price, prompt: Prompt) -> float:
    """Return the most (US dollars) that one call can cost: a token a byte of its prompt, and `max_tokens` of answer.

    Raises:
        ValueError: the prompt has no `max_tokens`, so that nothing bounds its answer.
    """
    if prompt.sampling.max_tokens is None:
        raise ValueError("a call without max_tokens has no bound on its cost")
    n_in = n_bytes(prompt.messages) + MESSAGE_TOKENS * (len(prompt.messages) + 1)
    dearest = max(price.input, price.cached or 0.0)
    return (dearest * n_in + price.output * prompt.sampling.max_tokens) / MILLION


class Budget:
    """What a study may spend; a context that holds the ledger, for one process at a time."""

    def __init__(self, folder: Path, *, limit_usd: float) -> None:
        self.limit_usd = limit_usd
        self._path = folder / LEDGER
        self._reserved: dict[int, float] = {}
        """The reservations of calls that are on their way, by number."""
        self._spent = 0.0
        self._n = 0
        self._file = -1
        self._settled = asyncio.Condition()

    def __enter__(self) -> Self:
        """Open the ledger.

        Raises:
            LogLocked: another process spends under it.
            LogError: it cannot be read or written.
        """
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._file)
                raise LogLocked(
                    f"{self._path}: another process spends under this budget; wait for it, or stop it"
                ) from None
            self._read()
        except OSError as error:
            raise LogError(f"{self._path}: cannot be opened ({error.strerror})") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    @property
    def is_new(self) -> bool:
        """Whether nothing is in the ledger yet."""
        return self._n == 0 and self._spent == 0

    @property
    def spent_usd(self) -> float:
        """What has been spent, with the whole reservation of each call of which it is not known."""
        return self._spent

    def carry(self, usd: float) -> None:
        """Begin with what the study has cost before it had a ledger."""
        self._write({"carried": usd})
        self._spent += usd

    async def reserve(self, usd: float) -> int:
        """Set money aside for one call, durably; waits where calls on their way may turn out cheaper than reserved.

        Returns:
            The reservation's number.

        Raises:
            BudgetReached: it is not there, and no call on its way can free it.
            LogError: the ledger cannot be written.
        """
        async with self._settled:
            while self._spent + sum(self._reserved.values()) + usd > self.limit_usd:
                if not self._reserved:
                    raise BudgetReached(
                        f"the budget of ${self.limit_usd:,.2f} is reached: ${self._spent:,.4f} are spent and the next"
                        f" call can cost ${usd:,.4f}; run again with a higher --max-cost to go on"
                    )
                await self._settled.wait()
            self._n += 1
            number = self._n
            self._reserved[number] = usd  # before the write: should that fail, no other call may count on the money
            self._write({"id": number, "at_most": usd})
            return number

    async def settle(self, number: int, usd: float | None) -> None:
        """Say what the call cost; `None`: nobody knows, and the whole reservation counts."""
        async with self._settled:
            reserved = self._reserved.pop(number)
            self._spent += reserved if usd is None else usd
            if usd is not None:
                self._write({"id": number, "cost": usd})
            self._settled.notify_all()

    def _read(self) -> None:
        data = b"".join(iter(lambda: os.read(self._file, 1 << 20), b""))
        sound, _, torn = data.rpartition(b"\n")
        if torn:  # a crash in the middle of a line: its call was not sent, or counts as its reservation
            os.ftruncate(self._file, len(data) - len(torn))
        open_: dict[int, float] = {}
        for place, line in enumerate(sound.splitlines(), start=1):
            try:
                record: dict[str, Any] = json.loads(line)
                if "carried" in record:
                    self._spent += _dollars(record["carried"])
                elif "at_most" in record:
                    open_[int(record["id"])] = _dollars(record["at_most"])
                    self._n = max(self._n, int(record["id"]))
                else:
                    del open_[int(record["id"])]
                    self._spent += _dollars(record["cost"])
            except (ValueError, KeyError, TypeError):
                raise LogError(f"{self._path}:{place}: is no line of a ledger; restore the file") from None
        self._spent += sum(open_.values())

    def _write(self, record: dict[str, Any]) -> None:
        try:
            os.write(self._file, json.dumps(record).encode() + b"\n")
            os.fdatasync(self._file)
        except OSError as error:
            raise LogError(f"{self._path}: cannot be written ({error.strerror}); nothing more is sent") from error


def _dollars(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("no amount of money")
    return float(value)


class Budgeted:
    """Sends a call only if its most expensive outcome is within the budget.

    Stands inside of the limits, so that money is reserved for calls that are sent now, not for those that wait.
    """

    def __init__(self, provider: Provider, budget: Budget, *, price: Callable[[str], Price]) -> None:
        """`price` gives the price of a model by its name as the provider knows it."""
        self._provider = provider
        self._budget = budget
        self._price = price

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the provider's completion.

        Raises:
            BudgetReached: the call could pass the budget; it was not sent.
        """
        price = self._price(prompt.model)
        number = await self._budget.reserve(most_usd(price, prompt))
        try:
            completion = await self._provider.complete(prompt)
        except ProviderError as error:
            may_be_billed = isinstance(error, Unavailable) and error.may_be_billed
            await self._budget.settle(number, None if may_be_billed else 0.0)
            raise
        except BaseException:  # cancelled on its way: it may be billed
            await asyncio.shield(self._budget.settle(number, None))
            raise
        await self._budget.settle(number, cost_usd(price, completion.usage))
        return completion

    async def aclose(self) -> None:
        """Close the provider."""
        await self._provider.aclose()
