"""Do invaders take over a resident population, are they lost, or is it not decided: by run, by pair, as a matrix.

An invasion is a run with two players, named `resident` and `invader`, in which newborns are played by their parent's
player. So a population in which only one of the two is left stays so for ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import pandas as pd

from agentsim.analysis.compare import ALPHA
from agentsim.analysis.frames import Study
from agentsim.analysis.statistics import bca_interval, clopper_pearson, holm
from agentsim.cast import labels_in
from agentsim.errors import LogError

__all__ = ["Courses", "Invasions", "Role", "contestant_name", "courses_of", "invasions", "is_neutral"]

Role = Literal["resident", "invader"]
BLIND: Final = ("drift", "moran", "staggered")
"""Kinds of selection under which who leaves has nothing to do with what it earned."""
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
    say; `advantage` (mean over runs, units) with its interval `advantage_low` to `advantage_high`."""
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


def is_neutral(selection: Mapping[str, Any], transmission: Mapping[str, Any]) -> bool:
    """Return whether what an agent earned has no part in who leaves and who is copied."""
    return selection.get("kind", "top") in BLIND and transmission.get("chances", "equal") == "equal"


def selection_name(selection: Mapping[str, Any], transmission: Mapping[str, Any]) -> str:
    """Return in a word or two how selection works."""
    kind = str(selection.get("kind", "top"))
    return f"{kind}, by score" if transmission.get("chances", "equal") == "by_score" else kind


def courses_of(study: Study) -> Courses:
    """Return the courses of a study's invasions.

    Raises:
        LogError: none of its runs is a complete invasion.
    """
    runs = study.runs.assign(condition=study.conditions(study.runs))
    kept, conditions, notes = [], {}, []
    unfinished: list[str] = []
    for row in runs.to_dict("records"):
        started = study.started.get((row["study"], row["run"]))
        roles = None if started is None else _roles(started.condition)
        if started is not None and roles is None:
            continue
        if started is None or roles is None or row["status"] != "complete":
            unfinished.append(str(row["run"]))
            continue
        conditions[row["condition"]] = _condition(row, started.condition, roles)
        kept.append({key: row[key] for key in ("study", "run", "condition", "seed")} | {"label": roles["invader"][0]})
    if not kept:
        what = f"; not complete: {_listed(unfinished)}" if unfinished else ""
        raise LogError(
            f"{study.name}: holds no complete invasion, a run with a resident and an invader whose newborns take their"
            f" parent's model{what}"
        )
    if unfinished:
        notes.append(f"{_counted(len(unfinished), 'run')} left out, not complete: {_listed(unfinished)}.")
    own = pd.DataFrame(kept)
    agents = study.agents.merge(own, on=["study", "run"])
    table = pd.DataFrame(list(conditions.values()))
    lost = runs.groupby("condition")[["n_missed", "n_replaced", "n_encounters"]].sum()
    share = (lost["n_missed"] + lost["n_replaced"]) / lost["n_encounters"]
    table["share_lost"] = table["condition"].map(share)
    courses = _counts(agents).merge(table[["condition", "n_agents"]].astype({"condition": "string"}), on="condition")
    return Courses(table[list(CONDITIONS)].astype(CONDITIONS), until_decided(courses), tuple(notes))


def _roles(condition: Mapping[str, Any]) -> dict[Role, tuple[str, Mapping[str, Any]]] | None:
    """Return label and settings of resident and invader; `None` where a run is no invasion."""
    players = condition["players"]
    if condition["transmission"].get("model_from", "vacancy") != "parent" or isinstance(players, Mapping):
        return None
    found: dict[Role, tuple[str, Mapping[str, Any]]] = {
        role: (label, player)
        for label, player in zip(labels_in(condition), players, strict=True)
        for role in get_args(Role)
        if str(player.get("name")).split(" ")[0] == role
    }
    return found if len(found) == len(players) == 2 else None


