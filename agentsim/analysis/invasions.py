"""Outcomes of invasions: invaders take over, are lost, or remain undecided; by run, by pair and as a matrix.

An invasion is a run with two players, named `resident` and `invader`, in which newborns have their parent's player.
So a population with only one of the two stays that way for ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from agentsim.analysis.compare import ALPHA
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study, load
from agentsim.analysis.statistics import clopper_pearson, holm
from agentsim.analysis.within import Lineages, label_test
from agentsim.analysis.words import counted, listed
from agentsim.core.rules import logged_selection
from agentsim.errors import LogError
from agentsim.scenario.players import labels_in

__all__ = [
    "CONDITIONS",
    "COURSES",
    "MARKS",
    "Courses",
    "Invasions",
    "Role",
    "contestant_name",
    "courses_of",
    "described",
    "invasions",
    "load_invasions",
    "matrix_rows",
    "until_decided",
]

Role = Literal["resident", "invader"]
MARKS: Final = {"more": "▲", "less": "▼", "cannot say": "·"}
"""Symbols of verdicts, for narrow tables."""
MAX_NAMED: Final = 8
"""The most runs that a sentence names; it counts the rest."""


@dataclass(frozen=True, eq=False)
class Courses:
    """How invasions went, generation by generation, from logs or from societies that were played without logs."""

    conditions: pd.DataFrame
    """One row for each condition; columns `CONDITIONS`."""
    courses: pd.DataFrame
    """One row for each complete run and generation, up to the first in which it is decided; columns `COURSES`."""
    notes: tuple[str, ...] = ()
    """What was left out, as sentences."""
    first: Mapping[str, Sequence[Lineages]] = field(default_factory=dict)
    """By condition, for each run the scores (units) of the agents of generation 1, with invaders as first player."""


CONDITIONS: Final = {
    "condition": "string",  # its name
    "resident": "string",
    "invader": "string",
    "selection": "string",  # the rule by which agents leave, and whether parents are drawn by score
    "is_neutral": "boolean",  # whether scores affect neither who leaves nor who is copied
    "rules": "string",  # equal for conditions that differ only in their players
    "n_agents": "Int64",
    "n_invaders": "Int64",  # in generation 1
    "n_generations": "Int64",
    "share_lost": "Float64",  # share of decisions that could not be read
}
COURSES: Final = {
    "condition": "string",
    "seed": "Int64",
    "generation": "Int64",
    "n_invaders": "Int64",
    "resident_score": "Float64",  # units: mean of the residents' scores; missing without residents
    "invader_score": "Float64",
}


@dataclass(frozen=True, eq=False)
class Invasions:
    """Outcomes of invasions."""

    runs: pd.DataFrame
    """One row for each complete run: `condition`, `resident`, `invader`, `selection`, `is_neutral`, `seed`; `outcome`:
    fixed (only invaders are left), extinct (none are left), or censored (both are left in the last generation);
    `generation`, the first in which it was decided, or the last; `n_invaders` then; `advantage` in generation 1, mean
    score of invaders minus that of residents (units)."""
    conditions: pd.DataFrame
    """One row for each condition: columns `CONDITIONS`; `n_runs`, `n_fixed`, `n_extinct`, `n_censored`; `rate_low`, the
    rate of fixation if all censored runs count as lost, and `rate_high`, if they count as fixed; `low` and `high`, the
    exact interval around both; `neutral`, the rate without selection; `p`, `p_holm` and `verdict`, more, less or cannot
    say; `advantage` (mean over runs, units) with its interval `advantage_low` to `advantage_high`, the inverse of its
    test; `p_advantage`, `p_advantage_holm` over all conditions with selection, and `verdict_advantage`."""
    pairs: pd.DataFrame
    """One row for each pair of contestants that invaded each other under selection: `first`, `second`; the verdicts
    `first_invades` and `second_invades`; `by_fixation` and `by_fitness`, the conclusions about the pair."""
    notes: tuple[str, ...]
    """What was left out and what cannot be concluded, as sentences."""


# --- from logs -----------------------------------------------------------------------------------------------------


def contestant_name(player: Mapping[str, Any]) -> str:
    """Return the display name of a resident or invader: its model, and its name without the role."""
    suffix = str(player["name"]).removeprefix("resident").removeprefix("invader").strip()
    return f"{str(player['model']).partition('/')[2]} {suffix}".strip()


def described(condition: Mapping[str, Any], *, name: str, rules: str) -> dict[str, Any] | None:
    """Return a logged condition as a row of `CONDITIONS` without `share_lost`; `None` if it is not an invasion.

    The row also has `label`, the label that invading agents carry.
    """
    players, rule, learning = condition["players"], condition["selection"], condition["transmission"]
    if learning.get("model_from", "vacancy") != "parent" or isinstance(players, Mapping) or len(players) != 2:
        return None
    by_role = dict(zip((str(player.get("name")).split(" ")[0] for player in players), players, strict=True))
    if set(by_role) != set(get_args(Role)):
        return None
    kind, chances = rule.get("kind", "top"), learning.get("chances", "equal")
    return {
        "condition": name,
        **{role: contestant_name(player) for role, player in by_role.items()},
        "selection": f"{kind}, by score" if chances == "by_score" else kind,
        "is_neutral": not logged_selection(condition).looks_at_scores and chances == "equal",
        "rules": rules,
        "n_agents": condition["agents"],
        "n_invaders": by_role["invader"]["agents"],
        "n_generations": condition["generations"],
        "label": labels_in(condition)[list(by_role).index("invader")],
    }


def courses_of(study: Study) -> Courses:
    """Return the courses of a study's invasions.

    Raises:
        LogError: none of its runs is a complete invasion.
    """
    runs = study.runs.assign(condition=study.conditions(study.runs))
    kept: list[dict[str, Any]] = []
    conditions: dict[str, dict[str, Any]] = {}
    unfinished: list[str] = []
    for row in runs.to_dict("records"):
        name, started = row["condition"], study.started.get((row["study"], row["run"]))
        one = started and described(started.condition, name=name, rules=row["rules_digest"])
        if started is None or (one and row["status"] != "complete"):
            unfinished.append(str(row["run"]))
        elif one:
            conditions[name] = one
            kept.append({key: row[key] for key in ("study", "run", "condition", "seed")} | {"label": one["label"]})
    left_out = f"{counted(len(unfinished), 'run')} left out, not complete: {listed(unfinished)}."
    if not kept:
        raise LogError(
            f"{study.name}: holds no complete invasion, which is a run with a resident and an invader whose newborns"
            f" have their parent's model{f'; {left_out}' if unfinished else ''}"
        )
    table = pd.DataFrame(list(conditions.values()))
    lost = runs.groupby("condition")[["n_missed", "n_replaced", "n_encounters"]].sum()
    table["share_lost"] = table["condition"].map((lost["n_missed"] + lost["n_replaced"]) / lost["n_encounters"])
    courses = _counts(study.agents.merge(pd.DataFrame(kept), on=KEY))
    n_agents = courses["condition"].map(table.set_index("condition")["n_agents"])
    notes = (left_out,) if unfinished else ()
    first = _first_scores(study.agents[study.agents["generation"] == 1].merge(pd.DataFrame(kept), on=KEY))
    return Courses(table[list(CONDITIONS)].astype(CONDITIONS), until_decided(courses, n_agents=n_agents), notes, first)


def _first_scores(agents: pd.DataFrame) -> dict[str, list[Lineages]]:
    lineages: dict[str, list[Lineages]] = {}
    for _, society in agents.groupby(["condition", "seed"], sort=True):
        is_invader = (society["model"] == society["label"]).to_numpy(dtype=bool)
        scores = society["score"].to_numpy(dtype=float)
        lineages.setdefault(str(society["condition"].iloc[0]), []).append(
            Lineages(scores, np.ones(len(society)), is_invader)
        )
    return lineages


def _counts(agents: pd.DataFrame) -> pd.DataFrame:
    is_invader = (agents["model"] == agents["label"]).fillna(False).astype(bool)
    groups = agents.assign(
        n_invaders=is_invader.astype(int),
        resident_score=agents["score"].where(~is_invader),
        invader_score=agents["score"].where(is_invader),
    ).groupby(["condition", "seed", "generation"], sort=True)
    counts = groups.agg(
        n_invaders=("n_invaders", "sum"),
        resident_score=("resident_score", "mean"),
        invader_score=("invader_score", "mean"),
    )
    return counts.reset_index().astype(COURSES)


def until_decided(courses: pd.DataFrame, *, n_agents: int | pd.Series[int]) -> pd.DataFrame:
    """Return the rows of each run up to the first generation in which all agents have the same player."""
    is_decided = (courses["n_invaders"] == 0) | (courses["n_invaders"] == n_agents)
    n_decided = is_decided.astype(int).groupby([courses["condition"], courses["seed"]]).cumsum()
    return courses.loc[n_decided - is_decided.astype(int) == 0, list(COURSES)].reset_index(drop=True)


# --- outcomes ------------------------------------------------------------------------------------------------------


def invasions(courses: Courses) -> Invasions:
    """Return the outcomes of invasions.

    A run with both contestants in its last generation is *censored*: its outcome is unknown. So the rate of fixation
    lies between `n_fixed / n_runs` and `(n_fixed + n_censored) / n_runs`. The 95 % interval goes from the lower
    Clopper-Pearson limit of the first to the upper limit of the second; its coverage is at least 95 % whatever the
    outcomes of censored runs. p is from the exact two-sided binomial test against `neutral`, k of N, for the bound that
    is nearer to it, and 1 if k/N lies between the bounds; Holm's (1979) correction is over all conditions with
    selection, and separately over those without. The advantage of invaders in generation 1 is tested by permuting the
    labels of each society's agents (`within.label_test`), which is exact for any number of invaders. Its interval
    inverts that test, and Holm's correction is over all conditions with selection.
    """
    runs = _outcomes(courses)
    rows: list[dict[Any, Any]] = []
    for condition in courses.conditions.to_dict("records"):
        condition_runs = runs[runs["condition"] == condition["condition"]]
        if len(condition_runs):
            first = courses.first.get(str(condition["condition"]), ())
            rows.append(
                {
                    **condition,
                    **_rates(condition_runs["outcome"], condition),
                    **_advantage(condition_runs, condition, first),
                }
            )
    for neutral in (False, True):
        _judge([row for row in rows if row["is_neutral"] == neutral])
    _judge_advantages([row for row in rows if row["p_advantage"] is not None])
    columns = CONDITIONS | OF_A_CONDITION
    table = pd.DataFrame(rows, columns=list(columns)).astype(columns)
    notes = [*courses.notes, *_cannot(rows)]
    return Invasions(runs, table, _pairs(table), tuple(notes))


OF_A_CONDITION: Final = (
    dict.fromkeys(("n_runs", "n_fixed", "n_extinct", "n_censored"), "Int64")
    | dict.fromkeys(("rate_low", "rate_high", "low", "high", "neutral", "p", "p_holm"), "Float64")
    | dict.fromkeys(("advantage", "advantage_low", "advantage_high", "p_advantage", "p_advantage_holm"), "Float64")
    | {"verdict": "string", "verdict_advantage": "string"}
)


def load_invasions(*folders: Path | str) -> Invasions:
    """Read logged invasions from the folders of their studies and return their outcomes.

    Raises:
        LogError: a folder holds no study, or no run of an invasion is complete.
    """
    return invasions(courses_of(load(*folders)))


def _outcomes(courses: Courses) -> pd.DataFrame:
    keys = ["condition", "seed"]
    described = ["condition", "resident", "invader", "selection", "is_neutral", "n_agents"]
    groups = courses.courses.groupby(keys, sort=True)
    first, last = groups.head(1), groups.tail(1)
    advantage = (first["invader_score"] - first["resident_score"]).to_numpy()
    runs = last[[*keys, "generation", "n_invaders"]].reset_index(drop=True)
    runs["advantage"] = pd.array(advantage, dtype="Float64")
    runs = runs.merge(courses.conditions[described], on="condition", how="left")
    n_invaders = runs["n_invaders"]
    outcome = pd.Series("censored", index=runs.index, dtype="string")
    runs["outcome"] = outcome.mask(n_invaders == 0, "extinct").mask(n_invaders == runs["n_agents"], "fixed")
    return runs[[*described[:-1], "seed", "outcome", "generation", "n_invaders", "advantage"]]


def _rates(outcomes: pd.Series[str], condition: Mapping[Any, Any]) -> dict[str, Any]:
    from scipy.stats import binomtest

    n = len(outcomes)
    counts = {outcome: int((outcomes == outcome).sum()) for outcome in ("fixed", "extinct", "censored")}
    at_least, at_most = counts["fixed"], counts["fixed"] + counts["censored"]
    neutral = condition["n_invaders"] / condition["n_agents"]
    p = 1.0
    if at_least / n > neutral:
        p = binomtest(at_least, n, neutral).pvalue
    elif at_most / n < neutral:
        p = binomtest(at_most, n, neutral).pvalue
    return {
        "n_runs": n,
        **{f"n_{outcome}": count for outcome, count in counts.items()},
        "rate_low": at_least / n,
        "rate_high": at_most / n,
        "low": clopper_pearson(at_least, n).low,
        "high": clopper_pearson(at_most, n).high,
        "neutral": neutral,
        "p": float(p),
    }


def _advantage(condition_runs: pd.DataFrame, condition: Mapping[Any, Any], first: Sequence[Lineages]) -> dict[str, Any]:
    """Return the invaders' advantage in generation 1; neutral conditions have the same games and get no test."""
    mean = float(condition_runs["advantage"].to_numpy(dtype=float).mean())
    row: dict[str, Any] = {"advantage": mean, "advantage_low": None, "advantage_high": None, "p_advantage": None}
    if condition["is_neutral"] or not first:
        return row
    test = label_test(first)
    return row | {
        "advantage_low": test.interval.low,
        "advantage_high": test.interval.high,
        "p_advantage": test.p,
        "least_p_advantage": test.least_p,
    }


