"""Rules that show acts, or nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agentsim.core.facts import Observed, TraceItem
from agentsim.core.observation.base import Informing, Look, OfNobody

__all__ = ["Nothing", "OwnActs", "Trace"]


class Trace(Informing):
    """A chain of past donor turns: the recipient's last, then that partner's before it, and so on.

    Anchored in time: an item is always older than the one before it, so round 1 shows nothing and round 2 at most one
    item. A turn without a readable decision stays in the chain as such; nobody else's act takes its place.
    (Vallinder & Hughes 2024, section 3.1)
    """

    kind: Literal["trace"] = "trace"
    depth: int = Field(default=3, ge=0, le=100)
    """The most items shown; 0 shows nothing."""

    @property
    def shows_anything(self) -> bool:
        """Whether donors are ever shown anything."""
        return self.depth > 0

    @property
    def n_acts(self) -> int:
        """At most 2: the chain leads on to other agents."""
        return min(self.depth, 2)

    def _shown(self, look: Look, recipient: str) -> Observed:
        """Return the chain, newest first, at most `depth` items."""
        chain: list[TraceItem] = []
        agent, before = recipient, look.before
        while len(chain) < self.depth:
            for item in reversed(look.history[agent]):
                if item.round < before:
                    break
            else:
                break
            chain.append(self._perceived(item, look))
            if item.recipient is None:  # it was done to a group: no one partner leads on
                break
            agent, before = item.recipient, item.round
        return Observed(tuple(chain))


class Nothing(OfNobody):
    """Strangers stay strangers: a donor learns nothing about its recipient's past."""

    kind: Literal["none"] = "none"
    depth: Literal[0] = 0
    """No items are shown."""

    @property
    def shows_anything(self) -> bool:
        """Return false."""
        return False


class OwnActs(Informing):
    """The recipient's own last donor turns, and none of its partners': reputation of first order."""

    kind: Literal["history"] = "history"
    depth: int = Field(default=3, ge=1, le=100)
    """The most items shown."""

    @property
    def n_acts(self) -> int:
        """Return 1: all acts shown are the recipient's."""
        return 1

    def _shown(self, look: Look, recipient: str) -> Observed:
        """Return the recipient's own turns, newest first, at most `depth` items."""
        turns = [turn for turn in reversed(look.history[recipient]) if turn.round < look.before]
        return Observed(tuple(self._perceived(turn, look) for turn in turns[: self.depth]))
