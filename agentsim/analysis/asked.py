"""What a comparison is asked to do, checked, and how that differs from what was planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from agentsim.analysis.families import Look
from agentsim.analysis.measures.outcomes import TAKE_OFF
from agentsim.analysis.preregistration import Prereg
from agentsim.analysis.statistics import ALPHA
from agentsim.analysis.words import counted
from agentsim.errors import AgentsimError

__all__ = ["DESIGNS", "Asked", "Design"]

Design = Literal["unpaired", "paired", "within"]
DESIGNS: Final = ("unpaired", "paired")
"""Designs that a caller may choose; players that share societies are always tested within them."""


@dataclass(frozen=True)
class Asked:
    """What a comparison is asked to do; what is not stated is as planned, or else the default."""

    by: str
    design: Design | None
    take_off_at: float
    equivalence: float | None
    course: bool
    plan: Prereg | None
    has_lines: bool

    @classmethod
    def of(
        cls,
        by: str | None,
        design: Design | None,
        take_off_at: float | None,
        *,
        plan: Prereg | None,
        look: Look | None,
        equivalence: float | None,
        course: bool,
        bayes: bool = False,
    ) -> Asked:
        """Check what is stated.

        Raises:
            AgentsimError: it is not known, out of range, or does not go together.
        """
        if plan is not None:
            by, design = by or plan.by, design or plan.design
            take_off_at = plan.take_off if take_off_at is None else take_off_at
            equivalence = equivalence or plan.equivalence
        by, take_off_at = by or "model", TAKE_OFF if take_off_at is None else take_off_at
        has_lines = bool(plan or look or course or equivalence is not None)
        if design not in (None, *DESIGNS):
            raise AgentsimError(f"design {design!r}: is not known; take {' or '.join(DESIGNS)}")
        if not 0 < take_off_at <= 1:
            raise AgentsimError(
                f"take-off at {take_off_at:g}: state an efficiency above 0 and at most 1, as {TAKE_OFF:g}"
            )
        if design and by == "player":
            raise AgentsimError(
                f"design {design!r}: players are compared within the societies they share; leave it out"
            )
        if has_lines and by == "player":
            raise AgentsimError(
                "by 'player': plans, looks, equivalence and the course are for groups of runs; leave them out"
            )
        if bayes and (by == "player" or design == "paired"):
            what = "players that share societies" if by == "player" else "pairs of runs with the same seed"
            raise AgentsimError(f"bayes: there is no Bayesian estimate of {what}; compare groups of runs, unpaired")
        if equivalence is not None and not 1 < equivalence < np.inf:
            raise AgentsimError(f"equivalence {equivalence:g}: state a ratio above 1, such as 1.25")
        if plan is not None and look is not None and len(look.looks) != len(plan.looks):
            raise AgentsimError(
                f"look {look.place}/{len(look.looks)}: the plan has {counted(len(plan.looks), 'look')}; name one"
            )
        is_of_course = plan is not None and plan.measure != "final"
        return cls(by, design, take_off_at, equivalence, course or is_of_course, plan, has_lines)

    def deviations(self) -> list[str]:
        """Return where what is asked differs from the plan, as parts of a sentence."""
        assert self.plan is not None
        pairs = (
            ("by", self.plan.by, self.by),
            ("the design", self.plan.design, self.design),
            ("the take-off threshold", f"{self.plan.take_off:g}", f"{self.take_off_at:g}"),
        )
        return [f"{what} was planned as {was} and is {now}" for what, was, now in pairs if was != now]

    def notes(self, look: Look | None) -> list[str]:
        """Return what a reader has to know of looks and of equivalence."""
        notes = []
        if look is not None:
            notes.append(
                f"Look {look.place} of {len(look.looks)} ({look.spending}): p is compared with {look.level:.4g} here,"
                f" and intervals are of {1 - look.level:.2%}, so that all looks together err in {ALPHA:.0%}."
            )
        if self.plan is not None and self.plan.equivalence != self.equivalence:
            planned = "not planned" if self.plan.equivalence is None else f"planned within {self.plan.equivalence:g}"
            notes.append(f"Equivalence was {planned} and is tested within {self.equivalence:g}: exploratory.")
        if self.plan is not None:
            notes.append(f"Plan of {self.plan.time}, SHA-256 {self.plan.digest}.")
        return notes
