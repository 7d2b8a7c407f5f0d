"""The table of a study's estimated calls, tokens, money and time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.table import Table

from agentsim.cli.tables.cells import called, titled
from agentsim.experiments.plan import NOTHING, ConditionPlan, Range

__all__ = ["Total", "plan_table", "total"]


def plan_table(plans: Sequence[ConditionPlan]) -> Table:
    """One row for each condition, and the sum."""
    is_piloted = any(one.is_piloted for one in plans)
    source = "from the pilot's replies" if is_piloted else "without a pilot: from the length of the prompts"
    at_most = " (≤: at most; the moves decide)" if any(_is_at_most(one) for one in plans) else ""
    table = titled(
        "What it will take",
        caption=f"{source}; a run: questions in each run{at_most}; calls, tokens, US$ and time: the least (every first"
        " answer is readable) and the most (with repeated questions); time: under the account's limits, without"
        " retries; unpriced: state the price under providers",
    )
    for name in ("condition", "runs", "a run", "calls", "tokens in", "out", "US$", "time"):
        table.add_column(
            name, justify="left" if name == "condition" else "right", overflow="fold", no_wrap=name != "condition"
        )
    for one in plans:
        table.add_row(
            called(one.name),
            str(one.n_runs),
            f"{'≤ ' if _is_at_most(one) else ''}{one.n_questions // one.n_runs:,}",
            *(_span(interval) for interval in (one.calls, one.input_tokens, one.output_tokens)),
            "unpriced" if one.usd is None else _dollars(one.usd),
            f"{_time(one.wall_s.low)} to\n{_time(one.wall_s.high)}",
        )
    if len(plans) > 1:
        whole = total(plans)
        sums = (_span(interval) for interval in (whole.calls, whole.input_tokens, whole.output_tokens))
        money = _dollars(whole.usd) + (" + unpriced" if whole.n_unpriced else "")
        table.add_section()
        table.add_row("all", str(whole.n_runs), "", *sums, money, "")
    return table


class Total(NamedTuple):
    """What all conditions will take together."""

    n_runs: int
    n_questions: int
    calls: Range
    input_tokens: Range
    output_tokens: Range
    usd: Range
    """Of the conditions whose price is known."""
    n_unpriced: int
    """The number of conditions whose price is not known."""


def total(plans: Sequence[ConditionPlan]) -> Total:
    """Return the sums over all conditions; not of time, because they are played side by side."""
    return Total(
        n_runs=sum(one.n_runs for one in plans),
        n_questions=sum(one.n_questions for one in plans),
        calls=_sum(one.calls for one in plans),
        input_tokens=_sum(one.input_tokens for one in plans),
        output_tokens=_sum(one.output_tokens for one in plans),
        usd=_sum(one.usd for one in plans if one.usd is not None),
        n_unpriced=sum(one.usd is None for one in plans),
    )


def _is_at_most(plan: ConditionPlan) -> bool:
    """Return whether fewer questions may be asked, with every first answer readable."""
    return plan.n_least < plan.n_questions


def _sum(intervals: Iterable[Range]) -> Range:
    whole = NOTHING
    for interval in intervals:
        whole = whole.plus(interval)
    return whole


def _span(interval: Range) -> str:
    low, high = (_short(value) for value in interval)
    return low if low == high else f"{low} to\n{high}"


def _short(value: float) -> str:
    if value >= 1e5:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}"


def _dollars(interval: Range) -> str:
    low, high = (f"{value:,.2f}" for value in interval)
    return low if low == high else f"{low} to\n{high}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
