"""Comparing groups of runs by their final resources: ratios, tests and intervals. One observation is one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from agentsim.analysis.apart import players_apart
from agentsim.analysis.asked import DESIGNS, Asked, Design
from agentsim.analysis.bayes.estimates import Bayes
from agentsim.analysis.bayes.estimates import bayes as estimated
from agentsim.analysis.by_player import geometric_means, player_pair, shared_societies, what_became
from agentsim.analysis.families import Look, adjust, adjust_as_planned, runs_at_look
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.groups import complete_runs, refuse_repeated_seeds, rules_noted
from agentsim.analysis.lines import add_equivalence, course_lines, lines_frame
from agentsim.analysis.measures.course import courses
from agentsim.analysis.measures.outcomes import TAKE_OFFS, take_off, take_off_sensitivity
from agentsim.analysis.preregistration import Prereg
from agentsim.analysis.statistics import (
    ALPHA,
    RANDOM_SEED,
    clopper_pearson,
    fisher,
    holm,
    least_p,
    mcnemar,
    permutation_test,
    pooled_ranks,
    shift_interval,
    t_interval,
)
from agentsim.analysis.strata import strata_of
from agentsim.analysis.variance import split_of
from agentsim.analysis.words import counted, listed
from agentsim.errors import LogError

__all__ = ["ALPHA", "DESIGNS", "Comparison", "Design", "compare"]

MAX_SPREADS: Final = 2.0
"""A note warns of the test if the smaller group's spread is at least this many times the larger group's."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Groups of runs and every pair of groups, with what cannot be concluded from them."""

    by: str
    """The column of `runs` that defines the groups."""
    design: Design
    """How every pair is tested."""
    take_off: float
    """A run has taken off at this efficiency or more."""
    groups: pd.DataFrame
    """One row for each group: `group`; `n_runs`; `n_zero`, runs that ended at 0 units or less; `geometric_mean` (units)
    of the last generation's mean final resources, `low` to `high`, Student's 95 % interval of the mean logarithm;
    `n_took_off` of `n_followed`, the runs for which that is known, `take_off_rate` and its exact interval;
    `share_lost`, the share of decisions that could not be read; `problem`, why a number is missing."""
    table: pd.DataFrame
    """One row for each pair: `first`, `second`; `design`; `n_first`, `n_second`, runs tested (for players: the
    societies in which both began); `ratio` of the geometric means, first to second; `low` to `high`, its 95 % interval,
    the inverse of the test: it excludes 1 if and only if `p` is below 0.05; `test`; `p`; `p_holm` over all pairs;
    `least_p`, the least that this design can give; `verdict`; `p_take_off` for the take-off rates, after Holm and never
    below `p_holm`; `p_heirs`, for players whose numbers may change: for the number of descendants of their founders in
    the last generation, in one family with `p_holm`; `problem`."""
    sensitivity: pd.DataFrame
    """How many runs took off at other thresholds: see `measures.take_off_sensitivity`."""
    variance: pd.DataFrame
    """How much of the variance prompts, models and other varied settings explain, as `measures.variance_split` returns
    it; empty if the study varies neither prompts nor two settings, or if its design does not allow it (see `notes`)."""
    notes: tuple[str, ...]
    """What was left out and what cannot be concluded, as sentences."""
    lines: pd.DataFrame = field(default_factory=lambda: lines_frame([]))
    """Every tested line, if a plan, a look, equivalence or the course was asked for; otherwise none. One row for each
    pair and `outcome` (`preregistration.MEASURES`): `effect` with `low` to `high`, in its `unit`; `p`; `p_looked`, with
    all looks allowed for; `p_holm` over the family; `verdict`; `p_equivalent` after Holm, `equivalent_low` to
    `equivalent_high`, the 90 % interval of its tests, `equivalence`; `planned`:
    `as planned`, or `exploratory` and why."""
    bayes: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Bayesian estimates of each pair, if asked for, as `agentsim.bayes` returns them; otherwise empty."""
    asked: Asked | None = None
    """What was asked for, as far as it was not left to the defaults; None if nothing is known of it."""
    look: Look | None = None
    """Which of several looks this is; None if there is only one."""


def compare(
    study: Study,
    *,
    by: str | None = None,
    design: Design | None = None,
    take_off_at: float | None = None,
    plan: Prereg | None = None,
    look: Look | None = None,
    equivalence: float | None = None,
    course: bool = False,
    bayes: bool = False,
) -> Comparison:
    """Compare groups of runs by the mean final resources of their last generation, on the log scale.

    The effect is exp(mean of log scores of the first group - that of the second), a ratio of geometric means. p is from
    the permutation test of this difference, exact up to 65,536 arrangements; the 95 % interval holds the ratios that
    the same test does not reject (`statistics.shift_interval`). Holm's (1979) correction is over all pairs of groups.
    A score of 0 or below has no logarithm: then there is no ratio, and ranks are tested.

    A group is a player with its settings, answered by one model: runs with the same name that differ in these are
    split (`groups.one_player_each`). Whatever else the studies vary is held apart: groups are compared where it is the
    same (`strata.strata_of`), so prompt sets within each model, and models within each prompt set.

    Whether a run took off is tested by Fisher's exact test, or McNemar's for paired runs. Both tests are one family: a
    pair differs in take-off only if it differs in final resources, so its p is at least `p_holm`.

    Args:
        study: one or more studies; only complete runs count.
        by: a column of `runs`, such as model (the default), condition, study, or a setting that varies; or player: the
            models that share mixed societies, by the mean log score of their agents, with labels permuted within
            societies (see `within.label_test`).
        design: `unpaired`, the default, tests all runs, whatever their seeds. `paired` tests the differences between
            runs with the same seed by sign flips, and leaves out runs without a match. The results never choose the
            design. Players are tested within the societies they share, so `design` must be None for them.
        take_off_at: a run has taken off at this efficiency or more (see `measures.take_off`); 0.7 by default.
        plan: what was fixed beforehand. Whatever is not stated here is as planned; only planned seeds count; planned
            lines are one family; and each line says whether it is as planned, or why not.
        look: which of several looks at the results this is. By default the last one of the plan whose runs are there.
        equivalence: a ratio above 1: test also whether groups are equivalent within it (`equivalence.equivalence`).
        course: test also area, slope and time to the threshold (`measures.courses`), in one family with the rest.
        bayes: estimate also the ratios of geometric means with two hierarchical models (`agentsim.bayes`); needs the
            extra `bayes`.

    Raises:
        LogError: no such column, fewer than two groups of complete runs, one seed twice in a group, no seed in common
            in a paired design, runs under different rules although `by` names no rule, or runs of different games,
            whose units and levels mean different things.
        AgentsimError: an unknown design, or a threshold that is not an efficiency.
    """
    asked = Asked.of(by, design, take_off_at, plan=plan, look=look, equivalence=equivalence, course=course, bayes=bayes)
    by, design, take_off_at = asked.by, asked.design, asked.take_off_at
    chosen: Design = "within" if by == "player" else design or "unpaired"
    _refuse_several_games(study, by)
    whole, study = study, players_apart(study) if by == "player" else study
    runs = _players_runs(whole, study) if by == "player" else complete_runs(study, by)
    seeds_noted: list[str] = []
    if plan is not None:
        place = plan.look_of(runs) if look is None else look.place
        look = None if plan.is_whole else Look(place, plan.looks, plan.spending)
        runs, seeds_noted = runs_at_look(runs, plan, len(plan.looks) if look is None else look.place)
    strata = strata_of(study, runs, by)
    names = strata.names
    groups = {str(name): group_runs for name, group_runs in runs.groupby(names, sort=True)}
    _refuse_one_group(study, groups, by)
    if look is not None:
        n_now = min(len(own) for own in groups.values()) if plan is None else plan.looks[look.place - 1]
        look = look.at(n_now, is_paired=chosen == "paired")
    alpha = ALPHA if look is None else look.level
    notes = [*_left_out(study), *rules_noted(study, runs, by, apart=strata.apart), *strata.notes, *seeds_noted]
    for name, group_runs in groups.items():
        refuse_repeated_seeds(name, group_runs)
    ended = runs[KEY].assign(group=names)
    risen = take_off(study.generations.merge(runs[KEY], on=KEY), study.runs, threshold=take_off_at)
    n_asked = study.agents.groupby(KEY)["n_decisions"].sum()
    rows = [_group(name, group_runs, risen, n_asked) for name, group_runs in groups.items()]
    more: list[dict[str, Any]] = []
    if chosen == "within":
        keys = zip(runs["study"], runs["society"], runs["player"], names.astype(str), strict=True)
        societies = shared_societies(whole, {(name, run, player): group for name, run, player, group in keys})
        pairs = [player_pair(a, b, societies) for a, b in strata.pairs]
        adjust(pairs)
        notes += what_became(groups, societies, pairs)
    else:
        pairs = [_pair(a, groups[a], b, groups[b], chosen, notes, alpha) for a, b in strata.pairs]
        if asked.course:
            whole_courses = courses(study.generations, study.runs, threshold=take_off_at)
            more = course_lines(strata.pairs, groups, whole_courses, is_paired=chosen == "paired", alpha=alpha)
        if plan is None:
            adjust([*pairs, *more], look=look)
        else:
            adjust_as_planned(
                [*pairs, *more], plan=plan, look=look, study=study, groups=groups, stated=asked.deviations()
            )
        _add_take_off(pairs, groups, risen, look)
        if asked.equivalence is not None:
            logs = {(pair["first"], pair["second"]): pair["logs"] for pair in pairs}
            add_equivalence(pairs, logs, ratio=asked.equivalence, look=look)
        notes += asked.notes(look)
    estimates = _estimates(groups, strata.pairs, asked) if bayes else None
    if estimates is not None:
        notes += estimates.notes
        if plan is not None:
            notes.append("A plan has no Bayesian estimate yet, so that one is exploratory.")
    variance, of_variance = (None, []) if by == "player" else split_of(study)
    named = risen[KEY].merge(ended, on=KEY, how="left")["group"]
    thresholds = sorted({*TAKE_OFFS, take_off_at})
    return Comparison(
        by=by,
        design=chosen,
        take_off=take_off_at,
        groups=_frame(rows, GROUPS),
        table=_frame(pairs, PAIRS),
        sensitivity=take_off_sensitivity(risen, named, thresholds=thresholds),
        variance=pd.DataFrame() if variance is None else variance,
        notes=(*notes, *_cannot(pairs, rows), *of_variance),
        lines=lines_frame([*pairs, *more] if asked.has_lines else []),
        bayes=pd.DataFrame() if estimates is None else estimates.table,
        asked=asked,
        look=look,
    )


def _estimates(groups: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]], asked: Asked) -> Bayes:
    scores = {name: _scores(runs) for name, runs in groups.items()}
    return estimated(scores, pairs=pairs, equivalence=asked.equivalence)


GROUPS: Final = {
    "group": "string",
    "n_runs": "Int64",
    "n_zero": "Int64",
    "geometric_mean": "Float64",
    "low": "Float64",
    "high": "Float64",
    "n_took_off": "Int64",
    "n_followed": "Int64",
    "take_off_rate": "Float64",
    "take_off_low": "Float64",
    "take_off_high": "Float64",
    "share_lost": "Float64",
    "problem": "string",
}
PAIRS: Final = {
    "first": "string",
    "second": "string",
    "design": "string",
    "n_first": "Int64",
    "n_second": "Int64",
    "ratio": "Float64",
    "low": "Float64",
    "high": "Float64",
    "test": "string",
    "p": "Float64",
    "p_holm": "Float64",
    "least_p": "Float64",
    "verdict": "string",
    "p_take_off": "Float64",
    "p_heirs": "Float64",
    "problem": "string",
}


def _frame(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns)).astype(dict(columns))


# --- which runs count ----------------------------------------------------------------------------------------------


def _refuse_one_group(study: Study, groups: Mapping[str, pd.DataFrame], by: str) -> None:
    if len(groups) < 2:
        names = sorted(groups)
        has = "agents left at the end of complete runs" if by == "player" else "complete runs"
        what = f"only {names[0]!r} has {has}" if names else "no run is complete"
        raise LogError(
            f"{study.name}: there is nothing to compare by {by!r}, {what}; name studies that hold at least two,"
            " or play the scenario to its end"
        )


def _refuse_several_games(study: Study, by: str) -> None:
    complete = study.runs[study.runs["status"] == "complete"]
    played = sorted(str(kind) for kind in complete["game"].dropna().unique())
    if len(played) > 1:
        raise LogError(
            f"{study.name}: {listed(played)} are different games, whose units and levels cannot be compared by {by!r};"
            " name studies of one game"
        )


def _left_out(study: Study) -> list[str]:
    other = study.runs[study.runs["status"] != "complete"]
    if other.empty:
        return []
    named = [f"{row['run']} ({row['status']})" for row in other.to_dict("records")]
    return [f"{counted(len(other), 'run')} left out, not complete: {listed(named)}."]


def _players_runs(whole: Study, parts: Study) -> pd.DataFrame:
    """Return one row for each complete society and player; the score is missing if the player had died out."""
    runs = parts.runs[parts.runs["status"] == "complete"].copy()
    runs["society"] = [run.removesuffix(f": {player}") for run, player in zip(runs["run"], runs["player"], strict=True)]
    means = geometric_means(whole)
    keys = zip(runs["study"], runs["society"], runs["player"], strict=True)
    scores = [means.get((str(study), str(run), str(player))) for study, run, player in keys]
    runs["mean_final_resources"] = pd.array(scores, dtype="Float64")
    return runs


# --- groups and pairs ----------------------------------------------------------------------------------------------


def _scores(runs: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    return runs["mean_final_resources"].to_numpy(dtype=float)


def _group(name: str, runs: pd.DataFrame, risen: pd.DataFrame, n_asked: pd.Series[int]) -> dict[str, Any]:
    scores = _scores(runs.dropna(subset=["mean_final_resources"]))  # without players that had died out
    row: dict[str, Any] = {"group": name, "n_runs": len(runs), "n_zero": int((scores <= 0).sum())}
    if row["n_zero"]:
        units = "0 units or less" if (scores < 0).any() else "0 units"
        row["problem"] = f"{counted(row['n_zero'], 'run')} ended at {units}, which has no logarithm"
    elif not len(scores):
        row["problem"] = "no agents left at the end of any run"
    else:
        logs = np.log(scores)
        interval = t_interval(logs)
        row |= {"geometric_mean": _exp(float(logs.mean())), "low": _exp(interval.low), "high": _exp(interval.high)}
        row["problem"] = f"no interval: {interval.problem}" if interval.problem else None
    followed = runs[KEY].merge(risen, on=KEY)["took_off"].dropna()
    n_hits, n = int(followed.sum()), len(followed)
    exact = clopper_pearson(n_hits, n)
    row |= {"n_took_off": n_hits, "n_followed": n, "take_off_rate": n_hits / n if n else None}
    row |= {"take_off_low": exact.low, "take_off_high": exact.high}
    n_lost, n_decisions = (
        int((runs["n_missed"] + runs["n_replaced"]).sum()),
        int(runs[KEY].join(n_asked, on=KEY)["n_decisions"].sum()),
    )
    return row | {"share_lost": n_lost / n_decisions if n_decisions else None}


def _pair(
    a: str, first: pd.DataFrame, b: str, second: pd.DataFrame, design: Design, notes: list[str], alpha: float
) -> dict[str, Any]:
    if design == "paired":
        first, second = _matched(a, first, b, second, notes)
    x, y = _scores(first), _scores(second)
    row: dict[str, Any] = {"first": a, "second": b, "design": design, "n_first": len(x), "n_second": len(y)}
    row |= {"outcome": "final", "unit": "ratio", "logs": None}
    has_zero = bool((x <= 0).any() or (y <= 0).any())
    u, v = pooled_ranks(x, y) if has_zero else (np.log(x), np.log(y))
    values = (u - v, None) if design == "paired" else (u, v)
    test = permutation_test(*values)
    kind = "sign-flip" if design == "paired" else "permutation"
    exact = "exact" if test.is_exact else f"{test.n_arrangements:,} random arrangements of seed {RANDOM_SEED}"
    row |= {"test": f"{kind}{', ranks' if has_zero else ''}, {exact}", "p": test.p}
    row["least_p"] = least_p(len(x), None if design == "paired" else len(y))
    if has_zero:
        return row | {"problem": f"no ratio: {_unlogged(x, y)} has no logarithm; ranks are tested"}
    interval = shift_interval(*values, alpha=alpha)
    if design == "unpaired" and _is_lopsided(u, v):
        notes.append(
            f"{a} and {b} have unequal numbers of runs, and the smaller group varies more: the test then finds a"
            " difference of geometric means too often where only the spreads differ; play equal numbers of runs."
        )
    ratio = _exp(float(u.mean() - v.mean()))
    return row | {
        "ratio": ratio,
        "effect": ratio,
        "logs": (u, v),
        "low": _exp(interval.low),
        "high": _exp(interval.high),
        "problem": f"no interval: {interval.problem}" if interval.problem else None,
    }


def _unlogged(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> str:
    return "a score below 0" if (x < 0).any() or (y < 0).any() else "a score of 0"


def _is_lopsided(u: np.ndarray[Any, Any], v: np.ndarray[Any, Any]) -> bool:
    """Return whether the smaller of two groups has at least `MAX_SPREADS` times the spread of the larger one."""
    small, large = sorted((u, v), key=len)
    return 1 < len(small) < len(large) and bool(small.std(ddof=1) >= MAX_SPREADS * large.std(ddof=1) > 0)


def _matched(
    a: str, first: pd.DataFrame, b: str, second: pd.DataFrame, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs with seeds that both groups have, in the same order; note the others."""
    common = sorted(set(first["seed"]) & set(second["seed"]))
    if not common:
        raise LogError(f"{a!r} and {b!r} have no seed in common, so they cannot be paired; compare them unpaired")
    unmatched = [
        f"{row['study']}/{row['run']}"
        for group_runs in (first, second)
        for row in group_runs[~group_runs["seed"].isin(common)].to_dict("records")
    ]
    if unmatched:
        notes.append(f"{a} and {b} are paired by seed; left out, without a match: {listed(unmatched)}.")
    return first.set_index("seed").loc[common].reset_index(), second.set_index("seed").loc[common].reset_index()


