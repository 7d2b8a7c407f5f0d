"""One run in a few numbers, counted line by line as its log grows.

Lines of replies are long and are not parsed: what is counted stands at their beginning and at their end, where no
model's words are, since quotation marks inside of texts are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple

from agentsim.analysis.foreign import one_line
from agentsim.errors import AgentsimError
from agentsim.log.records import RunStarted, record_of
from agentsim.providers.base import Usage
from agentsim.providers.prices import Price, cost_usd
from agentsim.scenario.conditions import Condition
from agentsim.view.tail import Line

__all__ = ["REPLY", "Tally", "Trouble", "seconds_of"]

REPLY: Final = re.compile(
    rb'\{"type":"reply","key":"([^"\\]*)","attempt":([0-9]+)(?:,"player":(null|"(?:[^"\\]|\\.)*"))?,"prompt":'
)
ENDS: Final = re.compile(
    rb'"usage":(\{"input_tokens":[^{}]*\}),"latency_s":[0-9.eE+-]+,.*?"time":"([^"\\]*)"(?:,"chain":"[0-9a-f]*")?\}\s*$'
)
END_BYTES: Final = 1500
"""The end of a reply's line, from its usage on, is shorter than that."""
ASKED: Final = frozenset({"strategy_formed", "note_written", "talked", "moved", "probed"})
"""The facts, beside encounters, that answer a question."""


class Trouble(NamedTuple):
    """An answer that could not be read."""

    at: float
    """Seconds since the epoch."""
    key: str
    what: str
    is_lost: bool
    """Whether the question was given up, so that no decision could be read; else it was asked again."""


class Tally:
    """What is known of one run."""

    def __init__(self) -> None:
        self.started: RunStarted | None = None
        self.problem: str | None = None
        """Why the log cannot be read, in one sentence."""
        self.is_finished = False
        self.unread: tuple[str, ...] = ()
        """One sentence for each player none of whose decisions could be read."""
        self.generations = 0
        """How many there will be."""
        self.n_questions: int | None = None
        """How many will be asked if each first answer is readable; `None` if not known."""
        self.n_answered = 0
        self.n_replies = 0
        self.n_again = 0
        self.n_lost = 0
        """Questions to which no answer could be read."""
        self.tokens = 0
        self.usd: float | None = 0.0
        """`None` if a price or a number of tokens is not known."""
        self.last_reply: float | None = None
        """Seconds since the epoch."""
        self.means: list[float] = []
        """Mean final resources of each generation that has ended."""
        self.forming = 0
        """How many agents have joined in the generation now living."""
        self.round = 0
        """The last round of it in which something happened."""
        self.game = 0
        self._level_sum = 0.0
        self._n_levels = 0
        self._last_levels: float | None = None
        self._prices: dict[str | None, Price | None] = {}

    @property
    def generation(self) -> int:
        """The generation now living, or the last."""
        return min(len(self.means) + 1, max(self.generations, 1))

    @property
    def level(self) -> float | None:
        """How cooperative decisions are in the generation now living, or else were in the last, from 0 to 1."""
        return self._level_sum / self._n_levels if self._n_levels else self._last_levels

    def take(self, lines: Iterable[Line]) -> tuple[list[float], list[Trouble]]:
        """Count further lines; return the times of their replies (seconds since the epoch), and what went wrong."""
        times: list[float] = []
        troubles: list[Trouble] = []
        for line in lines:
            text = line.text
            try:
                if text.startswith(b'{"type":"reply"'):
                    self._take_reply(text, times, troubles)
                else:
                    self._take_fact(json.loads(text), troubles)
            except (ValueError, LookupError, TypeError, AttributeError):
                self.problem = self.problem or f"the line at byte {line.at:,} of its log cannot be read"
            except AgentsimError as error:
                self.problem = self.problem or one_line(error)
        return times, troubles

    def _take_reply(self, text: bytes, times: list[float], troubles: list[Trouble]) -> None:
        head, end = REPLY.match(text), ENDS.search(text, max(0, len(text) - END_BYTES))
        if head is None or end is None:
            record = json.loads(text)
            key, attempt, player = str(record["key"]), int(record["attempt"]), record.get("player")
            usage, time = record["completion"].get("usage", {}), str(record["time"])
        else:
            key, attempt = head[1].decode(), int(head[2])
            player = json.loads(head[3]) if head[3] else None
            usage, time = json.loads(end[1]), end[2].decode()
        at = seconds_of(time)
        times.append(at)
        self.last_reply = at
        self.n_replies += 1
        used = Usage.model_construct(**usage)
        self.tokens += (used.input_tokens or 0) + (used.output_tokens or 0)
        price = self._price(player)
        cost = None if price is None else cost_usd(price, used)
        self.usd = None if self.usd is None or cost is None else self.usd + cost
        if attempt > 1:
            self.n_again += 1
            troubles.append(Trouble(at, key, f"no answer could be read: asked again, attempt {attempt}", False))

    def _price(self, player: str | None) -> Price | None:
        if player not in self._prices:
            account = {} if self.started is None else self.started.account_of(player)
            price = account.get("price")
            self._prices[player] = None if price is None else Price.model_validate(price)
        return self._prices[player]

    def _take_fact(self, fact: dict[str, Any], troubles: list[Trouble]) -> None:
        kind = fact["type"]
        if kind == "run_started":
            self._start(fact)
            return
        if kind == "run_finished":
            self.is_finished = True
            self.unread = tuple(one_line(why) for why in fact.get("unread", ()))
            return
        if kind == "generation_ended":
            self.means.append(float(fact["mean_final_resources"]))
            self._last_levels = self.level
            self.forming = self.round = self.game = self._n_levels = 0
            self._level_sum = 0.0
            return
        is_encounter = "donor" in fact
        if not is_encounter and kind not in ASKED:
            return
        if kind == "strategy_formed":
            self.forming += 1
        self._count_levels(fact, kind, is_encounter=is_encounter)
        if not fact.get("attempts", 1):
            return
        self.n_answered += 1
        if fact.get("problem") is not None:
            self.n_lost += 1
            problem, n = one_line(fact["problem"]).replace("_", " "), fact.get("attempts", 1)
            what = f"{problem}: given up after {n} {'attempt' if n == 1 else 'attempts'}"
            troubles.append(Trouble(self.last_reply or 0.0, str(fact["key"]), what, True))

    def _count_levels(self, fact: dict[str, Any], kind: str, *, is_encounter: bool) -> None:
        if not is_encounter and kind != "moved":
            return
        self.round, self.game = max(self.round, fact["round"]), max(self.game, fact["game"])
        level = fact.get("level") if kind == "moved" else 0.0 if kind == "punished" else fact.get("fraction")
        if level is not None and fact.get("problem") is None:
            self._level_sum += level
            self._n_levels += 1

    def _start(self, fact: dict[str, Any]) -> None:
        record = record_of(fact, where="its log")
        if not isinstance(record, RunStarted):
            raise TypeError("not the first record of a run")
        self.started = record
        self.generations = int(record.condition.get("generations", 0))
        if record.probe is None:
            with suppress(AgentsimError, ValueError, LookupError, TypeError):  # rules of a plug-in that is not here
                self.n_questions = Condition.model_validate(record.condition).n_requests(record.seed)


def seconds_of(time: str) -> float:
    """Return a time in a log as seconds since the epoch; 0 if it is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
