"""What a study will ask, take and cost, before the first call: each number as the interval it most likely lies in.

Without a pilot: the prompts of one scripted society of each condition are rendered and counted; a token is taken to be
3 to 5 bytes, an answer between a short sentence and `max_tokens`, and up to a quarter of the questions are asked again.
With a pilot of the same model: what its replies really took, by kind of question, scaled by the length of the prompts.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from agentsim.core.society import Society
from agentsim.core.types import Answer, StrategyView
from agentsim.prompts import PromptSet, load_prompt_set
from agentsim.providers.accounts import Accounts, ProviderSettings
from agentsim.providers.prices import MILLION, Price
from agentsim.scenario import Condition, ModelPlayer, Scenario, runs

if TYPE_CHECKING:
    from rich.table import Table

    from agentsim.analysis import Study

__all__ = ["ConditionPlan", "Interval", "plan", "plan_table"]

BYTES_A_TOKEN: Final = (3.0, 5.0)
"""Of English, with the tokenizers in use; the first makes more tokens."""
ASKED_AGAIN: Final = 0.25
"""Share of questions asked once more, at most, where no pilot says how many."""
SHORT_ANSWER: Final = {"decision": 15, "strategy": 60}
"""Tokens of a short answer."""
LONG_ANSWER: Final = 512
"""Tokens of a long answer where nothing bounds it."""
LATENCY_S: Final = (0.8, 4.0)
"""Seconds of a call, on average, where no pilot says."""
STRATEGY_WORDS: Final = 60
"""Of the strategies that stand in while prompts are counted."""
MARGIN: Final = 0.15
"""A pilot's means hold for another study to about this part at best."""


class Interval(NamedTuple):
    """What a number most likely lies between."""

    low: float
    high: float

    def times(self, low: float, high: float) -> Interval:
        """Return the product with another interval of positive numbers."""
        return Interval(self.low * low, self.high * high)

    def plus(self, other: Interval) -> Interval:
        """Return the sum."""
        return Interval(self.low + other.low, self.high + other.high)


NOTHING: Final = Interval(0, 0)


@dataclass(frozen=True)
class ConditionPlan:
    """What all runs of one condition will take together."""

    name: str
    model: str
    n_runs: int
    n_questions: int
    """If every answer is readable at once."""
    calls: Interval
    input_tokens: Interval
    output_tokens: Interval
    """Hidden reasoning included, as far as a pilot has seen it."""
    usd: Interval | None
    """None where the price is not known; of a scripted player 0."""
    wall_s: Interval
    """Under the account's limits, if it played alone: all its runs side by side."""
    is_piloted: bool


class _Kind(NamedTuple):
    """What the questions of one kind take; tokens of one reply."""

    n: int
    n_bytes: float
    """Of all their prompts."""


class _Piloted(NamedTuple):
    askings: float
    tokens_a_byte: float
    output: float


def plan(scenario: Scenario, *, pilot: Study | None = None) -> list[ConditionPlan]:
    """Return what each condition of the scenario will take.

    Args:
        scenario: what is to be played.
        pilot: a study, finished or not, with runs of the same models.

    Raises:
        ScenarioError: an account or a prompt set is wrong.
    """
    accounts = Accounts(scenario.providers, environ=os.environ)
    by_name: dict[str, list[Condition]] = {}
    for spec in runs(scenario):
        by_name.setdefault(spec.name.rpartition("--seed-")[0], []).append(spec.condition)
    return [_condition(name, own[0], len(own), accounts=accounts, pilot=pilot) for name, own in by_name.items()]


