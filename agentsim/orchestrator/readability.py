"""Whether a model's answers can be read at all: when to stop paying for them, and what such a run is worth.

Facts go in, those of a log and those of now alike. What counts is the question after its last asking, by player and
kind: a model may state strategies well and never decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from agentsim.core.facts import Encounter, Event, NoteWritten, Probed, StrategyFormed

__all__ = ["Readability", "Unread", "patience"]

SHARE: Final = 0.25
"""Of a run's questions: so many of one kind, none of them read since the beginning, say that the next will not be."""
LEAST: Final = 4
"""Questions that are asked before anything is concluded."""


@dataclass(frozen=True)
class Unread:
    """A player none of whose answers to questions of one kind could be read."""

    player: str
    what: str
    """What they were asked for, in the plural."""
    n: int
    """Questions."""

    def __str__(self) -> str:
        return f"not one of {self.n} {self.what} of {self.player!r} could be read"


def patience(stop_after: int | None, *, n_questions: int) -> int | None:
    """Return after how many questions without one readable answer a run stops: never more than a share of them all."""
    return None if stop_after is None else min(stop_after, max(LEAST, math.ceil(SHARE * n_questions)))


class Readability:
    """Counts, for each player and kind of question, what was asked and what was read."""

    def __init__(self, player: str) -> None:
        """`player` is asked wherever no agent of another one is known."""
        self._only = player
        self._player_of: dict[str, str] = {}
        self._asked: dict[tuple[str, str], int] = {}
        self._read: set[tuple[str, str]] = set()
        self._now: dict[tuple[str, str], int] = {}
        self._in_a_row = 0

    def follow(self, event: Event, *, is_replayed: bool) -> None:
        """Add one fact."""
        if isinstance(event, StrategyFormed):
            self._player_of[event.agent.id] = event.agent.label
            agent, what = event.agent.id, "strategies"
        elif isinstance(event, Encounter):
            agent, what = event.donor, "decisions"
        elif isinstance(event, NoteWritten):
            agent, what = event.author, "notes"
        elif isinstance(event, Probed):
            agent, what = "", "answers"
        else:
            return
        key = (self._player_of.get(agent, self._only), what)
        if not event.attempts or key[0].startswith("scripted/"):
            return
        self._asked[key] = self._asked.get(key, 0) + 1
        self._now[key] = self._now.get(key, 0) + (not is_replayed)
        if event.problem is None:
            self._read.add(key)
        if not is_replayed:
            self._in_a_row = 0 if event.problem is None else self._in_a_row + 1

    @property
    def n_in_a_row(self) -> int:
        """Questions of this sitting, the latest ones, none of which was answered readably."""
        return self._in_a_row

    def never(self, *, least: int) -> Unread | None:
        """Return a player of whom nothing of a kind was ever read, though this sitting asked `least` such questions."""
        for (player, what), n in self._now.items():
            if n >= least and (player, what) not in self._read:
                return Unread(player, what, self._asked[player, what])
        return None

    def unread(self) -> list[Unread]:
        """Return the players none of whose decisions could be read; of those who decide nothing, no answer at all."""
        found = []
        for player in dict.fromkeys(player for player, _ in self._asked):
            own = {what: n for (name, what), n in self._asked.items() if name == player}
            deciding = own.keys() & {"decisions", "answers"} or own.keys()
            if all((player, what) not in self._read for what in deciding):
                what = max(deciding)
                found.append(Unread(player, what, own[what]))
        return found
