"""The rule that lets agents remember their own encounters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from agentsim.core.facts import Past
from agentsim.core.observation.base import OfNobody

__all__ = ["Memory"]


class Memory(OfNobody):
    """An agent's own earlier encounters: with whom, what each did, and what that brought it.

    What agents know who meet again, as in the repeated games of Axelrod 1984, "The Evolution of Cooperation". It
    remembers what really happened: nothing is misperceived, late or forgotten within the depth.
    """

    kind: Literal["memory"] = "memory"
    depth: int = Field(default=5, ge=1, le=1000)
    """The most encounters remembered."""
    of: Literal["partner", "all"] = "all"
    """Whether those with any of the agents that it meets now are remembered alone, or all."""

    @property
    def remembers(self) -> bool:
        """Return true."""
        return True

    def recall(self, past: Sequence[Past], *, partners: Sequence[str], before: int) -> tuple[Past, ...]:
        """Return the newest encounters, at most `depth`."""
        meant = past if self.of == "all" else [one for one in past if any(who in one.others for who in partners)]
        return tuple(reversed(meant[-self.depth :]))
