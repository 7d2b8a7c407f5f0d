"""The contents of a ledger: what a study's calls cost, what they may have cost, and what models really bill.

A line is one of
    {"carried": USD, "n_calls": n}            calls made before there was a ledger
    {"sitting": prefix, "model": name}        calls whose numbers begin with this prefix go to this model
    {"id": number, "at_most": USD}            a call is sent that can cost at most this
    {"id": number, "cost": USD}               it was answered; `null`: its cost is not known
    {"id": number, "unbilled": true}          it was refused, and is not billed
where USD is an amount in US dollars, or `null` if it is not known. An answer billed with more tokens than its call's
bound has `n_out`, `n_in` and `more` beside its cost: see `Billing`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agentsim.errors import LogError

__all__ = ["LEDGER", "Billing", "LedgerState", "parse_ledger", "read_ledger"]

LEDGER: Final = "ledger.jsonl"


@dataclass
class Billing:
    """What a model bills beyond the bounds of its calls, as its answers have shown."""

    n_out: int = 0
    """The most output tokens of any answer that exceeded its call's bound; 0 if none did."""
    n_in: int = 0
    """The most input tokens of any call beyond the bound of its prompt; 0 if none exceeded it."""
    n_within: int = 0
    """Answers within the known bounds since the last one that exceeded them, or since the beginning."""

    @property
    def is_beyond(self) -> bool:
        """Whether any answer was billed with more than its call's bound."""
        return bool(self.n_out or self.n_in)


@dataclass
class LedgerState:
    """The state of a study's calls, according to its ledger."""

    n_answered: int = 0
    """Calls that were answered, whether or not their answer reached a log."""
    spent_usd: float = 0.0
    """What calls have cost; a call whose cost is not known counts with its maximum."""
    n_uncounted: int = 0
    """Answered calls whose cost is not known."""
    uncounted_usd: float = 0.0
    """The sum of their maxima, as far as these are known; part of `spent_usd`."""
    n_unknown: int = 0
    """Calls whose maximum is not known either."""
    open: dict[str, float | None] = field(default_factory=dict)
    """Calls that were sent and whose outcome is not known: number -> the most the call can cost."""
    open_usd: float = 0.0
    """The sum of these."""
    billing: dict[str, Billing] = field(default_factory=dict)
    """Full name of a model -> what it bills beyond its calls' bounds."""
    models: dict[str, str] = field(default_factory=dict)
    """Prefix of the numbers of calls -> the model that they go to."""

    def take(self, record: dict[str, Any]) -> None:
        """Add one line.

        Raises:
            ValueError, KeyError, TypeError, OverflowError: it is not a line of a ledger.
        """
        if "carried" in record:
            self._count(_dollars(record["carried"]))
            self.n_answered += int(record["n_calls"])
        elif "sitting" in record:
            self.models[str(record["sitting"])] = str(record["model"])
        elif "at_most" in record:
            if record["id"] in self.open:
                raise ValueError("a call is sent once")
            self._open(str(record["id"]), _dollars(record["at_most"]))
        elif "cost" in record:
            cost = _dollars(record["cost"])
            self._answer(record["id"], cost, most=self._close(record["id"]))
            self._learn(record)
        elif record["unbilled"] is True:
            self._close(record["id"])
        else:
            raise ValueError("neither a cost nor unbilled")

    def model_of(self, number: str) -> str | None:
        """Return the full name of the model that a call was sent to; `None` for calls of older ledgers."""
        return self.models.get(number.rpartition("-")[0])

    def close(self) -> None:
        """Count the calls whose outcome will stay unknown, with their maximum."""
        for most in self.open.values():
            self._count(most)

    def _open(self, number: str, most: float | None) -> None:
        self.open[number] = most
        self.open_usd += most or 0.0

    def _close(self, number: str) -> float | None:
        most = self.open.pop(number)
        self.open_usd = self.open_usd - (most or 0.0) if self.open else 0.0
        return most

    def _answer(self, number: str, cost: float | None, *, most: float | None) -> None:
        self.n_answered += 1
        self._count(most if cost is None else cost)
        if cost is None:
            self.n_uncounted += 1
            self.uncounted_usd += most or 0.0

    def _learn(self, record: dict[str, Any]) -> None:
        """Record whether an answer was within the known bounds; if not, calls under way may exceed them too."""
        model = self.model_of(record["id"])
        if model is None:
            return
        known = self.billing.setdefault(model, Billing())
        if "more" not in record:
            known.n_within += 1
            return
        known.n_out, known.n_in, known.n_within = int(record["n_out"]), int(record["n_in"]), 0
        more = _dollars(record["more"]) or 0.0
        for number, most in list(self.open.items()):
            if most is not None and self.model_of(number) == model:
                self._open(number, most + more)
                self.open_usd -= most

    def _count(self, usd: float | None) -> None:
        self.spent_usd += usd or 0.0
        self.n_unknown += usd is None


def read_ledger(folder: Path) -> LedgerState | None:
    """Return the state of a study's ledger, with open calls counted at their maximum; `None` if there is no ledger.

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
    state = parse_ledger(path, data)
    state.close()
    return state


def parse_ledger(path: Path, data: bytes) -> LedgerState:
    """Return the state that a ledger's bytes describe; an incomplete last line is ignored.

    Raises:
        LogError: a line is not one of a ledger.
    """
    sound, _, _ = data.rpartition(b"\n")
    lines = sound.split(b"\n") if sound else []
    state = LedgerState()
    for number, record in enumerate(_records(lines), start=1):
        try:
            state.take(record if isinstance(record, dict) else _healed(record))
        except (ValueError, KeyError, TypeError, OverflowError):
            raise LogError(
                f"{path}:{number}: is not a line of a ledger; restore the file, or begin a new study with --new,"
                " because the cost of this one is not known for sure"
            ) from None
    return state


def _records(lines: list[bytes]) -> Iterable[Any]:
    """Return the lines' JSON values, parsed together as there may be millions; if that fails, the lines themselves."""
    try:
        values = json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        return lines
    return values if len(values) == len(lines) else lines


def _healed(line: object) -> dict[str, Any]:
    """Return the record in one line, or in the end of the line if a torn line precedes it.

    In older versions, a failed write could leave part of a line, to which the next line was appended. That part says
    nothing: its call was not sent, or it is still open and counts with its maximum.

    Raises:
        ValueError: the line holds no record.
    """
    if not isinstance(line, bytes):
        raise ValueError("no record")
    start = 0
    while True:
        try:
            record = json.loads(line[start:])
        except ValueError:
            start = line.find(b'{"', start + 1)
            if start < 0 or not line.startswith((b'{"id"', b'{"sitting"')):
                raise
            continue
        if not isinstance(record, dict):
            raise ValueError("no record")
        return record


def _dollars(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("no amount of money")
    return float(value)
