"""What members of an encounter are shown of the past: one file for each family of rules.

A new rule is one class and one name in `several.OneRule`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from agentsim.core.observation.acts import Nothing, OwnActs, Trace
from agentsim.core.observation.base import (
    HIGHEST_SCORE,
    LOWEST_SCORE,
    Chance,
    History,
    Judgements,
    NearHistory,
    Observation,
)
from agentsim.core.observation.gossip import Gossip
from agentsim.core.observation.judged import Assessment, ImageScore, Standing, as_score, as_standing
from agentsim.core.observation.memory import Memory
from agentsim.core.observation.several import Several
from agentsim.core.registry import among

__all__ = [
    "HIGHEST_SCORE",
    "LOWEST_SCORE",
    "Assessment",
    "Chance",
    "Gossip",
    "History",
    "ImageScore",
    "Judgements",
    "Memory",
    "NearHistory",
    "Nothing",
    "Observation",
    "ObservationRule",
    "OwnActs",
    "Several",
    "Standing",
    "Trace",
    "as_score",
    "as_standing",
]


def _listed(rule: object) -> object:
    """Take a list of rules as rules side by side; a list of one is that rule."""
    if not isinstance(rule, list | tuple):
        return rule
    return rule[0] if len(rule) == 1 else {"kind": "several", "rules": tuple(rule)}


ObservationRule = Annotated[
    Observation,
    among("observation", Trace, Nothing, OwnActs, ImageScore, Standing, Gossip, Memory, Several, default="trace"),
    BeforeValidator(_listed),
]
