"""What a plan would find: its power with its looks, and how often it would show that equal groups are equivalent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from agentsim.analysis.equivalence import equivalences
from agentsim.analysis.power import N_RANDOM, Drawn, Floats, Pilot, drawn_from
from agentsim.analysis.preregistration import Prereg
from agentsim.analysis.spending import levels
from agentsim.analysis.statistics import ALPHA, simulated_p
from agentsim.errors import AgentsimError

__all__ = ["PlannedPower", "planned_power"]

N_STUDIES: Final = 4_000
N_STUDIES_EQUIVALENT: Final = 400
"""Fewer, because the tests of equivalence use all arrangements: the standard error is 2 % at 80 %."""


@dataclass(frozen=True, eq=False)
class PlannedPower:
    """What a plan finds of one contrast, if its effect is as large as stated; the other contrasts are not helped by it.

    With several contrasts, p must be below 5 % divided by their number, as Holm's first step demands.
    """

    effect: float
    """The ratio of geometric means."""
    looks: tuple[int, ...]
    """Runs of each group at each look."""
    levels: tuple[float, ...]
    """The p below which each look stops."""
    reached: tuple[float, ...]
    """The share of studies that have found the effect by each look; the last is the plan's power."""
    expected: float
    """Runs of each group on average."""
    equivalence: float | None
    """The margin, if the plan tests equivalence."""
    equivalent: float | None
    """The share of studies of equal groups that show equivalence at the last look; None if it is not planned."""
    n_contrasts: int


def planned_power(
    plan: Prereg, pilot: Pilot | float, *, effect: float, n_studies: int = N_STUDIES, seed: int = 0
) -> PlannedPower:
    """Simulate what a plan would find, with its numbers of runs, looks and tests; log scores as in `power`.

    Args:
        plan: what `prereg` or `read_prereg` returned; its measure must be `final`.
        pilot: the result of `pilot_of` in the plan's design, or the standard deviation of a run's log score (paired: of
            the difference of two).
        effect: the ratio of geometric means, above 0 and not 1.

    Raises:
        AgentsimError: the plan has another measure, the pilot another design, or a number is out of range.
    """
    if plan.measure != "final":
        raise AgentsimError(f"the plan's measure is {plan.measure}: power is simulated for final resources alone")
    if isinstance(pilot, Pilot) and pilot.design != plan.design:
        raise AgentsimError(f"the plan is {plan.design} and the pilot {pilot.design}: read the pilot in that design")
    drawn = drawn_from(pilot, effect=effect, design=plan.design, seed=seed)
    is_paired, alpha = plan.design == "paired", ALPHA / len(plan.contrasts)
    limits = levels(plan.looks, spending=plan.spending, alpha=alpha, is_paired=is_paired)
    first, second = drawn.scores(plan.looks[-1], n_studies)
    is_open, n_used = np.ones(n_studies, dtype=bool), np.full(n_studies, float(plan.looks[-1]))
    reached = []
    for n, limit in zip(plan.looks, limits, strict=True):
        p = simulated_p(first[:, :n], None if second is None else second[:, :n], n_arrangements=N_RANDOM)
        stops = is_open & (p < limit)
        n_used[stops], is_open = n, is_open & ~stops
        reached.append(float(1 - is_open.mean()))
    equivalent = None if plan.equivalence is None else _equivalent(drawn, plan, plan.equivalence, alpha)
    return PlannedPower(
        effect=effect,
        looks=plan.looks,
        levels=limits,
        reached=tuple(reached),
        expected=float(n_used.mean()),
        equivalence=plan.equivalence,
        equivalent=equivalent,
        n_contrasts=len(plan.contrasts),
    )


def _equivalent(drawn: Drawn, plan: Prereg, ratio: float, alpha: float) -> float:
    first, second = drawn.scores(plan.looks[-1], N_STUDIES_EQUIVALENT)
    first = first - drawn.shift  # of equal groups
    p: Floats = equivalences(first, second, margin=float(np.log(ratio)))[0]
    return float((p < alpha).mean())
