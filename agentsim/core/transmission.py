"""What newborns learn from survivors. A new rule is one class here and one name in `TransmissionRule`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal

from pydantic import Field

from agentsim.core.rng import shuffled
from agentsim.core.types import Advice as AdviceItem
from agentsim.core.types import Agent, Value

__all__ = ["Advice", "TransmissionRule"]


class Advice(Value):
    """A newborn is shown every survivor's strategy and asked to improve on them. (Vallinder & Hughes 2024, 3.2)"""

    kind: Literal["advice"] = "advice"
    scores: bool = True
    """Whether the survivors' scores are shown beside their strategies (the paper: yes; the released notebook: no)."""
    max_chars: int = Field(default=1000, ge=1, le=100_000)
    """The length, in characters, at which a strategy is cut when it is formed."""

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[AdviceItem, ...]:
        """Return what one newborn sees: best first with scores; in random order without, as rank is a score too."""
        order = list(survivors) if self.scores else shuffled(survivors, rng)
        return tuple(AdviceItem(agent.id, agent.strategy, scores[agent.id] if self.scores else None) for agent in order)


TransmissionRule = Advice
"""A second rule turns this into `Annotated[Advice | Other, Field(discriminator="kind")]`."""
