"""What a donor is shown of its recipient's past. A new rule is one class here and one name in `ObservationRule`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, Tag

from agentsim.core.types import Observed, Reputation, TraceItem, Value, by_kind

__all__ = ["Assessment", "History", "ImageScore", "Nothing", "ObservationRule", "OwnActs", "Standing", "Trace"]

History = Mapping[str, Sequence[TraceItem]]
"""Each agent's own donor turns of the game so far, oldest first."""
Label = Literal["good", "bad"]


class Trace(Value):
    """A chain of past donor turns: the recipient's last, then that partner's before it, and so on.

    Anchored in time: an item is always older than the one before it, so round 1 shows nothing and round 2 at most one
    item. A turn without a readable decision stays in the chain as such; nobody else's act takes its place.
    (Vallinder & Hughes 2024, section 3.1)
    """

    kind: Literal["trace"] = "trace"
    depth: int = Field(default=3, ge=0, le=100)
    """The most items shown; 0 shows nothing."""

    def observe(self, history: History, *, recipient: str, round: int) -> Observed:
        """Return what is known of `recipient` before `round`: newest first, at most `depth` items."""
        chain: list[TraceItem] = []
        agent, before = recipient, round
        while len(chain) < self.depth:
            item = next((turn for turn in reversed(history[agent]) if turn.round < before), None)
            if item is None:
                break
            chain.append(item)
            agent, before = item.recipient, item.round
        return Observed(tuple(chain))


class Nothing(Value):
    """Strangers stay strangers: a donor learns nothing of its recipient's past."""

    kind: Literal["none"] = "none"
    depth: Literal[0] = 0
    """No items are shown."""

    def observe(self, history: History, *, recipient: str, round: int) -> Observed:
        """Return nothing."""
        return Observed()


class OwnActs(Value):
    """The recipient's own last donor turns, and nothing of its partners': reputation of first order."""

    kind: Literal["history"] = "history"
    depth: int = Field(default=3, ge=1, le=100)
    """The most items shown."""

    def observe(self, history: History, *, recipient: str, round: int) -> Observed:
        """Return the recipient's own turns before `round`: newest first, at most `depth` items."""
        turns = [turn for turn in reversed(history[recipient]) if turn.round < round]
        return Observed(tuple(turns[: self.depth]))


class _Judged(Value):
    """What rules that boil the past down to one word or number have in common."""

    depth: Literal[0] = 0
    """No items are shown."""
    threshold: float = Field(default=0.25, ge=0, le=1)
    """The least share of its resources that a donor must give for its act to count as giving; punishing does not."""
    shows_own: bool = False
    """Whether a donor is shown its own score or standing besides its recipient's."""

    def _gave(self, item: TraceItem) -> bool | None:
        """Return whether the turn counts as giving; `None` where there was no decision, or nothing to give."""
        if item.act is None or item.fraction is None:
            return None
        return item.act == "give" and item.fraction >= self.threshold


class ImageScore(_Judged):
    """A number between -5 and 5: one up for each act of giving, one down for each other, whatever the recipient was.

    Image scoring of Nowak & Sigmund 1998, "Evolution of indirect reciprocity by image scoring", Nature 393, made for
    amounts by a threshold.
    """

    kind: Literal["image_score"] = "image_score"

    def observe(self, history: History, *, recipient: str, round: int) -> Observed:
        """Return the recipient's score before `round`; it begins with 0."""
        score = 0
        for item in history[recipient]:
            gave = self._gave(item)
            if item.round < round and gave is not None:
                score = max(-5, min(5, score + (1 if gave else -1)))
        return Observed(reputation=Reputation("image_score", score))


class Assessment(Value):
    """What a donor's act makes of its standing, by the standing of its recipient."""

    give_to_good: Label = "good"
    give_to_bad: Label = "good"
    keep_from_good: Label = "bad"
    keep_from_bad: Label = "good"

    def judge(self, *, gave: bool, recipient: Label) -> Label:
        """Return the donor's standing after the act."""
        if gave:
            return self.give_to_good if recipient == "good" else self.give_to_bad
        return self.keep_from_good if recipient == "good" else self.keep_from_bad


class Standing(_Judged):
    """Good or bad: all begin good, and each act is judged by what its recipient was.

    The default is standing (Sugden 1986, "The Economics of Rights, Co-operation and Welfare"; Leimar & Hammerstein
    2001, Proc. R. Soc. B 268): who keeps from the bad stays good. Other rules of second order are other tables; with a
    table of their own for donors who are bad themselves, those of third order, such as the leading eight (Ohtsuki &
    Iwasa 2004, J. Theor. Biol. 231).
    """

    kind: Literal["standing"] = "standing"
    assessment: Assessment = Assessment()
    """What acts make of donors in good standing."""
    of_bad_donors: Assessment | None = None
    """What they make of donors in bad standing; `null`: the same."""

    def observe(self, history: History, *, recipient: str, round: int) -> Observed:
        """Return the recipient's standing before `round`."""
        return Observed(reputation=Reputation("standing", self._standing(history, recipient, round, {})))

    def _standing(self, history: History, agent: str, round: int, known: dict[tuple[str, int], Label]) -> Label:
        if (agent, round) not in known:
            standing: Label = "good"
            for item in history[agent]:
                gave = self._gave(item)
                if item.round >= round or gave is None:
                    continue
                table = self.assessment if standing == "good" else self.of_bad_donors or self.assessment
                recipient = self._standing(history, item.recipient, item.round, known)
                standing = table.judge(gave=gave, recipient=recipient)
            known[agent, round] = standing
        return known[agent, round]


ObservationRule = Annotated[
    Annotated[Trace, Tag("trace")]
    | Annotated[Nothing, Tag("none")]
    | Annotated[OwnActs, Tag("history")]
    | Annotated[ImageScore, Tag("image_score")]
    | Annotated[Standing, Tag("standing")],
    by_kind("trace"),
]
