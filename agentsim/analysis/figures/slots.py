"""Places of a society's agents in figures: survivors keep their places, newborns take those of the culled."""

from __future__ import annotations

import pandas as pd

from agentsim.analysis.frames.study import Study
from agentsim.errors import LogError

__all__ = ["living"]


def living(study: Study, run: str, *, name: str | None = None) -> pd.DataFrame:
    """Return the agents of one run's generations with a `slot`, from 0, kept for life, and the run's `game`.

    Raises:
        LogError: there is no such run, several studies have one, or no generation of it has begun.
    """
    agents = study.agents[study.agents["run"] == run]
    agents = agents if name is None else agents[agents["study"] == name]
    if agents.empty:
        raise LogError(f"{study.name}: run {run!r} has no agents yet, or there is no such run")
    if agents["study"].nunique() > 1:
        raise LogError(f"several studies have a run {run!r}: say which with name=")
    agents = agents.sort_values("generation", kind="stable", ignore_index=True)
    slots: dict[str, int] = {}
    places: list[int] = []
    now: dict[int, list[str]] = {}
    for generation, agent in zip(agents["generation"], agents["agent"], strict=True):
        now.setdefault(int(generation), []).append(str(agent))
    for here in now.values():
        survivors = {agent: slots[agent] for agent in here if agent in slots}
        free = iter(sorted(set(range(len(here) + len(slots))) - set(survivors.values())))
        slots = {agent: survivors[agent] if agent in survivors else next(free) for agent in here}
        places += [slots[agent] for agent in here]
    kinds = study.runs.set_index(["study", "run"])["game"]
    return agents.assign(slot=places, game=kinds[str(agents["study"].iloc[0]), run])
