"""The comparison as the page shows it: pairs and groups as tables, each column explained, and what the notes say."""

from __future__ import annotations

from typing import Final, NamedTuple

import pandas as pd

from agentsim.analysis.compare import ALPHA, Comparison, compare
from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.study import Study
from agentsim.analysis.labels import beginning, labels_of
from agentsim.analysis.pairs import turned
from agentsim.analysis.preregistration import Prereg
from agentsim.errors import AgentsimError, LogError
from agentsim.report.tables import Table, from_frame, number

__all__ = ["Compared", "compared", "tables_of", "without"]


def compared(study: Study, plan: Prereg | None) -> tuple[Comparison | None, str]:
    """Compare by what was planned, or by the first of model, condition and study that works; else say why not.

    Neither is there if all runs are of one kind.
    """
    complete = study.runs[study.runs["status"] == "complete"]
    if plan is not None:
        try:
            return compare(study, plan=plan), ""
        except LogError as error:
            return None, one_line(error, max_chars=600)
    differing = [column for column in ("model", "condition", "study") if complete[column].nunique() > 1]
    problems = []
    for by in differing:
        try:
            return compare(study, by=by), ""
        except AgentsimError as error:
            problems.append(one_line(error, max_chars=600))
    return None, problems[0] if problems else ""


class Compared(NamedTuple):
    tables: list[Table]
    """Pairs first: they are what is compared."""
    folded: list[tuple[str, Table]]
    """Further tables, each with what it is called."""
    problem: str
    beginning: str
    """What all groups' names begin with, which the tables leave out."""
    notes: tuple[str, ...] = ()
    plan: str = ""
    """What it is held against; empty for nothing."""


def without(problem: str) -> Compared:
    """Return what is shown where there is no comparison, and why; an empty problem if nothing could be compared."""
    return Compared([], [], problem, "")


def tables_of(comparison: Comparison, plan: Prereg | None) -> Compared:
    names = labels_of(comparison.groups["group"])
    took_off = f"took off: ended at an efficiency of {number(comparison.take_off)} or more"
    pairs = turned(comparison.table)
    pairs = pairs.assign(pair=pairs["first"].map(names) + " / " + pairs["second"].map(names))
    runs = pairs["n_first"].astype(str) + " + " + pairs["n_second"].astype(str)
    is_one_design = pairs["design"].nunique() == 1
    pairs = pairs.assign(n_runs=runs.where(pairs["design"] == "unpaired", pairs["n_first"].astype(str)))
    columns = ["pair", "ratio", "low", "high", "p", "p_holm", "verdict", "p_take_off", "n_runs", "test", "least_p"]
    columns += [name for name in ("p_heirs", "problem") if pairs[name].notna().any()]
    columns = columns if is_one_design else ["design", *columns]
    same = [name for name in ("n_runs", "test", "least_p", "problem") if len(pairs) > 1 and _is_same(pairs, name)]
    columns = [name for name in columns if name not in same]
    of_all = "; ".join(
        f"{COMPARED.get(name, name)} {number(pairs[name].iloc[0])}" for name in same if name in PAIRS_MEAN
    )
    pairs_note = PAIRS_NOTE + (f" Alike for all pairs: {of_all}." if of_all else "")
    groups = comparison.groups.drop(columns=["n_zero"]).assign(group=comparison.groups["group"].map(names))
    groups = groups.sort_values("geometric_mean", ascending=False, na_position="last", kind="stable")
    groups = groups if groups["problem"].notna().any() else groups.drop(columns=["problem"])
    tables = [
        from_frame(pairs[columns], titles=COMPARED, note=pairs_note, meanings=PAIRS_MEAN),
        from_frame(groups, titles=COMPARED | {"n_took_off": took_off}, note=GROUPS_NOTE, meanings=GROUPS_MEAN),
    ]
    lines = comparison.lines
    if not lines.empty:
        both = (
            lines["first"].map(names).fillna(lines["first"])
            + " / "
            + lines["second"].map(names).fillna(lines["second"])
        )
        told = [name for name in LINES if name == "pair" or lines[name].notna().any()]
        tables.insert(0, from_frame(lines.assign(pair=both)[told], titles=COMPARED | LINES, note=LINES_NOTE))
    folded = [
        (
            "How many took off by other efficiencies",
            from_frame(
                comparison.sensitivity.assign(group=comparison.sensitivity["group"].map(names)),
                titles=COMPARED | {"threshold": "by another efficiency"},
            ),
        )
    ]
    split = comparison.variance
    if not split.empty:
        shares = from_frame(split.drop(columns=["variance"]), titles=COMPARED, note=VARIANCE_NOTE)
        folded.append(("What explains the variance", shares))
    notes, uncorrected = list[str](), list[str]()
    for note in comparison.notes:
        (uncorrected if UNCORRECTED in note else notes).append(one_line(note, max_chars=600))
    if len(uncorrected) > 1:
        notes.append(
            f"In {len(uncorrected)} of {len(pairs)} pairs p is below {ALPHA:g} uncorrected, but not after Holm's:"
            f" with {len(pairs)} comparisons one reaches that by chance too often."
        )
    else:
        notes += uncorrected
    planned = "" if plan is None else PLANNED.format(time=one_line(plan.time), digest=plan.digest[:12])
    return Compared(tables, folded, "", one_line(beginning([*names])), tuple(notes), planned)


