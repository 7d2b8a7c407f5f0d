"""Do societies of two models end differently, by how much, and how sure is that? One observation is one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from agentsim.analysis.apart import players_apart
from agentsim.analysis.frames import Study
from agentsim.analysis.measures import take_off
from agentsim.analysis.statistics import (
    MIN_INTERVAL_RUNS,
    bca_interval,
    clopper_pearson,
    fisher,
    holm,
    least_p,
    permutation_test,
    pooled_ranks,
)
from agentsim.errors import AgentsimError, LogError

__all__ = ["ALPHA", "Comparison", "compare", "refuse_repeated_seeds", "write"]

ALPHA: Final = 0.05
"""Below this adjusted p, two groups are said to differ."""
KEY: Final = ["study", "run"]
MAX_NAMED: Final = 8
"""Runs or settings that a sentence names; it counts the rest."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Groups of runs and every pair of groups, with what cannot be concluded from them."""

    by: str
    """The column of `runs` that makes the groups."""
    groups: pd.DataFrame
    """One row a group: `group`; `n_runs`; `n_zero`, runs that ended at 0 units; `geometric_mean` (units) of the last
    generation's mean final resources, with the BCa interval `low` to `high`; `n_took_off` of `n_followed`, runs with
    two generations or more that began above 0, `take_off_rate` and its exact interval; `share_lost`, the decisions
    that could not be read; `problem`, why a number is missing."""
    table: pd.DataFrame
    """One row a pair: `first`, `second`; `design`, paired or unpaired; `n_first`, `n_second`; `ratio` of the geometric
    means, first to second, with its BCa interval `low` to `high`; `test`; `p`; `p_holm` over all pairs; `least_p`, the
    least that so many runs can give; `verdict`; `p_take_off`, Fisher's, after Holm; `problem`."""
    notes: tuple[str, ...]
    """What was left out and what cannot be said, in sentences for a person."""


