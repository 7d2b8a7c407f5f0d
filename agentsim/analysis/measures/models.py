"""Societies in which several models play: how each model's agents fared, and how they treat each other."""

from __future__ import annotations

from typing import Final

import pandas as pd

from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.decisions import lost, lost_moves, own_fraction, own_level, own_level_of_moves
from agentsim.analysis.frames.study import Study

__all__ = ["by_model", "mixed_societies"]

GROUP: Final = [*GENERATION, "model"]
MEANS: Final = ["mean_fraction", "to_own", "to_others", "mean_level"]


def by_model(agents: pd.DataFrame, encounters: pd.DataFrame, moves: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return by run, generation and model how its agents fared and what they gave.

    Columns: study, run, generation, model; `n_agents` and their `share` of the generation; `n_survived` (missing in the
    last generation); `mean_score` (units, as selection saw it); `n_decisions` as donors and `n_lost` of them;
    `mean_fraction` given by decisions of their own, and the same for gifts `to_own` model and `to_others`;
    `mean_level`, of `moves` in other games than the donor game. A model that has died out has no row.
    """
    living = agents.groupby(GROUP, sort=True).agg(
        n_agents=("agent", "size"),
        n_survived=("survived", lambda survived: survived.sum() if survived.notna().any() else pd.NA),
        mean_score=("score", "mean"),
    )
    totals = agents.groupby(GROUP[:3]).size().rename("n_all")
    living = living.join(totals, on=GROUP[:3])
    living.insert(1, "share", living["n_agents"] / living.pop("n_all"))
    is_own = (encounters["donor_model"] == encounters["recipient_model"]).fillna(False).astype(bool)
    given = own_fraction(encounters)
    acts = encounters[GENERATION].assign(
        model=encounters["donor_model"],
        n_decisions=1,
        n_lost=lost(encounters).astype(int),
        mean_fraction=given,
        to_own=given.where(is_own),
        to_others=given.where(~is_own),
        mean_level=own_level(encounters),
    )
    if moves is not None and not moves.empty:
        others = moves[GENERATION].assign(
            model=moves["actor_model"],
            n_decisions=1,
            n_lost=lost_moves(moves).astype(int),
            mean_level=own_level_of_moves(moves),
        )
        acts = others.reindex(columns=acts.columns) if acts.empty else pd.concat([acts, others], ignore_index=True)
        acts[MEANS] = acts[MEANS].astype("Float64")
    groups = acts.groupby(GROUP, sort=True)
    counts = groups[["n_decisions", "n_lost"]].sum()
    means = groups[MEANS].mean()
    by_group = living.join(counts).join(means)
    by_group[["n_decisions", "n_lost"]] = by_group[["n_decisions", "n_lost"]].fillna(0)
    dtypes = {name: "Int64" if str(name).startswith("n_") else "Float64" for name in by_group}
    return by_group.astype(dtypes).reset_index()


def mixed_societies(study: Study) -> pd.DataFrame:
    """Return `by_model` of the first and the last generation of each run in which several models play."""
    is_mixed = study.runs["model"].str.contains(" + ", regex=False).fillna(False).astype(bool)
    if study.agents.empty or not is_mixed.any():
        return pd.DataFrame(columns=GROUP)
    runs = study.runs.loc[is_mixed, KEY]
    by_generation = by_model(*(frame.merge(runs, on=KEY) for frame in (study.agents, study.encounters, study.moves)))
    ends = by_generation.groupby(KEY)["generation"]
    is_end = (by_generation["generation"] == ends.transform("min")) | (
        by_generation["generation"] == ends.transform("max")
    )
    return by_generation[is_end].reset_index(drop=True)
