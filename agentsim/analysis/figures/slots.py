"""Places of a society's agents in figures: survivors keep theirs, newborns take those of the culled."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from agentsim.analysis.frames import Study
from agentsim.errors import LogError

__all__ = ["living"]


def living(study: Study, run: str, *, name: str | None = None) -> pd.DataFrame:
    """Return the agents of one run's generations with a column `slot`, from 0, that a life keeps to its end.

    Raises:
        LogError: there is no such run, several studies have one, or no generation of it has begun.
    """
    agents = study.agents[study.agents["run"] == run]
    agents = agents if name is None else agents[agents["study"] == name]
    if agents.empty:
        raise LogError(f"{study.name}: run {run!r} has no agents yet, or there is no such run")
    if agents["study"].nunique() > 1:
        raise LogError(f"several studies have a run {run!r}: say which with name=")
    slots: dict[str, int] = {}
    rows: list[dict[Hashable, Any]] = []
    for _, now in agents.groupby("generation", sort=True):
        here = [str(agent) for agent in now["agent"]]
        kept = {agent: slots[agent] for agent in here if agent in slots}
        free = iter(sorted(set(range(len(here) + len(slots))) - set(kept.values())))
        slots = {agent: kept[agent] if agent in kept else next(free) for agent in here}
        rows += [{**row, "slot": slots[str(row["agent"])]} for row in now.to_dict("records")]
    return pd.DataFrame(rows).astype({column: agents[column].dtype for column in agents.columns})