def compare(study: Study, *, by: str = "model") -> Comparison:
    """Compare how the runs of each group ended: the mean final resources of their last generation, on the log scale.

    The effect is exp(mean of log scores of the first group - that of the second), a ratio of geometric means, with a
    95 % BCa bootstrap interval over runs (Efron 1987). Runs are paired by seed, which gives all models the same
    pairings and names, where at least as many seeds match as runs have no match; p is then that of the sign-flip test,
    else of the permutation test, over all arrangements where they are at most 65,536. Holm's (1979) correction is over
    all pairs of groups. A score of 0 has no logarithm: then there is no ratio, and ranks are tested.

    Args:
        study: of one study or several; only complete runs count.
        by: a column of `runs`, such as model, condition, study, or a setting that varies; or player: the models that
            share mixed societies, each by the mean score of its agents (see `players_apart`).

    Raises:
        LogError: no such column, fewer than two groups of complete runs, one seed twice in a group, or runs under
            different rules in a comparison that is not of rules.
    """
    study = players_apart(study) if by == "player" else study
    runs = _complete(study, by)
    notes = _left_out(study) + _rules(study, runs, by)
    groups = {str(name): own for name, own in runs.groupby(by, sort=True)}
    for name, own in groups.items():
        refuse_repeated_seeds(name, own)
    risen = take_off(study.generations.merge(runs[KEY], on=KEY))
    rows = [_group(name, own, risen) for name, own in groups.items()]
    pairs = [_pair(a, groups[a], b, groups[b], notes) for a, b in combinations(groups, 2)]
    _adjust(pairs)
    rates = {row["group"]: (row["n_took_off"], row["n_followed"]) for row in rows}
    for pair, p in zip(
        pairs, holm([_fisher(rates[pair["first"]], rates[pair["second"]]) for pair in pairs]), strict=True
    ):
        pair["p_take_off"] = p if rates[pair["first"]][1] and rates[pair["second"]][1] else None
    return Comparison(
        by=by,
        groups=_frame(rows, GROUPS),
        table=_frame(pairs, PAIRS),
        notes=(*notes, *_cannot(pairs, rows)),
    )


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write groups.csv, pairs.csv, notes.txt and, where a pair has a ratio, forest.svg and .png; return the paths.

    Raises:
        AgentsimError: the folder cannot be written to.
    """
    from agentsim.analysis.export import write_csv
    from agentsim.analysis.figures import forest, save
    from agentsim.analysis.files import make_folder

    paths = [folder / "groups.csv", folder / "pairs.csv", folder / "notes.txt"]
    make_folder(folder)
    try:
        write_csv(comparison.groups, paths[0])
        write_csv(comparison.table, paths[1])
        paths[2].write_text("".join(f"{note}\n" for note in comparison.notes), encoding="utf-8")
    except OSError as error:
        raise AgentsimError(f"{folder}: cannot be written to ({error.strerror}); name another with -o") from error
    if comparison.table["ratio"].notna().any():
        paths += save(forest(comparison), folder / "forest")
    return paths


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
    "problem": "string",
}


def _frame(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns)).astype(dict(columns))


# --- which runs count ----------------------------------------------------------------------------------------------


def _complete(study: Study, by: str) -> pd.DataFrame:
    if by not in study.runs:
        allowed = [column for column in study.runs if study.runs[column].nunique() > 1 and column != "run"]
        raise LogError(
            f"{study.name}: runs have no column {by!r} to compare by; those that differ here are"
            f" {', '.join(str(column) for column in allowed) or 'none'}"
        )
    complete = study.runs[study.runs["status"] == "complete"]
    scores = complete["mean_final_resources"]
    runs = complete[complete[by].notna() & scores.notna() & np.isfinite(scores.astype(float))]
    found = sorted(str(name) for name in runs[by].unique())
    if len(found) < 2:
        has = "agents left at the end of complete runs" if by == "player" else "complete runs"
        what = f"only {found[0]!r} has {has}" if found else "no run is complete"
        raise LogError(
            f"{study.name}: there is nothing to compare by {by!r}, {what}; name studies that hold at least two,"
            " or play the scenario to its end"
        )
    return runs


def _left_out(study: Study) -> list[str]:
    other = study.runs[study.runs["status"] != "complete"]
    notes = []
    ended = study.runs[study.runs["status"] == "complete"]
    if n_gone := int(ended["mean_final_resources"].isna().sum()):
        notes.append(f"{_counted(n_gone, 'time')} a player had died out by the end: without agents it has no score.")
    if other.empty:
        return notes
    named = [f"{row['run']} ({row['status']})" for row in other.to_dict("records")]
    return [*notes, f"{_counted(len(other), 'run')} left out, not complete: {_listed(named)}."]


def _rules(study: Study, runs: pd.DataFrame, by: str) -> list[str]:
    """Refuse a comparison of players under different rules; of a comparison of rules, say in what they differ."""
    if runs["rules_digest"].nunique() <= 1:
        return []
    conditions = [
        _flat({k: v for k, v in study.started[key].condition.items() if k != "players"})
        for key in runs[KEY].itertuples(index=False, name=None)
        if key in study.started
    ]
    paths = sorted({path for condition in conditions for path in condition})
    differing = [path for path in paths if len({str(condition.get(path)) for condition in conditions}) > 1]
    others = [path for path in differing if path != by and not path.startswith(f"{by}.")]
    what = f" in {_listed(others)}" if others else ""
    if by in ("condition", "study"):
        return [f"The rules differ as well{what}: a difference cannot be put down to the model alone."]
    if by in differing and not others:
        return []
    raise LogError(
        f"{study.name}: these runs were played under different rules{what}, so they cannot be compared by {by!r};"
        " compare by 'condition', or name studies that differ in one thing"
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, Mapping) else {f"{prefix}{key}": inner}
    return flat


def refuse_repeated_seeds(name: str, runs: pd.DataFrame) -> None:
    """Raise LogError where a group holds two runs of one seed: these share pairings and names."""
    twice = runs[runs["seed"].duplicated(keep=False)].sort_values("seed")
    if not twice.empty:
        same = twice[twice["seed"] == twice["seed"].iloc[0]]
        listed = [f"{row['study']}/{row['run']}" for row in same.to_dict("records")]
        raise LogError(
            f"seed {same['seed'].iloc[0]} of {name!r} was played more than once ({_listed(listed)}): these are no"
            " independent runs of one group; compare by 'condition' or 'study'"
        )


# --- groups and pairs ----------------------------------------------------------------------------------------------


def _scores(runs: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    return runs["mean_final_resources"].to_numpy(dtype=float)


def _group(name: str, runs: pd.DataFrame, risen: pd.DataFrame) -> dict[str, Any]:
    scores = _scores(runs)
    row: dict[str, Any] = {"group": name, "n_runs": len(runs), "n_zero": int((scores <= 0).sum())}
    if row["n_zero"]:
        row["problem"] = f"{_counted(row['n_zero'], 'run')} ended at 0 units, which has no logarithm"
    else:
        logs = np.log(scores)
        interval = bca_interval(logs)
        row |= {"geometric_mean": _exp(float(logs.mean())), "low": _exp(interval.low), "high": _exp(interval.high)}
        row["problem"] = f"no interval: {interval.problem.replace('pairs', 'runs')}" if interval.problem else None
        if interval.problem and len(runs) >= MIN_INTERVAL_RUNS:
            row["problem"] = "no interval: all runs ended alike"
    followed = runs[KEY].merge(risen, on=KEY)["took_off"].dropna()
    n_hits, n = int(followed.sum()), len(followed)
    exact = clopper_pearson(n_hits, n)
    row |= {"n_took_off": n_hits, "n_followed": n, "take_off_rate": n_hits / n if n else None}
    row |= {"take_off_low": exact.low, "take_off_high": exact.high}
    n_lost, n_encounters = int((runs["n_missed"] + runs["n_replaced"]).sum()), int(runs["n_encounters"].sum())
    return row | {"share_lost": n_lost / n_encounters if n_encounters else None}


def _pair(a: str, first: pd.DataFrame, b: str, second: pd.DataFrame, notes: list[str]) -> dict[str, Any]:
    common = sorted(set(first["seed"]) & set(second["seed"]))
    unmatched = [
        f"{row['study']}/{row['run']}"
        for own in (first, second)
        for row in own[~own["seed"].isin(common)].to_dict("records")
    ]
    is_paired = len(common) >= max(1, len(unmatched))
    if is_paired:
        first, second = (own.set_index("seed").loc[common].reset_index() for own in (first, second))
        if unmatched:
            notes.append(
                f"{a} and {b} are paired by seed; without a match, so not in their test: {_listed(unmatched)}."
            )
    x, y = _scores(first), _scores(second)
    row: dict[str, Any] = {"first": a, "second": b, "design": "paired" if is_paired else "unpaired"}
    row |= {"n_first": len(x), "n_second": len(y)}
    has_zero = bool((x <= 0).any() or (y <= 0).any())
    u, v = pooled_ranks(x, y) if has_zero else (np.log(x), np.log(y))
    differences = u - v if is_paired else None
    test = permutation_test(differences) if differences is not None else permutation_test(u, v)
    kind = "sign-flip" if is_paired else "permutation"
    exact = "exact" if test.is_exact else f"{test.n_arrangements:,} random arrangements"
    row |= {"test": f"{kind}{', ranks' if has_zero else ''}, {exact}", "p": test.p}
    row["least_p"] = least_p(len(x), None if is_paired else len(y))
    if has_zero:
        return row | {"problem": "no ratio: a score of 0 has no logarithm; ranks are tested"}
    interval = bca_interval(differences) if differences is not None else bca_interval(u, v)
    return row | {
        "ratio": _exp(float(u.mean() - v.mean())),
        "low": _exp(interval.low),
        "high": _exp(interval.high),
        "problem": f"no interval: {interval.problem}" if interval.problem else None,
    }


def _adjust(pairs: Sequence[dict[str, Any]]) -> None:
    """Add Holm's p and what may be said: nothing, where even the clearest outcome could not have been significant."""
    for pair, p in zip(pairs, holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_holm"] = p
        if pair["least_p"] * len(pairs) > ALPHA:
            pair["verdict"] = "cannot say: too few runs"
        else:
            pair["verdict"] = "differ" if p < ALPHA else "no difference shown"


def _fisher(first: tuple[int, int], second: tuple[int, int]) -> float:
    return fisher(first, second) if first[1] and second[1] else 1.0


def _cannot(pairs: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    weak = {
        (pair["design"], pair["n_first"], pair["n_second"], pair["least_p"])
        for pair in pairs
        if pair["verdict"].startswith("cannot")
    }
    for design, n_first, n_second, least in sorted(weak):
        runs = _counted(n_first, "paired seed") if design == "paired" else f"{n_first} against {n_second} unpaired runs"
        family = f", and {len(pairs)} comparisons in one family multiply it by as many" if len(pairs) > 1 else ""
        notes.append(
            f"{runs} cannot reach p < {ALPHA:g} here, whatever came out: the least p they can give is"
            f" {least:.4g}{family}."
        )
    if any(row["n_runs"] == 1 for row in rows):
        notes.append("A single run is an illustration: runs that differ in nothing but the seed can end far apart.")
    lost = [f"{row['group']} ({row['share_lost']:.1%})" for row in rows if row["share_lost"]]
    if lost:
        notes.append(f"Decisions that could not be read, so lost: {_listed(lost)}; scores are of what did happen.")
    return notes


def _exp(value: float | None) -> float | None:
    return None if value is None else float(np.exp(value))


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