def _judge_advantages(rows: list[dict[Any, Any]]) -> None:
    for row, p in zip(rows, holm([row["p_advantage"] for row in rows]), strict=True):
        row["p_advantage_holm"] = p
        row["verdict_advantage"] = "cannot say" if p >= ALPHA else "more" if row["advantage"] > 0 else "less"


def _judge(rows: list[dict[Any, Any]]) -> None:
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
        is_more = row["rate_low"] > row["neutral"]
        row["verdict"] = "cannot say" if p >= ALPHA else "more" if is_more else "less"


SIGNS: Final = {"more": 1, "less": -1, "cannot say": 0}


def _pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each pair of contestants that invaded each other under the same rules."""
    under = [row for row in table.to_dict("records") if not row["is_neutral"]]
    by_place = {(row["rules"], row["resident"], row["invader"]): row for row in under}
    rows = []
    for (rules, first, second), into_first in list(by_place.items()):
        into_second = by_place.pop((rules, second, first), None)
        if into_second is None or by_place.get((rules, first, second)) is None:
            continue  # played in one direction only, or seen from the other side already
        rates = SIGNS[into_second["verdict"]], SIGNS[into_first["verdict"]]
        earned = _sign(into_second), _sign(into_first)
        rows.append(
            {
                "first": first,
                "second": second,
                "selection": into_first["selection"],
                "first_invades": into_second["verdict"],
                "second_invades": into_first["verdict"],
                "by_fixation": _kind(first, second, *rates),
                "by_fitness": _kind(first, second, *earned),
            }
        )
    columns = ["first", "second", "selection", "first_invades", "second_invades", "by_fixation", "by_fitness"]
    return pd.DataFrame(rows, columns=columns).astype("string")


def _sign(row: Mapping[Any, Any]) -> int:
    """Return 1 if rare invaders earn more than residents, -1 if they earn less, 0 if that cannot be said."""
    verdict = row["verdict_advantage"]
    return 0 if pd.isna(verdict) else SIGNS[verdict]


def _kind(first: str, second: str, first_invades: int, second_invades: int) -> str:
    if 0 in (first_invades, second_invades):
        return "cannot say"
    if first_invades == second_invades:
        return "each invades the other" if first_invades > 0 else "each resists the other"
    return f"{first if first_invades > 0 else second} dominates"


def _cannot(rows: list[dict[Any, Any]]) -> Iterator[str]:
    """Yield what no outcome could have shown, and what remained undecided."""
    tested = [row for row in rows if not row["is_neutral"]]
    for n, neutral in sorted({(row["n_runs"], row["neutral"]) for row in tested}):
        needed = needed_runs(neutral, n_tests=len(tested))
        if n < needed:
            yield (
                f"{counted(n, 'run')} cannot show that residents resist an invader: even if none fixes, that is"
                f" compatible with chance ({neutral:.1%}). {needed} runs of each condition can show it."
            )
    judged = [row for row in tested if row["p_advantage"] is not None]
    if judged and (weak := [row for row in judged if row["least_p_advantage"] * len(judged) >= ALPHA]):
        yield (
            f"{counted(min(row['n_runs'] for row in weak), 'run')} cannot show what rare invaders earn: the least p,"
            f" {max(row['least_p_advantage'] for row in weak):.2g}, is not below {ALPHA:g} after Holm over"
            f" {counted(len(judged), 'invasion')}."
        )
    n_censored = sum(row["n_censored"] for row in rows)
    if n_censored:
        yield (
            f"{counted(n_censored, 'run')} of {sum(row['n_runs'] for row in rows):,} ended undecided (censored), so"
            " rates have bounds, from all of these lost to all fixed. More generations would decide them."
        )
    lost = max((row["share_lost"] for row in rows if not pd.isna(row["share_lost"])), default=0)
    if lost:
        yield f"Decisions lost because they could not be read: up to {lost:.1%} in a condition."


def needed_runs(neutral: float, *, n_tests: int) -> int:
    """Return how many runs without a fixation are significantly below chance, as the first of `n_tests` after Holm."""
    from scipy.stats import binomtest

    n = max(1, math.ceil(math.log(ALPHA / n_tests) / math.log1p(-neutral)))
    while binomtest(0, n, neutral).pvalue * n_tests >= ALPHA:
        n += 1
    return n


# --- as a matrix -------------------------------------------------------------------------------------


def matrix_rows(result: Invasions) -> tuple[list[str], dict[tuple[str, str], dict[Any, Any]]]:
    """Return the contestants, and the rows of `conditions` under selection, by resident and invader.

    Raises:
        LogError: two conditions under selection have the same resident and invader.
    """
    under = result.conditions[~result.conditions["is_neutral"].astype(bool)]
    cells = {(row["resident"], row["invader"]): row for row in under.to_dict("records")}
    if len(cells) < len(under):
        raise LogError("the same contestants met under several rules: a matrix shows only one set of rules")
    names = dict.fromkeys(name for place in cells for name in place)
    return list(names), cells
