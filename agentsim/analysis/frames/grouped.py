"""The groups of those who meet, in societies that have groups."""

from __future__ import annotations

import pandas as pd

from agentsim.analysis.frames.columns import GENERATION

__all__ = ["with_groups"]

BESIDE = {"donor_group": "donor", "recipient_group": "recipient", "actor_group": "actor"}
"""The columns that are added, and whose groups they hold."""


def with_groups(acts: pd.DataFrame, agents: pd.DataFrame) -> pd.DataFrame:
    """Add to encounters or moves the groups of their agents, where any society has groups."""
    if acts.empty or agents["group"].isna().all():
        return acts
    known = agents.dropna(subset=["group"]).set_index([*GENERATION, "agent"])["group"]
    columns = {name: agent for name, agent in BESIDE.items() if agent in acts.columns}
    keys = {name: pd.MultiIndex.from_frame(acts[[*GENERATION, agent]]) for name, agent in columns.items()}
    return acts.assign(**{name: known.reindex(key).array for name, key in keys.items()})
