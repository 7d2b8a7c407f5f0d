"""What was done to compare groups, as sentences and as a table: what a comparison really did, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd

from agentsim.analysis.bayes.estimates import sampler_said
from agentsim.analysis.bayes.models import PRIORS
from agentsim.analysis.compare import Comparison
from agentsim.analysis.preregistration import AS_PLANNED, MEASURES
from agentsim.analysis.statistics import ALPHA
from agentsim.analysis.words import counted, listed

__all__ = ["statistics_said", "tests_of"]

TESTED: Final = ("first", "second", "outcome", "n_first", "n_second", "test", "effect", "low", "high", "unit", "p")
DONE: Final = ("p_looked", "p_holm", "verdict", "p_equivalent", "equivalence", "planned", "problem")
DESIGNS_SAID: Final = {
    "unpaired": "all runs of one group against all of the other, two-sided",
    "paired": "differences between runs with the same seed, two-sided",
    "within": "players within the societies that they share, two-sided",
}


def tests_of(comparison: Comparison | None) -> pd.DataFrame:
    """Return a row for each line that was tested, with what was done to it; columns without any value are left out."""
    if comparison is None:
        return pd.DataFrame()
    lines = comparison.lines
    if lines.empty:
        lines = comparison.table.assign(outcome="final", unit="ratio").rename(columns={"ratio": "effect"})
    columns = [name for name in (*TESTED, *DONE) if name in lines and lines[name].notna().any()]
    return lines[columns].reset_index(drop=True)


def statistics_said(comparison: Comparison | None) -> Iterator[str]:
    """Yield what was done: design, outcome, test, correction, looks, equivalence, plan, Bayesian estimate."""
    if comparison is None:
        yield "No groups were compared."
        return
    tests = tests_of(comparison)
    kinds = "; ".join(sorted(set(tests["test"].dropna())))
    outcomes = [MEASURES[str(name)] for name in dict.fromkeys(tests["outcome"])]
    yield (
        f"The unit of analysis is the run. {counted(len(comparison.groups), 'group')} by {comparison.by} were compared"
        f" ({DESIGNS_SAID[comparison.design]}) by {'; '.join(outcomes)}. Tests: {kinds}."
    )
    yield from _corrected(comparison, tests)
    if comparison.look is not None:
        look = comparison.look
        yield (
            f"This is look {look.place} of {len(look.looks)}, at {listed([str(n) for n in look.looks])} runs of"
            f" a group; the {ALPHA:.0%} are spent over them ({look.spending}; Lan & DeMets 1983): before that"
            f" correction, a p of {look.level:.4g} at this look counts as {ALPHA:g}, and intervals are of"
            f" {1 - look.level:.2%}."
        )
    if "equivalence" in tests:
        asked = comparison.asked
        margin = f"{asked.equivalence:g}" if asked is not None and asked.equivalence else "a margin"
        pairs = counted(int(tests["equivalence"].notna().sum()), "pair")
        yield (
            f"Equivalence within a ratio of {margin} was tested by two one-sided tests over the same arrangements"
            f" (Schuirmann 1987), after Holm's correction over {pairs}."
        )
    yield f"Whether a run took off is whether its efficiency was {comparison.take_off:g} or more at its end."
    if not comparison.bayes.empty:
        n_refused = int(comparison.bayes["problem"].notna().sum())
        priors = "; ".join(f"{name}: {said}" for name, said in PRIORS.items())
        refused = f" {n_refused} of {len(comparison.bayes)} estimates were refused by that rule." if n_refused else ""
        yield f"Ratios were estimated with two hierarchical models of log scores ({priors}). {sampler_said()}{refused}"


def _corrected(comparison: Comparison, tests: pd.DataFrame) -> Iterator[str]:
    plan = None if comparison.asked is None else comparison.asked.plan
    has_intervals = tests["low"].notna().any() if "low" in tests else False
    interval = " Intervals are from inverting the same test, of the uncorrected p." if has_intervals else ""
    if plan is None:
        family = "There is one line, so p needs no correction"
        if len(tests) > 1:
            family = f"p is corrected over {counted(len(tests), 'line')} by Holm's method (1979)"
        yield f"{family}; groups are said to differ if it is then below {ALPHA:g}.{interval}"
        yield "Nothing was preregistered in this comparison."
        return
    is_planned = tests["planned"] == AS_PLANNED
    yield (
        f"A plan of {plan.time} (SHA-256 {plan.digest}) was written beforehand; {int(is_planned.sum())} of"
        f" {counted(len(tests), 'line')} as planned, all others exploratory."
        f" p is corrected by Holm's method (1979) over the {counted(len(plan.contrasts), 'planned contrast')}, and over"
        f" all lines for those that were not planned; groups are said to differ if it is then below {ALPHA:g}."
        f"{interval}"
    )
