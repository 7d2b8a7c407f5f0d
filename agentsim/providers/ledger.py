"""The ledger of a study's paid calls, and the cap on what they may cost.

Every call is written down before it is sent, with the most it can cost, and again when it is known what it did cost. So
it is known what has been paid for whatever kills the process: a call of which nothing more is heard counts whole. The
ledger is one file in the study's folder, over all runs and all sittings.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import math
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from agentsim.errors import BadRequest, BudgetReached, LogError, LogLocked, ProviderError, ScenarioError, Unavailable
from agentsim.providers.base import Completion, Prompt, Provider, n_bytes
from agentsim.providers.prices import MILLION, Price, cost_usd

__all__ = ["LEDGER", "Booked", "Ledger", "LedgerState", "most_usd", "read_ledger"]

LEDGER: Final = "ledger.jsonl"
MESSAGE_TOKENS: Final = 64
"""Tokens that a message may take beyond its bytes (role, separators), and a request beyond its messages."""
SCHEMA_TOKENS: Final = 1000
"""Tokens that a server may add around the schema of an answer: its own words on how tools are used."""


def most_usd(price: Price | None, prompt: Prompt) -> float | None:
    """Return the most (US dollars) that one call can cost: a token a byte of its prompt, and `max_tokens` of answer.

    `None` where nobody knows: the price is not known, or nothing bounds the answer.
    """
    if price is None or prompt.sampling.max_tokens is None:
        return None
    n_in = n_bytes(prompt.messages) + MESSAGE_TOKENS * (len(prompt.messages) + 1)
    if prompt.answer_schema is not None:
        n_in += len(json.dumps(prompt.answer_schema)) + SCHEMA_TOKENS
    dearest = max(price.input, price.cached or 0.0)
    return (dearest * n_in + price.output * prompt.sampling.max_tokens) / MILLION


@dataclass
class LedgerState:
    """What a ledger says of a study's calls."""

    n_answered: int = 0
    """Calls that were answered, whether their answer reached a log or was lost on its way there."""
    spent_usd: float = 0.0
    """What all calls have cost; one of which that is not known counts with the most it can cost."""
    n_unknown: int = 0
    """Calls of which not even the most they can cost is known."""
    open: dict[str, float | None] = field(default_factory=dict)
    """Calls that were sent and of whose answer nothing is known: by number, the most they can cost."""

    def take(self, record: dict[str, Any]) -> None:
        """Add one line.

        Raises:
            ValueError, KeyError, TypeError: it is no line of a ledger.
        """
        if "carried" in record:
            self._count(_dollars(record["carried"]))
            self.n_answered += int(record["n_calls"])
        elif "at_most" in record:
            if record["id"] in self.open:
                raise ValueError("a call is sent once")
            self.open[str(record["id"])] = _dollars(record["at_most"])
        else:
            most = self.open.pop(record["id"])
            if "cost" in record:
                cost = _dollars(record["cost"])
                self._count(most if cost is None else cost)
                self.n_answered += 1
            elif record["unbilled"] is not True:
                raise ValueError("neither a cost nor unbilled")

    def lose(self, number: str) -> None:
        """Give up hope of hearing of a call: it counts whole."""
        self._count(self.open.pop(number))

    def close(self) -> None:
        """Count the calls of which nothing more will be heard."""
        for most in self.open.values():
            self._count(most)

    def _count(self, usd: float | None) -> None:
        self.spent_usd += usd or 0.0
        self.n_unknown += usd is None


def read_ledger(folder: Path) -> LedgerState | None:
    """Return what the ledger of a study says, every call on its way counted whole; `None` where there is none.

    Raises:
        LogError: it cannot be read.
    """
    path = folder / LEDGER
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from error
    state = _read(path, data)
    state.close()
    return state


