"""Whether a model's answers can be read at all: when to stop paying for them, and whether a run says anything.

Facts go in, both those of the log and new ones. A question counts after its last asking, for each player and kind of
question: a model may state strategies well and never state a decision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from agentsim.core.facts import Encounter, Event, Moved, NoteWritten, Probed, StrategyFormed, Talked

__all__ = ["Readability", "Unread", "patience"]

SHARE: Final = 0.25
"""If this share of a run's questions has been asked and no answer of one kind could be read, the run stops."""
LEAST: Final = 4
"""The fewest questions after which a run may stop."""


@dataclass(frozen=True)
class Unread:
    """A player none of whose answers to questions of one kind could be read."""

    player: str
    what: str
    """What the player was asked for, in the plural."""
    n: int
    """The number of questions."""

    def __str__(self) -> str:
        return f"not one of {self.n} {self.what} of {self.player!r} could be read"


def patience(stop_after: int | None, *, n_questions: int) -> int | None:
    """Return after how many questions without a readable answer a run stops: at most `SHARE` of all of them."""
    return None if stop_after is None else min(stop_after, max(LEAST, math.ceil(SHARE * n_questions)))


class Readability:
    """Counts, for each player and kind of question, what was asked and what was read."""

    def __init__(self, player: str) -> None:
        """`player` is the player of agents whose player is not known."""
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
        elif isinstance(event, Moved):
            agent, what = event.actor, "decisions"
        elif isinstance(event, Talked):
            agent, what = event.author, "messages"
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
        """The number of this sitting's latest questions in a row without a readable answer."""
        return self._in_a_row

    def never(self, *, least: int) -> Unread | None:
        """Return a player none of whose answers of a kind was ever read, if this sitting asked for `least` or more."""
        for (player, what), n in self._now.items():
            if n >= least and (player, what) not in self._read:
                return Unread(player, what, self._asked[player, what])
        return None

    def unread(self) -> list[Unread]:
        """Return the players none of whose decisions (none of whose answers, if they decide nothing) could be read."""
        unread = []
        for player in dict.fromkeys(player for player, _ in self._asked):
            n_asked = {what: n for (name, what), n in self._asked.items() if name == player}
            deciding = n_asked.keys() & {"decisions", "answers"} or n_asked.keys()
            if all((player, what) not in self._read for what in deciding):
                what = max(deciding)
                unread.append(Unread(player, what, n_asked[what]))
        return unread