def _add_take_off(
    pairs: Sequence[dict[str, Any]], groups: Mapping[str, pd.DataFrame], risen: pd.DataFrame, look: Look | None
) -> None:
    """Add the p of the take-off rates, in the same design and never below that of final resources."""
    names = [name for name, group_runs in groups.items() for _ in range(len(group_runs))]
    every = pd.concat([group_runs[[*KEY, "seed"]] for group_runs in groups.values()]).assign(group=names)
    every = every.merge(risen[[*KEY, "took_off"]], on=KEY).dropna(subset=["took_off"])
    known = {name: every[every["group"] == name].set_index("seed")["took_off"] for name in groups}
    p_values = [_take_off_p(known[pair["first"]], known[pair["second"]], pair["design"]) for pair in pairs]
    adjusted = holm([1.0 if p is None else p if look is None else look.p(p) for p in p_values])
    for pair, p, after in zip(pairs, p_values, adjusted, strict=True):
        pair["p_take_off"] = None if p is None else max(after, pair["p_holm"])


def _take_off_p(first: pd.Series[bool], second: pd.Series[bool], design: Design) -> float | None:
    if design == "paired":
        both = pd.concat([first, second], axis=1, join="inner", keys=["first", "second"]).astype(bool)
        if both.empty:
            return None
        only_first, only_second = both["first"] & ~both["second"], both["second"] & ~both["first"]
        return mcnemar(int(only_first.sum()), int(only_second.sum()))
    if first.empty or second.empty:
        return None
    return fisher((int(first.sum()), len(first)), (int(second.sum()), len(second)))


