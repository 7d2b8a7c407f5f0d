"""The least and the most that the rules and the schedules of runs allow, as columns of generations and of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from agentsim.analysis.frames.logs import RunColumns
from agentsim.analysis.frames.maximum import (
    OF_FIXED,
    OF_SHARES,
    can_always_give,
    highest_mean_of_first,
    known_rules,
    unit_worth,
)
from agentsim.core.facts import Settled
from agentsim.core.games.before import CHOOSE
from agentsim.core.rules import SocietyRules
from agentsim.log.records import RunStarted

__all__ = ["least_of", "maximum_of_rules", "of_schedules", "with_bounds_of_other_games"]


def of_schedules(runs: Mapping[str, RunColumns], encounters: pd.DataFrame, numbers: NDArray[np.intp]) -> pd.DataFrame:
    """Return `maximum`, the highest mean final resources that each run's and generation's schedule allows, and its
    number of rounds."""
    in_run, in_game, round_ = (encounters[name].to_numpy(dtype=np.int64) for name in ("generation", "game", "round"))
    generation, first_of = _numbered(numbers, in_run)
    game, _ = _numbered(generation, in_game)
    agents, _ = pd.factorize(pd.concat([encounters["donor"], encounters["recipient"]]))
    holders, firsts = _numbered(np.concatenate([game, game]), agents)
    schedule: dict[str, Any] = {
        "donor": holders[: len(encounters)],
        "recipient": holders[len(encounters) :],
        "round_": round_,
        "n_holders": len(firsts),
    }
    known = pd.DataFrame(
        {name: known_rules(run.started.condition["game"]) for name, run in runs.items()},
        index=list(dict.fromkeys([*OF_SHARES, *OF_FIXED])),
    ).T.astype(float)
    of_run = numbers[first_of]
    rules = known.iloc[of_run]
    endowment = rules["endowment"].to_numpy()
    of_holder = np.concatenate([generation, generation])[firsts]
    worth = unit_worth(**schedule, multiplier=known["multiplier"].to_numpy()[numbers])
    n_all = np.array([_n_holders(run.started.condition) for run in runs.values()])[of_run]
    # Who sat out every round of a game keeps what it had.
    n_idle = np.maximum(n_all - np.bincount(of_holder, minlength=len(first_of)), 0)
    maximum = endowment * (pd.Series(worth).groupby(of_holder).sum().to_numpy() + n_idle) / n_all
    if rules["cost"].notna().any():
        fixed: dict[str, Any] = {name: known[name].to_numpy()[numbers] for name in OF_FIXED}
        gain = np.maximum((rules["benefit"] - rules["cost"]).to_numpy(), 0)
        of_fixed = endowment + gain * np.bincount(generation, minlength=len(first_of)) / n_all
        can_give = pd.Series(can_always_give(**schedule, **fixed)).groupby(of_holder).all().to_numpy()
        maximum = np.where(rules["cost"].isna(), maximum, np.where(can_give | (gain == 0), of_fixed, np.nan))
    n_rounds = np.zeros(len(first_of), dtype=np.int64)
    np.maximum.at(n_rounds, generation, round_)
    return pd.DataFrame(
        {"maximum": pd.array(maximum, dtype="Float64"), "n_rounds": pd.array(n_rounds, dtype="Int64")},
        index=pd.MultiIndex.from_arrays(
            [pd.array([list(runs)[number] for number in of_run], dtype="string"), pd.array(in_run[first_of], "Int64")],
            names=["run", "generation"],
        ),
    )


def least_of(condition: Mapping[str, Any]) -> float | None:
    """Return what everyone ends with if nobody gives; `None` in other games, and where endowments differ."""
    game = condition["game"]
    is_known = game["kind"] == "donor" and isinstance(game["endowment"], int | float)
    return float(game["endowment"]) if is_known else None


def with_bounds_of_other_games(frame: pd.DataFrame, runs: Mapping[str, RunColumns]) -> pd.DataFrame:
    """Fill in rounds, minimum and maximum of games other than the donor game."""
    names = ["n_rounds", "minimum", "maximum"]
    rows = [row for name, run in runs.items() for row in _bounds_of_other_game(name, run)]
    if not rows:
        return frame
    bounds = pd.DataFrame(rows, columns=["run", "generation", *names]).set_index(["run", "generation"])
    keys = pd.MultiIndex.from_frame(frame[["run", "generation"]])
    at = keys.isin(bounds.index)
    for name in names:
        frame.loc[at, name] = bounds[name].reindex(keys[at]).to_numpy()
    return frame


def _bounds_of_other_game(name: str, run: RunColumns) -> Iterator[tuple[str, int, int, float | None, float | None]]:
    """Yield the rounds, minimum and maximum of each generation that has ended, in games other than the donor game."""
    condition = run.started.condition
    if condition["game"]["kind"] == "donor":
        return
    n_rounds: dict[int, int] = {}
    n_happened: dict[int, int] = {}
    for record in run.records:
        if isinstance(record, Settled):
            n_rounds[record.generation] = max(record.round, n_rounds.get(record.generation, 0))
            n_happened[record.generation] = n_happened.get(record.generation, 0) + (not record.is_missing)
    totals = _totals(condition)
    for end in run.ends():
        least = most = None
        if totals is not None:
            n, endowment = n_happened.get(end.generation, 0), float(condition["game"]["endowment"])
            least, most = (endowment + n * total / _n_holders(condition) for total in totals)
        yield name, end.generation, n_rounds.get(end.generation, 0), least, most


def _totals(condition: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return what an encounter adds if all moves are the least and the most cooperative; `None` if not known."""
    try:
        game = SocietyRules.logged(condition).game
    except ValidationError:
        return None
    if set(game.before) - {CHOOSE}:  # how many encounters there are, and of how many members, depends on the answers
        return None
    least, most = game.total_at(0.0), game.total_at(1.0)
    return None if least is None or most is None or not isinstance(game.endowment, int | float) else (least, most)


def _n_holders(condition: Mapping[str, Any]) -> float:
    return float(condition["agents"] * condition["game"]["games"])


def _numbered(groups: NDArray[Any], members: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the pairs of two numbers from 0 as they come; return each row's, and the first row of each."""
    numbers, pairs = pd.factorize(groups * (int(members.max(initial=0)) + 1) + members)
    firsts = np.full(len(pairs), len(numbers), dtype=np.intp)
    np.minimum.at(firsts, numbers, np.arange(len(numbers)))
    return numbers, firsts


def maximum_of_rules(started: RunStarted) -> float | None:
    """Return the first generation's maximum by the rules; missing where it does not follow from them."""
    if not known_rules(started.condition["game"]):
        return None
    try:
        return highest_mean_of_first(SocietyRules.logged(started.condition), seed=started.seed)
    except ValidationError:
        return None
