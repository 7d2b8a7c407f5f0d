"""The longest chain of calls in a run that had to wait for each other: the least time the run could have taken."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentsim.core.facts import Encounter, Event, NoteWritten, StrategyFormed

__all__ = ["CriticalPath"]


@dataclass
class CriticalPath:
    """The longest chain of calls, in seconds, from what each encounter had to wait for."""

    spent: dict[str, float] = field(default_factory=dict)
    """Seconds that calls took, by the key of the question."""
    _agents: dict[tuple[int, str], float] = field(default_factory=dict)
    _generation: int = 0
    _base: float = 0.0
    """When strategies of the living generation could first be asked for, in seconds."""
    longest: float = 0.0

    def follow(self, event: Event) -> None:
        """Add one fact."""
        if not isinstance(event, StrategyFormed | Encounter | NoteWritten):
            return
        if event.generation != self._generation:
            self._generation, self._base, self._agents = event.generation, self.longest, {}
        seconds = self.spent.pop(event.key, 0.0)
        if isinstance(event, StrategyFormed):
            path = self._base + seconds
            self._agents[0, ""] = max(self._agents.get((0, ""), self._base), path)
        else:
            born = self._agents.get((0, ""), self._base)
            donor, recipient = (
                (event.donor, event.recipient) if isinstance(event, Encounter) else (event.about, event.author)
            )
            both = [(event.game, donor), (event.game, recipient)]
            path = seconds + max(self._agents.get(place, born) for place in both)
            self._agents.update(dict.fromkeys(both, path))
        self.longest = max(self.longest, path)
