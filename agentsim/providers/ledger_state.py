"""What a ledger's lines say of a study's calls: what was paid, what may have been, and what models really bill.

A line is one of
    {"carried": USD, "n_calls": n}            calls made before there was a ledger
    {"sitting": prefix, "model": name}        whose calls the numbers are that begin with this prefix
    {"id": number, "at_most": USD}            a call is sent that can cost so much
    {"id": number, "cost": USD}               it was answered; `null`: what it cost is not known
    {"id": number, "unbilled": true}          it was refused, and is not billed
where USD is an amount of money or `null`, not known. An answer that was billed with more tokens than its call was
bounded to has `n_out`, `n_in` and `more` beside its cost: see `Billing`.
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
    """What a model bills beyond the bounds of its calls, as far as its answers have shown."""

    n_out: int = 0
    """The most output tokens of an answer that had more than its call allowed; 0: none had."""
    n_in: int = 0
    """The most input tokens of a call beyond all that its prompt can have."""
    n_within: int = 0
    """Answers since then, or since the beginning, that kept to what is known."""

    @property
    def is_beyond(self) -> bool:
        """Whether any answer was billed with more than its call was bounded to."""
        return bool(self.n_out or self.n_in)


@dataclass
class LedgerState:
    """What a ledger says of a study's calls."""

    n_answered: int = 0
    """Calls that were answered, whether their answer reached a log or was lost on its way there."""
    spent_usd: float = 0.0
    """What calls have cost; one of which that is not known counts with the most it can cost."""
    n_uncounted: int = 0
    """Answered calls of which the cost is not known."""
    uncounted_usd: float = 0.0
    """The most that these can cost, as far as that is known; a part of `spent_usd`."""
    n_unknown: int = 0
    """Calls of which not even the most they can cost is known."""
    open: dict[str, float | None] = field(default_factory=dict)
    """Calls that were sent and of whose answer nothing is known: by number, the most they can cost."""
    open_usd: float = 0.0
    """The sum of these."""
    billing: dict[str, Billing] = field(default_factory=dict)
    """What is known of each model, by its full name."""
    models: dict[str, str] = field(default_factory=dict)
    """The model of the calls whose numbers begin with a prefix."""

    def take(self, record: dict[str, Any]) -> None:
        """Add one line.

        Raises:
            ValueError, KeyError, TypeError, OverflowError: it is no line of a ledger.
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
        """Return the full name of the model that a call was sent to; `None` of calls of older ledgers."""
        return self.models.get(number.rpartition("-")[0])

    def close(self) -> None:
        """Count the calls of which nothing more will be heard."""
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
        """Note whether the answer kept to what is known; if not, the calls under way will not either."""
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
    state = parse_ledger(path, data)
    state.close()
    return state


def parse_ledger(path: Path, data: bytes) -> LedgerState:
    """Return what a ledger's bytes say; a last line without its end is passed over.

    Raises:
        LogError: a line is none of a ledger.
    """
    sound, _, _ = data.rpartition(b"\n")
    lines = sound.split(b"\n") if sound else []
    state = LedgerState()
    for number, record in enumerate(_records(lines), start=1):
        try:
            state.take(record if isinstance(record, dict) else _healed(record))
        except (ValueError, KeyError, TypeError, OverflowError):
            raise LogError(
                f"{path}:{number}: is no line of a ledger; restore the file, or begin a new study with --new, as what"
                " this one has cost is not known for sure"
            ) from None
    return state


def _records(lines: list[bytes]) -> Iterable[Any]:
    """Return the lines' JSON values, at once, as there may be millions; the lines where one of them is none."""
    try:
        values = json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        return lines
    return values if len(values) == len(lines) else lines


def _healed(line: object) -> dict[str, Any]:
    """Return the record of one line, or of its end where a torn line stands before it.

    What a failed write has left of a line, and the next one was glued to in older versions, tells nothing: the call
    was not sent, or it is still open and counts whole.

    Raises:
        ValueError: it holds none.
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