def _is_same(pairs: pd.DataFrame, name: str) -> bool:
    return pairs[name].nunique(dropna=False) == 1 and bool(pairs[name].notna().all())


UNCORRECTED: Final = " uncorrected, and so is the interval; "
"""What tells the notes of single pairs whose p is small before correction alone; the table has these p, too."""
PLANNED: Final = (
    "This comparison is held against a plan written at {time} (digest {digest}…): each line says whether it is as"
    " planned, or exploratory and why. A plan proves neither its date nor that its writer had not seen the results."
)
LINES: Final = {
    "pair": "pair",
    "outcome": "outcome",
    "planned": "planned?",
    "effect": "effect",
    "unit": "its unit",
    "low": "95 % from",
    "high": "to",
    "p": "p",
    "p_holm": "p, Holm",
    "verdict": "verdict",
    "equivalence": "equivalence",
    "p_equivalent": "p of equivalence, Holm",
}
LINES_NOTE: Final = (
    "Every tested line. Outcomes: final, the last generation's final resources; area, slope and time, its whole course."
)
PAIRS_MEAN: Final = {
    "design": "how the pair is tested: all runs (unpaired), those of a seed (paired), or within shared societies",
    "pair": "two groups of runs, the one with the larger mean first",
    "ratio": "the first one's geometric mean of final resources, divided by the second one's",
    "low": "the lower end of the ratio's 95 % interval",
    "high": "its upper end",
    "p": "how often chance alone would bring a ratio at least as far from 1, by the test named",
    "p_holm": "the same after Holm's correction for the number of pairs",
    "verdict": "differ: p after correction is below 0.05. No difference shown does not mean that they are alike."
    " Cannot say: no result of so few runs could be below 0.05",
    "p_take_off": "of the shares of runs that took off, after correction, and never below that of final resources",
    "p_heirs": "of the numbers of descendants of their founders in the last generation, after correction",
    "n_runs": "runs of the first and of the second group; of pairs or shared societies, how many there are",
    "test": "the test, and whether every arrangement was counted",
    "least_p": "the least p, uncorrected, that this number of runs can give",
    "problem": "why a number is missing",
}
GROUPS_MEAN: Final = {
    "group": "a player with its settings",
    "n_runs": "complete runs",
    "geometric_mean": "over runs, of the mean final resources of the last generation",
    "low": "the lower end of its 95 % interval",
    "high": "its upper end",
    "n_took_off": "how many runs came so near to the most that is possible (efficiency 1)",
    "n_followed": "the runs for which that is known",
    "take_off_rate": "the share of these that took off",
    "share_lost": "decisions that could not be read, of all that were asked for",
    "problem": "why a number is missing",
}
COMPARED: Final = {
    "n_runs": "runs",
    "geometric_mean": "geometric mean (units)",
    "low": "95 % from",
    "high": "to",
    "n_took_off": "took off",
    "n_followed": "of",
    "take_off_rate": "rate",
    "take_off_low": "95 % from",
    "take_off_high": "to",
    "share_lost": "share of decisions lost",
    "p_holm": "p, Holm",
    "least_p": "least p of this design",
    "p_take_off": "p of take-off, Holm",
}
GROUPS_NOTE: Final = (
    "Intervals of means are Student's, of logarithms; those of rates are exact. A group is a player with its settings."
)
PAIRS_NOTE: Final = (
    "The interval holds the ratios that the uncorrected test of this pair does not reject: it excludes 1 if and only if"
    " p is below 0.05. The verdict is after Holm's correction over all pairs."
)
VARIANCE_NOTE: Final = (
    "Shares of the variance of log final resources of single runs, with generalised 95 % intervals, over these levels"
    " alone. seed: what runs of one seed have in common; rest: what is each run's own."
)
