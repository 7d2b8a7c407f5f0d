"""Do invaders take over a resident population, are they lost, or is it not decided: by run, by pair, as a matrix.

An invasion is a run with two players, named `resident` and `invader`, in which newborns are played by their parent's
player. So a population in which only one of the two is left stays so for ever.
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
"""Of verdicts, where there is little room."""
MAX_NAMED: Final = 8
"""Runs that a sentence names; it counts the rest."""


@dataclass(frozen=True, eq=False)
class Courses:
    """How invasions went, generation by generation; from logs, or from societies that were played without any."""

    conditions: pd.DataFrame
    """One row a condition; columns `CONDITIONS`."""
    courses: pd.DataFrame
    """One row a complete run and generation, up to the first in which it is decided; columns `COURSES`."""
    notes: tuple[str, ...] = ()
    """What was left out, in sentences for a person."""
    first: Mapping[str, Sequence[Lineages]] = field(default_factory=dict)
    """By condition, for each run the agents of generation 1: what selection saw of each (units), invaders first."""


CONDITIONS: Final = {
    "condition": "string",  # its name
    "resident": "string",  # who is there already
    "invader": "string",
    "selection": "string",  # by what rule agents leave, and whether parents are drawn by score
    "is_neutral": "boolean",  # whether what an agent earned has no part in who leaves and who is copied
    "rules": "string",  # equal for conditions that differ in their players alone
    "n_agents": "Int64",
    "n_invaders": "Int64",  # in generation 1
    "n_generations": "Int64",
    "share_lost": "Float64",  # of decisions: those that could not be read
}
COURSES: Final = {
    "condition": "string",
    "seed": "Int64",
    "generation": "Int64",
    "n_invaders": "Int64",
    "resident_score": "Float64",  # units: mean over the residents of what selection sees; missing without any
    "invader_score": "Float64",
}


@dataclass(frozen=True, eq=False)
class Invasions:
    """What became of invaders."""

    runs: pd.DataFrame
    """One row a complete run: `condition`, `resident`, `invader`, `selection`, `is_neutral`, `seed`; `outcome`: fixed
    (only invaders are left), extinct (none), or censored (both are there in the last generation); `generation`, the
    first in which it was decided, or the last; `n_invaders` then; `advantage` in generation 1, mean score of invaders
    less that of residents (units)."""
    conditions: pd.DataFrame
    """One row a condition: columns `CONDITIONS`; `n_runs`, `n_fixed`, `n_extinct`, `n_censored`; `rate_low`, the rate
    of fixation where all censored runs count as lost, and `rate_high`, where they count as fixed; `low` and `high`, the
    exact interval around both; `neutral`, the rate without selection; `p`, `p_holm` and `verdict`, more, less or cannot
    say; `advantage` (mean over runs, units) with its interval `advantage_low` to `advantage_high`, the inverse of its
    test; `p_advantage`, `p_advantage_holm` over all conditions with selection, and `verdict_advantage`."""
    pairs: pd.DataFrame
    """One row a pair of contestants that invaded each other under selection: `first`, `second`; the verdicts
    `first_invades` and `second_invades`; `by_fixation` and `by_fitness`, what follows for the two."""
    notes: tuple[str, ...]
    """What was left out and what cannot be said, in sentences for a person."""


# --- from logs -----------------------------------------------------------------------------------------------------


def contestant_name(player: Mapping[str, Any]) -> str:
    """Return how a resident or an invader is called: its model, and what its name says beside the role."""
    own = str(player["name"]).removeprefix("resident").removeprefix("invader").strip()
    return f"{str(player['model']).partition('/')[2]} {own}".strip()


def described(condition: Mapping[str, Any], *, name: str, rules: str) -> dict[str, Any] | None:
    """Return a condition, as it is logged, as a row of `CONDITIONS` without `share_lost`; `None` if it is no invasion.

    `label` is beside it: that of the invaders, as agents carry it.
    """
    players, rule, learning = condition["players"], condition["selection"], condition["transmission"]
    if learning.get("model_from", "vacancy") != "parent" or isinstance(players, Mapping) or len(players) != 2:
        return None
    found = dict(zip((str(player.get("name")).split(" ")[0] for player in players), players, strict=True))
    if set(found) != set(get_args(Role)):
        return None
    kind, chances = rule.get("kind", "top"), learning.get("chances", "equal")
    return {
        "condition": name,
        **{role: contestant_name(player) for role, player in found.items()},
        "selection": f"{kind}, by score" if chances == "by_score" else kind,
        "is_neutral": not logged_selection(condition).looks_at_scores and chances == "equal",
        "rules": rules,
        "n_agents": condition["agents"],
        "n_invaders": found["invader"]["agents"],
        "n_generations": condition["generations"],
        "label": labels_in(condition)[list(found).index("invader")],
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
            f"{study.name}: holds no complete invasion, a run with a resident and an invader whose newborns are played"
            f" by their parent's model{f'; {left_out}' if unfinished else ''}"
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
    found: dict[str, list[Lineages]] = {}
    for _, own in agents.groupby(["condition", "seed"], sort=True):
        is_invader = (own["model"] == own["label"]).to_numpy(dtype=bool)
        scores = own["score"].to_numpy(dtype=float)
        found.setdefault(str(own["condition"].iloc[0]), []).append(Lineages(scores, np.ones(len(own)), is_invader))
    return found


def _counts(agents: pd.DataFrame) -> pd.DataFrame:
    is_invader = (agents["model"] == agents["label"]).fillna(False).astype(bool)
    own = agents.assign(
        n_invaders=is_invader.astype(int),
        resident_score=agents["score"].where(~is_invader),
        invader_score=agents["score"].where(is_invader),
    ).groupby(["condition", "seed", "generation"], sort=True)
    found = own.agg(
        n_invaders=("n_invaders", "sum"),
        resident_score=("resident_score", "mean"),
        invader_score=("invader_score", "mean"),
    )
    return found.reset_index().astype(COURSES)


def until_decided(courses: pd.DataFrame, *, n_agents: int | pd.Series[int]) -> pd.DataFrame:
    """Return the rows of each run up to the first generation in which its agents are all of one kind."""
    is_decided = (courses["n_invaders"] == 0) | (courses["n_invaders"] == n_agents)
    n_decided = is_decided.astype(int).groupby([courses["condition"], courses["seed"]]).cumsum()
    return courses.loc[n_decided - is_decided.astype(int) == 0, list(COURSES)].reset_index(drop=True)


# --- what came out -------------------------------------------------------------------------------------------------


def invasions(found: Courses) -> Invasions:
    """Return what became of invaders.

    A run in which both contestants are left in its last generation is *censored*: nobody knows how it would have
    ended. So the rate of fixation lies between `n_fixed / n_runs` and `(n_fixed + n_censored) / n_runs`. The 95 %
    interval goes from the lower Clopper-Pearson limit of the first to the upper limit of the second, and holds at
    least its level whatever became of the censored. p is that of the exact two-sided binomial test against `neutral`,
    k of N, on the bound that is nearer to it, and 1 where k/N lies between the bounds; Holm's (1979) correction is over
    all conditions with selection, and by itself over those without. The advantage of invaders in generation 1 is tested
    by permuting the labels of each society's agents (`within.label_test`): exact however few the invaders. Its interval
    inverts that test, and Holm's correction is over all conditions with selection, too.
    """
    runs = _outcomes(found)
    rows: list[dict[Any, Any]] = []
    for condition in found.conditions.to_dict("records"):
        own = runs[runs["condition"] == condition["condition"]]
        if len(own):
            first = found.first.get(str(condition["condition"]), ())
            rows.append({**condition, **_rates(own["outcome"], condition), **_advantage(own, condition, first)})
    for neutral in (False, True):
        _judge([row for row in rows if row["is_neutral"] == neutral])
    _judge_advantages([row for row in rows if row["p_advantage"] is not None])
    columns = CONDITIONS | OF_A_CONDITION
    table = pd.DataFrame(rows, columns=list(columns)).astype(columns)
    notes = [*found.notes, *_cannot(rows)]
    return Invasions(runs, table, _pairs(table), tuple(notes))


OF_A_CONDITION: Final = (
    dict.fromkeys(("n_runs", "n_fixed", "n_extinct", "n_censored"), "Int64")
    | dict.fromkeys(("rate_low", "rate_high", "low", "high", "neutral", "p", "p_holm"), "Float64")
    | dict.fromkeys(("advantage", "advantage_low", "advantage_high", "p_advantage", "p_advantage_holm"), "Float64")
    | {"verdict": "string", "verdict_advantage": "string"}
)


def load_invasions(*folders: Path | str) -> Invasions:
    """Read logged invasions from the folders of their studies, and return what became of the invaders.

    Raises:
        LogError: a folder holds no study, or no run of an invasion is complete.
    """
    return invasions(courses_of(load(*folders)))


def _outcomes(found: Courses) -> pd.DataFrame:
    keys = ["condition", "seed"]
    described = ["condition", "resident", "invader", "selection", "is_neutral", "n_agents"]
    groups = found.courses.groupby(keys, sort=True)
    first, last = groups.head(1), groups.tail(1)
    advantage = (first["invader_score"] - first["resident_score"]).to_numpy()
    runs = last[[*keys, "generation", "n_invaders"]].reset_index(drop=True)
    runs["advantage"] = pd.array(advantage, dtype="Float64")
    runs = runs.merge(found.conditions[described], on="condition", how="left")
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


def _advantage(own: pd.DataFrame, condition: Mapping[Any, Any], first: Sequence[Lineages]) -> dict[str, Any]:
    """Return the invaders' advantage in generation 1; of neutral conditions it is the same, as the games are."""
    mean = float(own["advantage"].to_numpy(dtype=float).mean())
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
    """Return what two contestants that invaded each other under the same selection are to each other."""
    under = [row for row in table.to_dict("records") if not row["is_neutral"]]
    by_place = {(row["rules"], row["resident"], row["invader"]): row for row in under}
    found = []
    for (rules, first, second), into_first in list(by_place.items()):
        into_second = by_place.pop((rules, second, first), None)
        if into_second is None or by_place.get((rules, first, second)) is None:
            continue  # played in one direction only, or seen from the other side already
        rates = SIGNS[into_second["verdict"]], SIGNS[into_first["verdict"]]
        earned = _sign(into_second), _sign(into_first)
        found.append(
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
    return pd.DataFrame(found, columns=columns).astype("string")


def _sign(row: Mapping[Any, Any]) -> int:
    """Return 1 where invaders earn more than residents while they are few, -1 where less, 0 where nobody can say."""
    verdict = row["verdict_advantage"]
    return 0 if pd.isna(verdict) else SIGNS[verdict]


def _kind(first: str, second: str, first_invades: int, second_invades: int) -> str:
    if 0 in (first_invades, second_invades):
        return "cannot say"
    if first_invades == second_invades:
        return "each invades the other" if first_invades > 0 else "each resists the other"
    return f"{first if first_invades > 0 else second} dominates"


def _cannot(rows: list[dict[Any, Any]]) -> Iterator[str]:
    """Say what no outcome could have shown, and what remained open."""
    tested = [row for row in rows if not row["is_neutral"]]
    for n, neutral in sorted({(row["n_runs"], row["neutral"]) for row in tested}):
        needed = needed_runs(neutral, n_tests=len(tested))
        if n < needed:
            yield (
                f"{counted(n, 'run')} cannot show that an invader is held off: that none of them fixed is still no"
                f" less than chance ({neutral:.1%}). {needed} runs a condition can."
            )
    judged = [row for row in tested if row["p_advantage"] is not None]
    if judged and (weak := [row for row in judged if row["least_p_advantage"] * len(judged) >= ALPHA]):
        yield (
            f"{counted(min(row['n_runs'] for row in weak), 'run')} cannot show what invaders earn while they are few:"
            f" the least p, {max(row['least_p_advantage'] for row in weak):.2g}, is not below {ALPHA:g} after Holm over"
            f" {counted(len(judged), 'invasion')}."
        )
    n_censored = sum(row["n_censored"] for row in rows)
    if n_censored:
        yield (
            f"{counted(n_censored, 'run')} of {sum(row['n_runs'] for row in rows):,} ended undecided (censored): their"
            " rates are given as bounds, all lost to all fixed. More generations would decide them."
        )
    lost = max((row["share_lost"] for row in rows if not pd.isna(row["share_lost"])), default=0)
    if lost:
        yield f"Decisions that could not be read, so lost: up to {lost:.1%} in a condition."


def needed_runs(neutral: float, *, n_tests: int) -> int:
    """Return how many runs without any fixation are less than chance, the first of so many tests after Holm."""
    from scipy.stats import binomtest

    n = max(1, math.ceil(math.log(ALPHA / n_tests) / math.log1p(-neutral)))
    while binomtest(0, n, neutral).pvalue * n_tests >= ALPHA:
        n += 1
    return n


# --- as a matrix -------------------------------------------------------------------------------------


def matrix_rows(found: Invasions) -> tuple[list[str], dict[tuple[str, str], dict[Any, Any]]]:
    """Return the contestants, and the row of `conditions` under selection by resident and invader.

    Raises:
        LogError: two conditions under selection have the same resident and invader.
    """
    under = found.conditions[~found.conditions["is_neutral"].astype(bool)]
    cells = {(row["resident"], row["invader"]): row for row in under.to_dict("records")}
    if len(cells) < len(under):
        raise LogError("the same contestants met under several rules: one matrix is of one set of rules")
    names = dict.fromkeys(name for place in cells for name in place)
    return list(names), cells