def _condition(
    name: str, condition: Condition, n_runs: int, *, accounts: Accounts, pilot: Study | None
) -> ConditionPlan:
    players = condition.players
    if not isinstance(players, ModelPlayer):
        return ConditionPlan(
            name=name,
            model=players.model,
            n_runs=n_runs,
            n_questions=n_runs * condition.n_requests,
            calls=NOTHING,
            input_tokens=NOTHING,
            output_tokens=NOTHING,
            usd=NOTHING,
            wall_s=NOTHING,
            is_piloted=False,
        )
    kinds = _prompt_sizes(condition, load_prompt_set(condition.prompts))
    piloted, latency = _from_pilot(pilot, players.model) if pilot is not None else ({}, None)
    calls = tokens_in = tokens_out = Interval(0, 0)
    longest = LONG_ANSWER if players.max_tokens is None else players.max_tokens
    for kind, size in kinds.items():
        if known := piloted.get(kind):
            around = Interval(1 - MARGIN, 1 + MARGIN)
            asked = around.times(size.n * known.askings, size.n * known.askings)
            asked = Interval(max(asked.low, size.n), asked.high)
            mean_in = around.times(*[known.tokens_a_byte * size.n_bytes / size.n] * 2)
            mean_out = around.times(known.output, known.output)
        else:
            asked = Interval(size.n, size.n * (1 + ASKED_AGAIN))
            mean_in = Interval(size.n_bytes / size.n / BYTES_A_TOKEN[1], size.n_bytes / size.n / BYTES_A_TOKEN[0])
            mean_out = Interval(min(SHORT_ANSWER[kind], longest), longest)
        asked = asked.times(n_runs, n_runs)
        calls = calls.plus(asked)
        tokens_in = tokens_in.plus(mean_in.times(*asked))
        tokens_out = tokens_out.plus(mean_out.times(*asked))
    price = accounts.price(players.model)
    return ConditionPlan(
        name=name,
        model=players.model,
        n_runs=n_runs,
        n_questions=n_runs * condition.n_requests,
        calls=calls,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        usd=None if price is None else _usd(price, tokens_in, tokens_out),
        wall_s=_wall(
            condition,
            calls,
            tokens_in.plus(tokens_out),
            latency or Interval(*LATENCY_S),
            accounts.settings(players.model),
        ),
        is_piloted=bool(piloted),
    )


def _usd(price: Price, tokens_in: Interval, tokens_out: Interval) -> Interval:
    cheapest = price.input if price.cached is None else min(price.cached, price.input)
    low = cheapest * tokens_in.low + price.output * tokens_out.low
    high = price.input * tokens_in.high + price.output * tokens_out.high
    return Interval(low / MILLION, high / MILLION)


def _wall(
    condition: Condition, calls: Interval, tokens: Interval, latency: Interval, settings: ProviderSettings
) -> Interval:
    """Return the larger of the longest chain of calls and what the limits let through; retries come on top."""
    depth = condition.generations * (1 + condition.game.rounds)
    chain = latency.times(depth, depth * 1.35)  # the longest chain is of slow calls
    through = calls.times(latency.low / settings.concurrency, latency.high / settings.concurrency)
    paced = Interval(0, 0)
    if settings.requests_per_minute is not None:
        paced = calls.times(60 / settings.requests_per_minute, 60 / settings.requests_per_minute)
    if settings.tokens_per_minute is not None:
        by_tokens = tokens.times(60 / settings.tokens_per_minute, 60 / settings.tokens_per_minute)
        paced = Interval(max(paced.low, by_tokens.low), max(paced.high, by_tokens.high))
    return Interval(max(chain.low, through.low, paced.low), max(chain.high, through.high, paced.high))


def _kind(key: str) -> str:
    return "strategy" if "/strategy/" in key else "decision"


def _prompt_sizes(condition: Condition, prompts: PromptSet) -> dict[str, _Kind]:
    """Count the prompts of one society that gives half, whose strategies are of ordinary length."""
    society = Society(condition, model=condition.players.model, seed=0)
    counts: dict[str, list[int]] = {}
    waiting = deque(society.start())
    words = " ".join(["reciprocate"] * STRATEGY_WORDS)
    while waiting:
        request = waiting.popleft()
        counts.setdefault(_kind(request.key), []).append(
            sum(len(message.content.encode()) for message in prompts.messages(request))
        )
        is_strategy = isinstance(request.view, StrategyView)
        answer = Answer(text=words) if is_strategy else Answer(act="give", amount=request.view.resources / 2)  # type: ignore[union-attr]
        waiting.extend(society.answer(request, answer).requests)
    return {kind: _Kind(len(sizes), float(sum(sizes))) for kind, sizes in counts.items()}