class Ledger:
    """A study's ledger, open for writing.

    With a limit it is one process's alone; without one, processes that play other runs of the study may share it.
    """

    def __init__(self, folder: Path, *, limit_usd: float | None = None) -> None:
        self.limit_usd = limit_usd
        self._path = folder / LEDGER
        self._state = LedgerState()
        self._sitting = secrets.token_hex(3)
        self._n = 0
        self._file = -1
        self._settled = asyncio.Condition()

    def __enter__(self) -> Self:
        """Open the ledger.

        Raises:
            LogLocked: another process spends under a limit.
            LogError: it cannot be read or written.
            ScenarioError: there is a limit, and what has been spent before is not known.
        """
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                self._open()
            except BaseException:
                os.close(self._file)
                raise
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
        return os.fstat(self._file).st_size == 0

    @property
    def spent_usd(self) -> float:
        """What has been spent, with the most that each call of which it is not known can cost."""
        return self._state.spent_usd

    def carry(self, usd: float | None, *, n_calls: int) -> None:
        """Begin with the calls that the study has made before it had a ledger, and what they cost."""
        self._note({"carried": usd, "n_calls": n_calls})
        self._check_known()

    async def reserve(self, usd: float | None) -> str:
        """Write down one call that is sent now; waits where calls on their way may turn out cheaper than reserved.

        Returns:
            The call's number.

        Raises:
            BudgetReached: it could pass the limit, and no call on its way can free the money.
            LogError: the ledger cannot be written.
        """
        if self.limit_usd is None:
            return self._send(usd)
        if usd is None:  # the scenario was checked for this
            raise BadRequest("the most that a call can cost is not known, so that no budget can be kept")
        async with self._settled:
            while self._state.spent_usd + sum(filter(None, self._state.open.values())) + usd > self.limit_usd:
                if not self._state.open:
                    raise BudgetReached(
                        f"the budget of ${self.limit_usd:,.2f} is reached: ${self._state.spent_usd:,.4f} are spent and"
                        f" the next call can cost ${usd:,.4f}; run again with a higher --max-cost to go on"
                    )
                await self._settled.wait()
            return self._send(usd)

    async def answered(self, number: str, usd: float | None) -> None:
        """Write down that a call was answered, and what it cost; `None`: not known, the most it can cost counts."""
        await self._settle({"id": number, "cost": usd})

    async def unbilled(self, number: str) -> None:
        """Write down that a call was refused and is not billed."""
        await self._settle({"id": number, "unbilled": True})

    async def lost(self, number: str) -> None:
        """Give up hope of hearing of a call, which may be billed: it counts whole, as its open line says."""
        async with self._settled:
            self._state.lose(number)
            self._settled.notify_all()

    async def _settle(self, record: dict[str, Any]) -> None:
        async with self._settled:
            self._note(record)
            self._settled.notify_all()

    def _send(self, usd: float | None) -> str:
        self._n += 1
        number = f"{self._sitting}-{self._n}"
        self._note({"id": number, "at_most": usd})
        return number

    def _open(self) -> None:
        is_alone = _has_lock(self._file, fcntl.LOCK_EX)
        if not is_alone and (self.limit_usd is not None or not _has_lock(self._file, fcntl.LOCK_SH)):
            raise LogLocked(
                f"{self._path}: another process spends in this study, and one of the two under a budget; wait for it,"
                " or stop it"
            )
        data = b"".join(iter(lambda: os.read(self._file, 1 << 20), b""))
        if is_alone:
            sound = data.rfind(b"\n") + 1
            if sound < len(data):  # a crash in the middle of a line: its call was not sent, or is open
                os.ftruncate(self._file, sound)
            if self.limit_usd is None:
                _has_lock(self._file, fcntl.LOCK_SH)
        self._state = _read(self._path, data)
        self._state.close()
        self._state.open.clear()
        self._check_known()

    def _check_known(self) -> None:
        if self.limit_usd is not None and self._state.n_unknown:
            raise ScenarioError(
                f"{self._path.parent}: what its calls have cost is not known, so that no budget can be kept in this"
                " study; leave the budget away, or begin a new study with --new"
            )

    def _note(self, record: dict[str, Any]) -> None:
        """Count and write a line; counted first: should the write fail, no other call may rely on the money."""
        self._state.take(record)
        try:
            os.write(self._file, json.dumps(record).encode() + b"\n")
            if self.limit_usd is not None:  # without a limit, only a power failure could lose a line
                os.fdatasync(self._file)
        except OSError as error:
            raise LogError(f"{self._path}: cannot be written ({error.strerror}); nothing more is sent") from error


def _read(path: Path, data: bytes) -> LedgerState:
    sound, _, _ = data.rpartition(b"\n")
    lines = sound.split(b"\n") if sound else []
    state = LedgerState()
    for number, record in enumerate(_records(lines), start=1):
        try:
            state.take(record if isinstance(record, dict) else json.loads(record))
        except (ValueError, KeyError, TypeError):
            raise LogError(f"{path}:{number}: is no line of a ledger; restore the file") from None
    return state


def _records(lines: list[bytes]) -> Iterable[Any]:
    """Return the lines' JSON values, at once, as there may be millions; the lines where one of them is none."""
    try:
        values = json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        return lines
    return values if len(values) == len(lines) else lines


def _dollars(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("no amount of money")
    return float(value)


def _has_lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Booked:
    """Writes every call down before it is sent, and sends it only if its most expensive outcome is within the limit.

    Stands inside of the limits, so that money is reserved for calls that are sent now, not for those that wait.
    """

    def __init__(self, provider: Provider, ledger: Ledger, *, price: Callable[[str], Price | None]) -> None:
        """`price` gives the price of a model by its name as the provider knows it, `None` if nobody knows."""
        self._provider = provider
        self._ledger = ledger
        self._price = price

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the provider's completion.

        Raises:
            BudgetReached: the call could pass the limit; it was not sent.
        """
        price = self._price(prompt.model)
        number = await self._ledger.reserve(most_usd(price, prompt))
        try:
            completion = await self._provider.complete(prompt)
        except ProviderError as error:
            if isinstance(error, Unavailable) and error.may_be_billed:
                await self._ledger.lost(number)
            else:
                await self._ledger.unbilled(number)
            raise
        except BaseException:  # cancelled on its way: it may be billed
            await asyncio.shield(self._ledger.lost(number))
            raise
        await self._ledger.answered(number, None if price is None else cost_usd(price, completion.usage))
        return completion

    async def aclose(self) -> None:
        """Close the provider."""
        await self._provider.aclose()
