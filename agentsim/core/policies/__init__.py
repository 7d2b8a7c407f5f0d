"""Scripted policies: players that answer the typed request without text, for theory, baselines and tests.

Each policy is a frozen value that says at which level an agent acts, in the donor game which fraction of its resources
it gives: `decide` for one view, and `decide_many` the same for many at once. `draw` gives the decision's own random
number in [0, 1). `traits` says what can be relied on. A new policy is one class in the file of its family, one name in
`ScriptedPlayer`, and one line in docs/rules.md. None of them punishes, and none reads words.
"""

from __future__ import annotations

from typing import Annotated

from agentsim.core.policies.direct import (
    GenerousTitForTat,
    Grim,
    SuspiciousTitForTat,
    TitForTat,
    TitForTwoTats,
    WinStayLoseShift,
)
from agentsim.core.policies.graded import ProportionalShare, RaiseTheStakes
from agentsim.core.policies.leading_eight import LeadingEight, StandingPolicy, leading_eight
from agentsim.core.policies.scoring import Discriminator, GenerousDiscriminator, ImageScorer
from agentsim.core.policies.traits import Draw, Draws, PlayerSettings, Policy, Traits
from agentsim.core.policies.unconditional import AllGive, AllKeep, ConstantShare, RandomShare
from agentsim.core.registry import among

__all__ = [
    "AllGive",
    "AllKeep",
    "ConstantShare",
    "Discriminator",
    "Draw",
    "Draws",
    "GenerousDiscriminator",
    "GenerousTitForTat",
    "Grim",
    "ImageScorer",
    "LeadingEight",
    "PlayerSettings",
    "Policy",
    "ProportionalShare",
    "RaiseTheStakes",
    "RandomShare",
    "ScriptedPlayer",
    "StandingPolicy",
    "SuspiciousTitForTat",
    "TitForTat",
    "TitForTwoTats",
    "Traits",
    "WinStayLoseShift",
    "leading_eight",
]

ScriptedPlayer = Annotated[
    Policy,
    among(
        "policy",
        AllGive,
        AllKeep,
        ConstantShare,
        RandomShare,
        Discriminator,
        GenerousDiscriminator,
        ImageScorer,
        StandingPolicy,
        LeadingEight,
        ProportionalShare,
        RaiseTheStakes,
        TitForTat,
        TitForTwoTats,
        GenerousTitForTat,
        SuspiciousTitForTat,
        Grim,
        WinStayLoseShift,
        tag="model",
    ),
]
