"""What a donor is shown of its recipient's past. A new rule is one class here and one name in `ObservationRule`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from agentsim.core.types import TraceItem, Value

__all__ = ["History", "ObservationRule", "Trace"]

History = Mapping[str, Sequence[TraceItem]]
"""Each agent's own donor turns of the game so far, oldest first."""


class Trace(Value):
    """A chain of past donor turns: the recipient's last, then that partner's before it, and so on.

    Anchored in time: an item is always older than the one before it, so round 1 shows nothing and round 2 at most one
    item. A turn without a readable decision stays in the chain as such; nobody else's act takes its place.
    (Vallinder & Hughes 2024, section 3.1)
    """

    kind: Literal["trace"] = "trace"
    depth: int = Field(default=3, ge=0, le=100)
    """The most items shown; 0 shows nothing."""

    def observe(self, history: History, *, recipient: str, round: int) -> tuple[TraceItem, ...]:
        """Return what is known of `recipient` before `round`, newest first, at most `depth` items."""
        chain: list[TraceItem] = []
        agent, before = recipient, round
        while len(chain) < self.depth:
            item = next((turn for turn in reversed(history[agent]) if turn.round < before), None)
            if item is None:
                break
            chain.append(item)
            agent, before = item.recipient, item.round
        return tuple(chain)


ObservationRule = Trace
"""A second rule turns this into `Annotated[Trace | Other, Field(discriminator="kind")]`."""
