"""A selection rule."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import ClassVar, Literal

from pydantic import Field

from agentsim.plugin import Selection

__all__ = ["Elite"]


class Elite(Selection):
    """The best few survive for certain, and the other places are drawn by lot among the rest.

    Elitism (De Jong 1975, "An analysis of the behavior of a class of genetic adaptive systems").
    """

    kind: Literal["elite"] = "elite"
    sized_by: ClassVar[str] = "survive"
    survive: float = Field(default=0.5, gt=0, lt=1)
    """The share of agents that survives, rounded down, but at least one."""
    elite: int = Field(default=1, ge=0)
    """How many of the best survive for certain."""

    def n_survivors(self, n_agents: int) -> int:
        """Return how many of `n_agents` survive."""
        return max(1, int(self.survive * n_agents))

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return the survivors, best first."""
        lots = {agent: rng.random() for agent in sorted(scores)}
        ranked = sorted(scores, key=lambda agent: (-scores[agent], lots[agent]))
        best, others = ranked[: self.elite], ranked[self.elite :]
        n = self.n_survivors(len(scores))
        drawn = sorted(others, key=lambda agent: lots[agent])[: max(0, n - len(best))]
        kept = {*best[:n], *drawn}
        return tuple(agent for agent in ranked if agent in kept)
