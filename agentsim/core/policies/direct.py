"""Policies of direct reciprocity: they answer what the same partner did to them before.

They read what the agent remembers of its own encounters with the one that it meets (`observation: {kind: memory}`), and
of that the levels alone: an act of at least `threshold` was cooperation. What happened counts, not what was intended. A
move that could not be read, and what was done earlier in the same encounter, are no part of it.

Where the scenario shows no memory, they know their partner by what others know of it: a score of 0 or more and a good
standing count as cooperation, or else the newest act shown of it; that is taken for all that it did, and they take
themselves to have cooperated. Where nothing is shown at all, each encounter is a first one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from agentsim.core.policies.judging import GenerousJudge, Judge
from agentsim.core.policies.records import decided_many, gave, gave_many, is_said_good, is_said_good_many
from agentsim.core.policies.traits import Traits
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "GenerousTitForTat",
    "Grim",
    "SuspiciousTitForTat",
    "TitForTat",
    "TitForTwoTats",
    "WinStayLoseShift",
]


class Reciprocator(Judge, ABC):
    """Cooperates or not, by what it remembers of this partner."""

    share: float = Field(default=1, ge=0, le=1)
    """The level at which it cooperates: in the donor game a fraction of own resources. Otherwise its level is 0."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """The least level that counts as cooperation; a punishment never does."""

    begins_by_cooperating: ClassVar[bool] = True
    """What it does at first."""
    looks_back: ClassVar[Literal[1, 2, "all"]] = 1
    """How many encounters it looks back."""
    minds_own_acts: ClassVar[bool] = False
    """Whether it looks at its own acts too."""

    @abstractmethod
    def _answers(self, others: Sequence[bool], my_acts: Sequence[bool]) -> bool:
        """Return whether it cooperates; the partner's acts and its own are newest first, True for cooperation."""

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        if self.share == 0:
            return Traits(order=0, is_nice=False, is_forgiving=False, is_stochastic=False, is_graded=False)
        return Traits(
            order=1,
            is_nice=self.begins_by_cooperating,
            is_forgiving=False,
            is_stochastic=False,
            is_graded=False,
            looks_back=self.looks_back,
            minds_own_acts=self.minds_own_acts,
        )

    def _trusts(self, view: DecisionView) -> bool:
        if view.rules.observation.remembers:
            others = list(_acts(view, view.recipient, self.threshold))
            my_acts = list(_acts(view, view.name, self.threshold))
            return self._answers(others, my_acts) if others else self.begins_by_cooperating
        if view.reputation is not None:
            return is_said_good(view.reputation)
        is_gift = gave(view.trace[0], self.threshold) if view.trace else None
        return self.begins_by_cooperating if is_gift is None else is_gift

    def _trusts_many(self, views: Views) -> NDArray[np.bool_]:
        import numpy as np

        first = np.full(len(views.resources), self.begins_by_cooperating)
        if views.reputation is not None:
            is_good = is_said_good_many(views.reputation, views)
            return is_good if views.is_known is None else np.where(views.is_known, is_good, first)
        if not len(views.fraction):
            return first
        return np.where(decided_many(views, 0), gave_many(views, 0, self.threshold), first)


def _acts(view: DecisionView, actor: str, threshold: float) -> Iterator[bool]:
    """Yield whether an agent cooperated in each remembered encounter with the recipient, newest first.

    Of an encounter of several stages, its first act that has a level counts: a contribution, not a punishment after it.
    """
    for past in view.memory:
        if view.recipient in past.others:
            known = (gave(act, threshold) for act in past.acts if act.donor == actor)
            is_gift = next((one for one in known if one is not None), None)
            if is_gift is not None:
                yield is_gift


class TitForTat(Reciprocator):
    """Cooperates at first, then does what its partner did last.

    Rapoport's entry in the tournaments of Axelrod 1980, J. Conflict Resolut. 24; Axelrod 1984, "The Evolution of
    Cooperation".
    """

    model: Literal["scripted/tit-for-tat"] = "scripted/tit-for-tat"

    def _answers(self, others: Sequence[bool], my_acts: Sequence[bool]) -> bool:
        return others[0]


class SuspiciousTitForTat(TitForTat):
    """Defects at first, then does what its partner did last.

    Boyd & Lorberbaum 1987, "No pure strategy is evolutionarily stable in the repeated prisoner's dilemma game", Nature
    327.
    """

    model: Literal["scripted/suspicious-tit-for-tat"] = "scripted/suspicious-tit-for-tat"  # type: ignore[assignment]

    begins_by_cooperating: ClassVar[bool] = False


class TitForTwoTats(Reciprocator):
    """Cooperates unless its partner defected in both of their last two encounters.

    Axelrod 1984, "The Evolution of Cooperation", chapter 2: it would have won the first tournament.
    """

    model: Literal["scripted/tit-for-two-tats"] = "scripted/tit-for-two-tats"

    looks_back: ClassVar[Literal[1, 2, "all"]] = 2

    def _answers(self, others: Sequence[bool], my_acts: Sequence[bool]) -> bool:
        return len(others) < 2 or others[0] or others[1]


class GenerousTitForTat(Reciprocator, GenerousJudge):
    """Does what its partner did last, but pardons a defection by chance.

    Nowak & Sigmund 1992, "Tit for tat in heterogeneous populations", Nature 355. The most generosity that keeps
    defectors out is the lesser of 1 - (T - R)/(R - S) and (R - P)/(T - P): 1/3 for the payoffs 5, 3, 1, 0.
    """

    model: Literal["scripted/generous-tit-for-tat"] = "scripted/generous-tit-for-tat"
    generosity: float = Field(default=1 / 3, ge=0, le=1)
    """The probability, in each encounter, that it cooperates after a defection."""

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        traits = self._traits(1)
        return traits if traits.order == 0 else replace(traits, looks_back=1)

    def _answers(self, others: Sequence[bool], my_acts: Sequence[bool]) -> bool:
        return others[0]


class Grim(Reciprocator):
    """Cooperates until its partner has defected once, and then never again, as far as its memory goes.

    The permanent retaliation of Friedman 1971, "A non-cooperative equilibrium for supergames", Rev. Econ. Stud. 38; in
    Axelrod 1980 the entry of that name.
    """

    model: Literal["scripted/grim"] = "scripted/grim"

    looks_back: ClassVar[Literal[1, 2, "all"]] = "all"

    def _answers(self, others: Sequence[bool], my_acts: Sequence[bool]) -> bool:
        return all(others)


class WinStayLoseShift(Reciprocator):
    """Does again what it did last if its partner cooperated then, and the opposite if not.

    Pavlov of Nowak & Sigmund 1993, "A strategy of win-stay, lose-shift that outperforms tit-for-tat in the Prisoner's
    Dilemma game", Nature 364. As its partner's cooperation is what makes the two better payoffs, it cooperates after
    both did the same.
    """

    model: Literal["scripted/win-stay-lose-shift"] = "scripted/win-stay-lose-shift"

    minds_own_acts: ClassVar[bool] = True

    def _answers(self, others: Sequence[bool], my_acts: Sequence[bool]) -> bool:
        return others[0] == (my_acts[0] if my_acts else self.begins_by_cooperating)
