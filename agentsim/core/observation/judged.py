"""Rules that sum up the past in one word or number."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from agentsim.core.facts import Frozen, Observed, Reputation, TraceItem
from agentsim.core.observation.base import HIGHEST_SCORE, LOWEST_SCORE, PROBED_SCORES, Informing, Label, Look, n_before

__all__ = ["Assessment", "ImageScore", "Standing", "as_score", "as_standing"]


class _Judged(Informing):
    """Rules that sum up the past in one word or number."""

    misperceived_as: ClassVar[Literal["random_gift", "opposite"]] = "opposite"
    depth: Literal[0] = 0
    """No items are shown."""
    threshold: float = Field(default=0.25, ge=0, le=1)
    """The least share of its resources that a donor must give for its act to count as giving; punishing does not."""
    shows_own: bool = False
    """Whether a donor is shown its own score or standing as well as its recipient's."""

    @property
    def n_acts(self) -> int:
        """Return 0: acts are judged, not shown."""
        return 0

    @property
    def n_records(self) -> int:
        """Return 2: acts are judged, and what an act was done to may count."""
        return 2

    @property
    def judges_from(self) -> float:
        """Return the threshold."""
        return self.threshold

    def _own(self, look: Look) -> Reputation | None:
        return self._shown(look, look.observer).reputation if self.shows_own else None

    def _gave(self, item: TraceItem, look: Look) -> bool | None:
        """Return whether the turn counts as giving to this observer; `None`: no decision, or nothing to give."""
        if item.act is None or item.fraction is None:
            return None
        gave = item.act != "punish" and item.fraction >= self.threshold
        return gave != self._is_misperceived(item, look)


class ImageScore(_Judged):
    """A number between -5 and 5: up by one for each act of giving and down by one for each other act, whoever received.

    Image scoring of Nowak & Sigmund 1998, "Evolution of indirect reciprocity by image scoring", Nature 393, extended to
    amounts by a threshold.
    """

    kind: Literal["image_score"] = "image_score"

    def reputations(self, n_rounds: int) -> tuple[tuple[Reputation, ...], int]:
        """Return the scores that an agent can reach: a score of k takes k turns as donor, every second round."""
        scores = [score for score in PROBED_SCORES if 2 * abs(score) < n_rounds]
        return tuple(map(as_score, scores)), 2 * max(scores) + 1

    def _shown(self, look: Look, recipient: str) -> Observed:
        """Return the recipient's score; it begins with 0."""
        score = 0
        for item in look.history[recipient]:
            gave = self._gave(item, look) if item.round < look.before else None
            if gave is not None:
                score = max(LOWEST_SCORE, min(HIGHEST_SCORE, score + (1 if gave else -1)))
        return Observed(reputation=as_score(score))


def as_score(value: int) -> Reputation:
    """Return an image score, from `LOWEST_SCORE` to `HIGHEST_SCORE`."""
    return Reputation("image_score", value, score=value)


def as_standing(label: Label) -> Reputation:
    """Return a standing."""
    return Reputation("standing", label, score=1 if label == "good" else -1)


class Assessment(Frozen):
    """The standing of a donor after its act, by the standing of its recipient."""

    give_to_good: Label = "good"
    """Of one that gave to a recipient in good standing."""
    give_to_bad: Label = "good"
    """Of one that gave to a recipient in bad standing."""
    keep_from_good: Label = "bad"
    """Of one that gave nothing to a recipient in good standing."""
    keep_from_bad: Label = "good"
    """Of one that gave nothing to a recipient in bad standing."""

    def judge(self, *, gave: bool, recipient: Label) -> Label:
        """Return the donor's standing after the act."""
        if gave:
            return self.give_to_good if recipient == "good" else self.give_to_bad
        return self.keep_from_good if recipient == "good" else self.keep_from_bad


class Standing(_Judged):
    """Good or bad: all agents begin good, and each act is judged by the standing of its recipient.

    The default is standing (Sugden 1986, "The Economics of Rights, Co-operation and Welfare"; Leimar & Hammerstein
    2001, Proc. R. Soc. B 268): an agent that keeps from the bad stays good. Other tables give other rules of second
    order; a second table for donors in bad standing gives those of third order, such as the leading eight (Ohtsuki &
    Iwasa 2004, J. Theor. Biol. 231).
    """

    kind: Literal["standing"] = "standing"
    assessment: Assessment = Assessment()
    """The standing after the act of a donor in good standing."""
    of_bad_donors: Assessment | None = None
    """The standing after the act of a donor in bad standing; `null`: the same."""

    def reputations(self, n_rounds: int) -> tuple[tuple[Reputation, ...], int]:
        """Return bad and good standing."""
        return (as_standing("bad"), as_standing("good")), 1

    def _shown(self, look: Look, recipient: str) -> Observed:
        """Return the recipient's standing; each act on the way to it is judged as the observer perceives it."""
        # A turn's judgement never changes, as it depends on earlier turns alone; so each is judged once for each
        # observer. The stack is explicit because the chain of turns may be longer than Python's own stack allows.
        by = look.observer if self.follows_edges or (self.noise and self.audience == "private") else ""
        waiting = [(recipient, look.before)]
        while waiting:
            agent, before = waiting[-1]
            standings = look.judged.setdefault((by, agent), [])
            n_turns = n_before(look.history[agent], before)
            for item in look.history[agent][len(standings) : n_turns]:
                standing = standings[-1] if standings else "good"
                if item.recipient is None:  # a group is judged as one in good standing
                    standings.append(self._after(standing, item, "good", look))
                    continue
                met = look.judged.get((by, item.recipient), [])
                n_met = n_before(look.history[item.recipient], item.round)
                if len(met) < n_met:
                    waiting.append((item.recipient, item.round))
                    break
                standings.append(self._after(standing, item, met[n_met - 1] if n_met else "good", look))
            else:
                waiting.pop()
        n = n_before(look.history[recipient], look.before)
        return Observed(reputation=as_standing(look.judged[by, recipient][n - 1] if n else "good"))

    def _after(self, donors_standing: Label, item: TraceItem, recipient: Label, look: Look) -> Label:
        gave = self._gave(item, look)
        if gave is None:
            return donors_standing
        table = self.assessment if donors_standing == "good" else self.of_bad_donors or self.assessment
        return table.judge(gave=gave, recipient=recipient)