def _cannot(pairs: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    weak = {
        (pair["design"], pair["n_first"], pair["n_second"], pair["least_p"])
        for pair in pairs
        if pair["verdict"].startswith("cannot")
    }
    for design, n_first, n_second, least in sorted(weak):
        if design == "within" and n_first == 1:
            notes.append("Players that share a single run cannot be told apart, whatever the results: play more seeds.")
            continue
        runs = {"paired": counted(n_first, "paired seed"), "within": counted(n_first, "mixed run")}.get(
            design, f"{n_first} against {n_second} runs"
        )
        family = f", and Holm's correction over {len(pairs)} comparisons raises it" if len(pairs) > 1 else ""
        notes.append(
            f"{runs} cannot reach p < {ALPHA:g} here, whatever the results: the least p of this design is"
            f" {least:.4g}{family}."
        )
    for pair in pairs:
        if pair["p"] < ALPHA <= pair["p_holm"]:
            notes.append(
                f"{pair['first']} / {pair['second']}: p is {pair['p']:.3g} uncorrected, and so is the interval; with"
                f" {len(pairs)} comparisons one reaches that by chance too often, so after Holm p is"
                f" {pair['p_holm']:.3g}."
            )
    if any(row["n_runs"] == 1 for row in rows):
        notes.append("A single run is an illustration: runs that differ only in their seed can end far apart.")
    lost = [f"{row['group']} ({row['share_lost']:.1%})" for row in rows if row["share_lost"]]
    if lost:
        notes.append(f"Decisions lost because they could not be read: {listed(lost)}; scores are of what happened.")
    return notes


def _exp(value: float | None) -> float | None:
    return None if value is None else float(np.exp(value))
