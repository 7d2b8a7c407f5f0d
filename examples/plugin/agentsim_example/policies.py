"""A scripted policy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agentsim.plugin import DecisionView, Draw, Policy, Traits

__all__ = ["Matching"]


class Matching(Policy):
    """Gives what it last saw its recipient give, up to a limit, and a first share where it knows nothing."""

    model: Literal["scripted/matching"] = "scripted/matching"
    first: float = Field(default=0.5, ge=0, le=1)
    """What is given to those of whom nothing is known, or who are in good standing."""
    most: float = Field(default=0.8, ge=0, le=1)
    """What is given at most."""

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        return Traits(
            order=1,
            is_nice=self.first > 0,
            is_forgiving=False,
            is_stochastic=False,
            is_graded=self.most > 0.1,
        )

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return the share that is given."""
        if view.reputation is not None:
            return self.first if view.reputation.score >= 0 else 0.0
        if not view.trace or view.trace[0].act is None:
            return self.first
        last = view.trace[0]
        if last.act != "give":
            return 0.0
        return self.first if last.fraction is None else min(last.fraction, self.most)
