"""Lines of a comparison as one family: corrected for each other, for looks before the end, and held against a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pandas as pd

from agentsim.analysis.frames.study import Study
from agentsim.analysis.preregistration import AS_PLANNED, Prereg
from agentsim.analysis.spending import SPENDINGS, Spending, levels, looked_p
from agentsim.analysis.statistics import ALPHA, holm
from agentsim.analysis.words import listed
from agentsim.errors import AgentsimError
from agentsim.scenario.names import condition_of

__all__ = ["Look", "adjust", "adjust_as_planned", "look_of", "runs_at_look"]

Line = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """One of several looks at a study's results."""

    place: int
    """From 1."""
    looks: tuple[int, ...]
    """Runs of each group at each look, or 1 to N if they are equally spaced."""
    spending: Spending = "obrien-fleming"
    is_paired: bool = False

    def at(self, n_runs: int, *, is_paired: bool) -> Look:
        """Return the look with numbers of runs, if it has only shares: this one is at `n_runs` of a group."""
        sizes = tuple(max(1, round(n_runs * n / self.looks[self.place - 1])) for n in self.looks)
        is_of_runs = all(b > a for a, b in pairwise((0, *sizes)))
        return replace(self, looks=sizes if is_of_runs else self.looks, is_paired=is_paired)

    @property
    def is_last(self) -> bool:
        return self.place == len(self.looks)

    @property
    def level(self) -> float:
        """The p below which this look stops."""
        return levels(self.looks, spending=self.spending, is_paired=self.is_paired)[self.place - 1]

    def p(self, p: float) -> float:
        """Return a p with all looks allowed for."""
        return looked_p(p, look=self.place, looks=self.looks, spending=self.spending, is_paired=self.is_paired)


def look_of(text: str, spending: str = "obrien-fleming") -> Look:
    """Return the look that `2/3` names: the second of three equally spaced ones.

    Raises:
        AgentsimError: it names none.
    """
    if spending not in SPENDINGS:
        raise AgentsimError(f"spending {spending!r}: is not known; take {' or '.join(SPENDINGS)}")
    place, slash, number = text.partition("/")
    if not (slash and place.isdecimal() and number.isdecimal() and 1 <= int(place) <= int(number) <= 100):
        raise AgentsimError(f"look {text!r}: state which of how many, as 2/3")
    return Look(int(place), tuple(range(1, int(number) + 1)), spending)  # type: ignore[arg-type] # checked above


def adjust(lines: Sequence[Line], *, look: Look | None = None, n_absent: int = 0) -> None:
    """Add Holm's p and the verdict: "cannot say" if even a line's clearest possible outcome would not be significant.

    For that, Holm's correction is applied to the least possible p of the line and the actual p of the others. With a
    look, each p is first the one that allows for all looks. `n_absent`: planned lines of the family without a result,
    which count as p = 1.
    """
    absent = [1.0] * n_absent
    every = [float(line["p"]) for line in lines]
    least = [min(float(line["least_p"]), p) for line, p in zip(lines, every, strict=True)]
    if look is not None:
        every = [look.p(p) for p in every]
        least = [look.p(p) for p in least]
        for line, looked in zip(lines, every, strict=True):
            line["p_looked"] = looked
    heirs = [line for line in lines if line.get("p_heirs") is not None]
    for line in heirs:
        line.setdefault("p_heirs_raw", line["p_heirs"])
    raw = [float(line["p_heirs_raw"]) for line in heirs]
    others = [*raw, *absent]  # heirs are in the family, because either test says that players differ
    adjusted = holm([*every, *others])
    for line, p in zip(heirs, adjusted[len(lines) :], strict=False):
        line["p_heirs"] = p
    for place, (line, p) in enumerate(zip(lines, adjusted, strict=False)):
        line["p_holm"] = p
        clearest = holm([*every[:place], least[place], *every[place + 1 :], *others])[place]
        if line["design"] == "within" and line["n_first"] == 1:
            line["verdict"] = "cannot say: too few runs"  # runs are the replicates, and there is only one
        elif p < ALPHA:
            line["verdict"] = "differ"
        elif line.get("p_heirs") is not None and line["p_heirs"] < ALPHA:
            line["verdict"] = "differ in survival"
        elif look is not None and not look.is_last:
            line["verdict"] = f"not yet: {len(look.looks) - look.place} more to look at"
        else:
            line["verdict"] = "cannot say: too few runs" if clearest >= ALPHA else "no difference shown"


def runs_at_look(runs: pd.DataFrame, plan: Prereg, look: int) -> tuple[pd.DataFrame, list[str]]:
    """Return the runs without those of planned conditions whose seeds a look does not have, and notes on the latter."""
    is_planned = runs["condition"].isin(list(plan.conditions)).to_numpy(dtype=bool)
    now = runs["seed"].isin(sorted(plan.at_look(look))).to_numpy(dtype=bool)
    later = runs["seed"].isin(list(plan.seeds)).to_numpy(dtype=bool)
    notes = []
    for left_out, what in (
        (is_planned & ~later, "were not planned, so their runs are left out; compare without the plan has them"),
        (is_planned & later & ~now, "belong to a later look, so their runs are left out"),
    ):
        if left_out.any():
            notes.append(f"Seeds {listed([str(seed) for seed in sorted(set(runs['seed'][left_out]))])} {what}.")
    return runs[~is_planned | now], notes


def adjust_as_planned(
    lines: Sequence[Line],
    *,
    plan: Prereg,
    look: Look | None,
    study: Study,
    groups: Mapping[str, pd.DataFrame],
    stated: Sequence[str],
) -> None:
    """Adjust lines that were planned as one family, the others over all lines, and say of each which it is.

    Planned is a line of a planned contrast and of the planned outcome. It is *as planned* unless something deviates,
    which is then named. `stated`: deviations of the whole comparison.
    """
    adjust(lines, look=look)
    planned, seen = list[Line](), set[tuple[str, str]]()
    for line in lines:
        sides = [groups[line["first"]], groups[line["second"]]]
        conditions = [sorted({condition_of(run) for run in side["run"]}) for side in sides]
        contrast = plan.contrast_of(*conditions)
        reasons = list(stated)
        if contrast is None:
            reasons.append("not a planned contrast")
        if line["outcome"] != plan.measure:
            reasons.append(f"the planned measure is {plan.measure}, this is {line['outcome']}")
        if contrast is not None:
            at = len(plan.looks) if look is None else look.place
            reasons += plan.deviations(study, pd.concat(sides), contrast, look=at)
            if line["outcome"] == plan.measure:
                planned.append(line)
                seen.add((contrast.first, contrast.second))
        line["planned"] = f"exploratory: {'; '.join(reasons)}" if reasons else AS_PLANNED
    adjust(planned, look=look, n_absent=len(plan.contrasts) - len(seen))
