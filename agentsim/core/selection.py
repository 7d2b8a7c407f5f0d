"""Who survives a generation. A new rule is one class here and one name in `SelectionRule`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal

from pydantic import Field

from agentsim.core.rng import shuffled
from agentsim.core.types import Value

__all__ = ["SelectionRule", "Top"]


class Top(Value):
    """The best share of the agents survives; ties are broken at random. (Vallinder & Hughes 2024, section 3.2)"""

    kind: Literal["top"] = "top"
    fraction: float = Field(default=0.5, gt=0, lt=1)
    """Share of the agents that survives; times the number of agents, rounded, it is the number of survivors."""
    score: Literal["mean_of_games", "last_game"] = "mean_of_games"
    """What is compared: the mean of final resources over the generation's games, or the last game's alone, which
    favours whoever receives last (as in the released notebook)."""

    def n_survivors(self, n_agents: int) -> int:
        """Return how many of `n_agents` survive."""
        return round(n_agents * self.fraction)

    def scores(self, final_resources: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Return each agent's score from the final resources of the generation's games, in order."""
        counted = final_resources[-1:] if self.score == "last_game" else final_resources
        return {agent: sum(game[agent] for game in counted) / len(counted) for agent in final_resources[0]}

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return the survivors, best first."""
        ranked = sorted(shuffled(sorted(scores), rng), key=lambda agent: -scores[agent])
        return tuple(ranked[: self.n_survivors(len(scores))])


SelectionRule = Top
"""A second rule turns this into `Annotated[Top | Other, Field(discriminator="kind")]`."""
