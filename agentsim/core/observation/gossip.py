"""The rule that shows words: notes that others wrote."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agentsim.core.facts import Note, Observed
from agentsim.core.observation.base import Informing, Look

__all__ = ["Gossip"]


class Gossip(Informing):
    """What others wrote about the recipient: after each encounter, its recipient writes a short public note.

    Sommerfeld, Krambeck, Semmann & Milinski 2007, "Gossip as an alternative for direct observation in games of indirect
    reciprocity", PNAS 104; Wu, Balliet & Van Lange 2016, "Gossip versus punishment", Sci. Rep. 6. An encounter is over
    only when its note has been written. Where no decision could be read, nothing is written; a note that cannot be read
    is missing, and older ones are shown in its place.
    """

    kind: Literal["gossip"] = "gossip"
    depth: int = Field(default=3, ge=1, le=100)
    """The most notes shown."""
    max_chars: int = Field(default=200, ge=1, le=10_000)
    """The length, in characters, at which a note is cut when it is written."""

    @property
    def n_acts(self) -> int:
        """Return 0: words are shown, and no acts."""
        return 0

    @property
    def n_records(self) -> int:
        """Return 2: words may be about any act."""
        return 2

    @property
    def reports_random_gifts(self) -> bool:
        """Whether an act may be reported as a gift of a random share."""
        return False

    @property
    def max_note_chars(self) -> int:
        """Return the length at which a note is cut."""
        return self.max_chars

    @model_validator(mode="after")
    def _has_words_alone(self) -> Self:
        if self.noise:
            raise ValueError(f"noise: {self.noise} does not apply to gossip, which shows words; delay and known do")
        if self.audience != "public":
            raise ValueError("audience: notes are public; remove it")
        return self

    def _shown(self, look: Look, recipient: str) -> Observed:
        """Return the notes on the recipient, newest first, at most `depth`."""
        notes = [
            Note(turn.round, author=turn.recipient, about=turn.donor, text=turn.note)
            for turn in reversed(look.history[recipient])
            if turn.round < look.before and turn.note is not None and turn.recipient is not None
        ]
        return Observed(notes=tuple(notes[: self.depth]))
