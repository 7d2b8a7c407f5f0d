"""The longest chain of a run's calls that had to wait for each other, which is the least time it could have taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agentsim.core.facts import Encounter, Event, Moved, NoteWritten, SatOut, Settled, StrategyFormed, Talked

__all__ = ["CriticalPath"]

_Place = tuple[int, str]
"""A game of the living generation, and an agent."""


@dataclass
class CriticalPath:
    """The longest chain of calls, in seconds.

    All members of an encounter are asked at the same time, for each round of talk and each stage of the game. The next
    of these begins when all of them have answered; an encounter begins when all its members have finished their
    earlier ones.
    """

    spent: dict[str, float] = field(default_factory=dict)
    """Seconds that calls took, by the key of the question."""
    longest: float = 0.0
    """Seconds of the longest chain so far, of encounters that are over."""
    _generation: int = 0
    _began: float = 0.0
    """When the living generation's strategies could first be asked for, in seconds."""
    _formed: float = 0.0
    """When the last of its strategies was formed."""
    _free: dict[_Place, float] = field(default_factory=dict)
    """When each agent's latest encounter ended."""
    _within: dict[_Place, dict[str, float]] = field(default_factory=dict)
    """Seconds of each agent's questions in the encounter that is going on, by round of talk or stage."""

    _sat_out: dict[tuple[int, int, frozenset[_Place]], float] = field(default_factory=dict)
    """When a meeting ended for those who took no part in an encounter."""

    def follow(self, event: Event) -> None:
        """Add one fact."""
        if not (self.spent or self._within or self.longest):  # scripted players: no call has taken any time yet
            return
        if not isinstance(event, StrategyFormed | Encounter | NoteWritten | Moved | Talked | Settled | SatOut):
            return
        if event.generation != self._generation:
            self._generation, self._free, self._within, self._sat_out = event.generation, {}, {}, {}
            self._began = self._formed = self.longest
        match event:
            case StrategyFormed():
                end = self._began + self._taken(event.key)
                self._formed = max(self._formed, end)
                self.longest = max(self.longest, end)
            case Talked():
                self._ask((event.game, event.author), f"talk/{event.turn}", event.key)
            case Moved():
                self._ask((event.game, event.actor), event.stage, event.key)
            case Settled():
                self._end([(event.game, member) for member in event.members])
            case SatOut():
                self._sit_out(event)
            case Encounter():
                self._ask((event.game, event.donor), "decision", event.key)
                self._end([(event.game, event.donor), (event.game, event.recipient)])
            case NoteWritten():
                self._ask((event.game, event.author), "note", event.key)
                self._end([(event.game, event.about), (event.game, event.author)])

    def _sit_out(self, event: SatOut) -> None:
        """Let an agent be done with an encounter once all who were to meet in it have answered."""
        places = [(event.game, agent) for agent in (event.agent, *event.others)]
        meeting = (event.game, event.round, frozenset(places))
        if meeting not in self._sat_out:
            slowest: dict[str, float] = {}
            for place in places:
                for step, seconds in self._within.get(place, {}).items():
                    slowest[step] = max(slowest.get(step, 0.0), seconds)
            began = max(self._free.get(place, self._formed) for place in places)
            self._sat_out[meeting] = began + sum(slowest.values())
        self._within.pop(places[0], None)
        self._free[places[0]] = self._sat_out[meeting]
        self.longest = max(self.longest, self._sat_out[meeting])

    def _taken(self, key: str) -> float:
        return self.spent.pop(key, 0.0)

    def _ask(self, place: _Place, step: str, key: str) -> None:
        self._within.setdefault(place, {})[step] = self._taken(key)

    def _end(self, places: Iterable[_Place]) -> None:
        """Let an encounter be over: its steps followed each other, and each took as long as its slowest answer."""
        places, slowest = list(places), dict[str, float]()
        for place in places:
            for step, seconds in self._within.pop(place, {}).items():
                slowest[step] = max(slowest.get(step, 0.0), seconds)
        end = max(self._free.get(place, self._formed) for place in places) + sum(slowest.values())
        self._free.update(dict.fromkeys(places, end))
        self.longest = max(self.longest, end)