def _from_pilot(pilot: Study, model: str) -> tuple[dict[str, _Piloted], Interval | None]:
    """Return by kind of question what the pilot's replies of this model took; nothing where it has none."""
    keys = ["study", "run"]
    of_model = pilot.runs.loc[pilot.runs["model"] == model, keys]
    replies = pilot.replies.merge(of_model, on=keys)
    replies = replies.assign(kind=[_kind(str(key)) for key in replies["key"]])
    sizes = _pilot_sizes(pilot, of_model.itertuples(index=False, name=None))
    found = {}
    for kind, own in replies.groupby("kind"):
        n_bytes = sizes.get(str(kind))
        if n_bytes is None or own["input_tokens"].isna().all() or own["output_tokens"].isna().all():
            continue
        n_questions = len(own[[*keys, "key"]].drop_duplicates())
        found[str(kind)] = _Piloted(
            askings=len(own) / n_questions,
            tokens_a_byte=float(own["input_tokens"].mean()) / n_bytes,
            output=float(own["output_tokens"].mean()),
        )
    latency = float(replies["latency_s"].mean()) if len(replies) else None
    return found, None if latency is None else Interval(latency * (1 - MARGIN), latency * (1 + MARGIN))


def _pilot_sizes(pilot: Study, keys: Iterator[tuple[str, str]]) -> dict[str, float]:
    """Return the mean bytes of the pilot's prompts by kind, counted as those of the plan are."""
    for key in keys:
        if key in pilot.started:
            condition = Condition.model_validate(pilot.started[key].condition)
            sizes = _prompt_sizes(condition, load_prompt_set(condition.prompts))
            return {kind: size.n_bytes / size.n for kind, size in sizes.items()}
    return {}


def plan_table(plans: Sequence[ConditionPlan]) -> Table:
    """One row a condition, and the sum."""
    from agentsim.analysis.tables import plain, titled

    is_piloted = any(one.is_piloted for one in plans)
    source = "from the pilot's replies" if is_piloted else "without a pilot: from the length of the prompts"
    table = titled(
        "What it will take",
        caption=f"{source}; questions: if every answer is readable at once; calls: with askings again; time: under the"
        " account's limits, without retries; unpriced: state the price under providers",
    )
    for name in ("condition", "runs", "questions", "calls", "tokens in", "tokens out", "US$", "time"):
        table.add_column(name, justify="left" if name == "condition" else "right", overflow="fold")
    for one in plans:
        table.add_row(
            plain(one.name),
            str(one.n_runs),
            f"{one.n_questions:,}",
            *(_span(interval) for interval in (one.calls, one.input_tokens, one.output_tokens)),
            "unpriced" if one.usd is None else _dollars(one.usd),
            f"{_time(one.wall_s.low)} to {_time(one.wall_s.high)}",
        )
    if len(plans) > 1:
        priced = [one.usd for one in plans if one.usd is not None]
        sums = [_sum(getattr(one, name) for one in plans) for name in ("calls", "input_tokens", "output_tokens")]
        money = _dollars(_sum(priced)) + (" + unpriced" if len(priced) < len(plans) else "")
        n_runs, n_questions = sum(one.n_runs for one in plans), sum(one.n_questions for one in plans)
        table.add_section()
        table.add_row("all", str(n_runs), f"{n_questions:,}", *(_span(each) for each in sums), money, "")
    return table


def _sum(intervals: Iterable[Interval]) -> Interval:
    total = NOTHING
    for interval in intervals:
        total = total.plus(interval)
    return total


def _span(interval: Interval) -> str:
    low, high = (_short(value) for value in interval)
    return low if low == high else f"{low} to {high}"


def _short(value: float) -> str:
    if value >= 1e5:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}"


def _dollars(interval: Interval) -> str:
    low, high = (f"{value:,.2f}" for value in interval)
    return low if low == high else f"{low} to {high}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
