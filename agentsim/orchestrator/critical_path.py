"""The longest chain of a run's calls that had to wait for each other, which is the least time it could have taken."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentsim.core.facts import Encounter, Event, NoteWritten, StrategyFormed

__all__ = ["CriticalPath"]


@dataclass
class CriticalPath:
    """The longest chain of calls, in seconds."""

    spent: dict[str, float] = field(default_factory=dict)
    """Seconds that calls took, by the key of the question."""
    longest: float = 0.0
    """Seconds of the longest chain so far."""
    _generation: int = 0
    _began: float = 0.0
    """When the living generation's strategies could first be asked for, in seconds."""
    _formed: float = 0.0
    """When the last of its strategies was formed."""
    _free: dict[tuple[int, str], float] = field(default_factory=dict)
    """When each agent's latest encounter ended, by game and agent."""

    def follow(self, event: Event) -> None:
        """Add one fact."""
        if not isinstance(event, StrategyFormed | Encounter | NoteWritten):
            return
        if event.generation != self._generation:
            self._generation, self._free = event.generation, {}
            self._began = self._formed = self.longest
        seconds = self.spent.pop(event.key, 0.0)
        if isinstance(event, StrategyFormed):
            end = self._began + seconds
            self._formed = max(self._formed, end)
        else:
            pair = (event.donor, event.recipient) if isinstance(event, Encounter) else (event.about, event.author)
            places = [(event.game, agent) for agent in pair]
            end = seconds + max(self._free.get(place, self._formed) for place in places)
            self._free.update(dict.fromkeys(places, end))
        self.longest = max(self.longest, end)