def _condition(
    row: Mapping[Any, Any], condition: Mapping[str, Any], roles: Mapping[Role, tuple[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    rules = condition["selection"], condition["transmission"]
    return {
        "condition": row["condition"],
        **{role: contestant_name(player) for role, (_, player) in roles.items()},
        "selection": selection_name(*rules),
        "is_neutral": is_neutral(*rules),
        "rules": row["rules_digest"],
        "n_agents": row["n_agents"],
        "n_invaders": roles["invader"][1]["agents"],
        "n_generations": row["n_generations"],
    }


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


def until_decided(courses: pd.DataFrame) -> pd.DataFrame:
    """Return the rows up to the first generation in which all agents, given as `n_agents`, are of one kind."""
    ordered = courses.sort_values(["condition", "seed", "generation"], ignore_index=True)
    is_decided = (ordered["n_invaders"] == 0) | (ordered["n_invaders"] == ordered["n_agents"])
    keys = [ordered["condition"], ordered["seed"]]
    n_decided = is_decided.astype(int).groupby(keys).cumsum()
    return ordered.loc[n_decided - is_decided.astype(int) == 0, list(COURSES)].reset_index(drop=True)


# --- what came out -------------------------------------------------------------------------------------------------


def invasions(found: Courses) -> Invasions:
    """Return what became of invaders.

    A run in which both contestants are left in its last generation is *censored*: nobody knows how it would have ended.
    So the rate of fixation lies between `n_fixed / n_runs` and `(n_fixed + n_censored) / n_runs`. The 95 % interval goes
    from the lower Clopper-Pearson limit of the first to the upper limit of the second, and holds at least its level
    whatever became of the censored. p is that of the exact two-sided binomial test against `neutral`, k of N, on the
    bound that is nearer to it, and 1 where k/N lies between the bounds; Holm's (1979) correction is over all conditions
    with selection, and by itself over those without. The interval of `advantage` is BCa, over runs.
    """
    runs = _outcomes(found)
    rows = []
    for condition in found.conditions.to_dict("records"):
        own = runs[runs["condition"] == condition["condition"]]
        if len(own):
            rows.append({**condition, **_rates(own["outcome"], condition), **_advantage(own, condition)})
    for neutral in (False, True):
        _judge([row for row in rows if row["is_neutral"] == neutral])
    table = pd.DataFrame(rows).astype(CONDITIONS | OF_A_CONDITION)
    notes = [*found.notes, *_cannot(rows)]
    return Invasions(runs, table, _pairs(table), tuple(notes))


OF_A_CONDITION: Final = (
    dict.fromkeys(("n_runs", "n_fixed", "n_extinct", "n_censored"), "Int64")
    | dict.fromkeys(("rate_low", "rate_high", "low", "high", "neutral", "p", "p_holm"), "Float64")
    | dict.fromkeys(("advantage", "advantage_low", "advantage_high"), "Float64")
    | {"verdict": "string"}
)


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


def _advantage(own: pd.DataFrame, condition: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the invaders' advantage in generation 1; of neutral conditions it is the same, as the games are."""
    values = own["advantage"].to_numpy(dtype=float)
    if condition["is_neutral"]:
        return {"advantage": float(values.mean()), "advantage_low": None, "advantage_high": None}
    interval = bca_interval(values)
    low, high = interval.low, interval.high
    if interval.problem == "all differences are equal":  # in every run: there is nothing to be unsure of
        low = high = float(values.mean())
    return {"advantage": float(values.mean()), "advantage_low": low, "advantage_high": high}


def _judge(rows: list[dict[str, Any]]) -> None:
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
        is_more = row["rate_low"] > row["neutral"]
        row["verdict"] = "cannot say" if p >= ALPHA else "more" if is_more else "less"


SIGNS: Final = {"more": 1, "less": -1, "cannot say": 0}


def _pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return what two contestants that invaded each other under the same selection are to each other."""
    under = [row for row in table.to_dict("records") if not row["is_neutral"]]
    by_place = {(row["rules"], row["invader"], row["resident"]): row for row in under}
    found = []
    for (rules, first, second), one in by_place.items():
        other = by_place.get((rules, second, first))
        if other is None or list(by_place).index((rules, second, first)) < list(by_place).index((rules, first, second)):
            continue
        rates = SIGNS[one["verdict"]], SIGNS[other["verdict"]]
        found.append(
            {
                "first": first,
                "second": second,
                "selection": one["selection"],
                "first_invades": one["verdict"],
                "second_invades": other["verdict"],
                "by_fixation": _kind(first, second, *rates),
                "by_fitness": _kind(first, second, _sign(one), _sign(other)),
            }
        )
    columns = ["first", "second", "selection", "first_invades", "second_invades", "by_fixation", "by_fitness"]
    return pd.DataFrame(found, columns=columns).astype("string")


def _sign(row: Mapping[Any, Any]) -> int:
    """Return 1 where invaders earn more than residents while they are few, -1 where less, 0 where nobody can say."""
    if pd.isna(row["advantage_low"]) or pd.isna(row["advantage_high"]):
        return 0
    return int(row["advantage_low"] > 0) - int(row["advantage_high"] < 0)


def _kind(first: str, second: str, first_invades: int, second_invades: int) -> str:
    if 0 in (first_invades, second_invades):
        return "cannot say"
    if first_invades == second_invades:
        return "each invades the other" if first_invades > 0 else "each resists the other"
    return f"{first if first_invades > 0 else second} dominates"


def _cannot(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say what no outcome could have shown, and what remained open."""
    tested = [row for row in rows if not row["is_neutral"]]
    for n, neutral in sorted({(row["n_runs"], row["neutral"]) for row in tested}):
        needed = needed_runs(neutral, n_tests=len(tested))
        if n < needed:
            yield (
                f"Of {_counted(n, 'run')} not one may fix and it is still no less than chance ({neutral:.3g}):"
                f" {needed} runs a condition are needed to show that an invader is held off."
            )
    n_censored = sum(row["n_censored"] for row in rows)
    if n_censored:
        yield (
            f"{_counted(n_censored, 'run')} of {sum(row['n_runs'] for row in rows):,} ended undecided (censored): their"
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


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _listed(names: list[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
