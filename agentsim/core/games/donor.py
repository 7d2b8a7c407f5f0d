"""The Donor Game: a donor may give units away and the recipient receives more than was given.

Source: Vallinder & Hughes, "Cultural Evolution of Cooperation among LLM Agents", arXiv 2412.10270 (2024), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, Tag, model_serializer, model_validator

from agentsim.core.answers import ActSpec, Answer, Move, MoveSpec
from agentsim.core.facts import Act, Donated, Frozen, Missed, Punished, TraceItem
from agentsim.core.games.before import BEFORE
from agentsim.core.games.game import ONE_OR_MORE, SOME, Encounter, Game, Moves, Outcome, Place, Said, Stage
from agentsim.core.gifts import ANY_SHARE, Gift

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["DonorGame", "Punishment"]


class Punishment(Frozen):
    """Instead of giving, the donor may spend units to take some away from the recipient."""

    cost: float = Field(default=1, gt=0)
    """Units spent ..."""
    effect: float = Field(default=2, gt=0)
    """... to remove so many from the recipient, which never falls below 0."""


class DonorGame(Game):
    """A donor may give units to a recipient, who receives more than was given."""

    kind: Literal["donor"] = "donor"
    endowment: Annotated[
        Annotated[float, Field(gt=0), Tag("number")]
        | Annotated[tuple[Annotated[float, Field(gt=0)], ...], SOME, Tag("list")],
        ONE_OR_MORE,
    ] = 10
    """Units every agent holds at the start of each game; or a list, dealt to the agents at random in each generation,
    each number as often as any other, as far as that goes, and the same in all games of a generation."""
    multiplier: float = Field(default=2, gt=0)
    """Units the recipient receives for each unit given. Of fixed gifts it is benefit ÷ cost and cannot be set."""
    gift: Gift = ANY_SHARE
    """What a donor may give: any `share` of its resources; a `fixed` gift or nothing; whole steps of `units`."""
    games: int = Field(default=2, ge=1, le=100)
    """Games a generation; each second one repeats the one before it with roles swapped."""
    punishment: Punishment | None = None
    """Costly punishment, or `null` where nobody may punish."""
    error: float = Field(default=0, ge=0, lt=1)
    """Probability that an act fails: the donor has decided, but nothing moves, and others see that nothing was given
    (implementation error: Fishman 2003, J. Theor. Biol. 225; Panchanathan & Boyd 2003, J. Theor. Biol. 224)."""

    told_if_changed: ClassVar[frozenset[str]] = Game.told_if_changed | {"gift"}
    default_pairing: ClassVar[str] = "alternating"

    @model_validator(mode="after")
    def _has_one_multiplier(self) -> Self:
        if (multiplier := self.gift.own_multiplier) is not None:
            if "multiplier" in self.model_fields_set:
                raise ValueError("multiplier: of fixed gifts it is gift.benefit ÷ gift.cost; remove it")
            self.__dict__["multiplier"] = multiplier
        return self

    @model_serializer(mode="wrap")
    def _without_what_follows(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if self.gift.own_multiplier is not None:
            data.pop("multiplier", None)
        return data

    def received(self, amount: float) -> float:
        """Return the units that the recipient receives of a gift."""
        return self.gift.received(amount, self.multiplier)

    def received_of(self, amounts: Floats) -> Floats:
        """Return the same for many gifts."""
        return self.gift.received_of(amounts, self.multiplier)

    def log10_most(self, n_agents: int, n_rounds: int) -> float:
        """Return the decimal logarithm of the most units that `n_agents` can hold together after `n_rounds` rounds."""
        return math.log10(n_agents) + self.gift.log10_most(self.endowments[-1], self.multiplier, n_rounds)

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the donor and the recipient."""
        return ("donor", "recipient")

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the one stage: the donor decides."""
        return ("decision",)

    @property
    def n_questions(self) -> int:
        """Return 1."""
        return 1

    @property
    def payoffs(self) -> tuple[float, float]:
        """Return the bounds of what is gained; the donor may give all it has, so neither is known beforehand."""
        return (-math.inf, math.inf)

    def total_at(self, level: float) -> None:
        """Return nothing: what is given depends on what donors hold."""

    def after(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Ask the donor, then move the units."""
        donor, _ = encounter.members
        before, recipient_before = encounter.holdings
        if not moves:
            return Stage("decision", ((donor, ActSpec(self.acts, high=before, gift=self.gift)),))
        move = moves["decision"][donor]
        if move is None:
            return Outcome((0.0, 0.0), is_missing=True)
        amount = move.amount or 0.0
        if move.option == "punish":
            assert self.punishment_effect is not None
            return Outcome((-amount, -min(amount * self.punishment_effect, recipient_before)))
        return Outcome((-amount, self.received(amount)))

    def move(self, spec: ActSpec | MoveSpec, level: float, *, stage: str) -> Move:
        """Return the gift at a level of all that may be given."""
        assert isinstance(spec, ActSpec)
        return Move("give", self.gift.amount(level, spec.high))

    def answer(self, spec: ActSpec | MoveSpec, level: float, *, stage: str) -> Answer:
        """Return the same as an answer."""
        if stage in BEFORE:
            return super().answer(spec, level, stage=stage)
        return Answer(act="give", amount=self.move(spec, level, stage=stage).amount)

    @property
    def may_fail(self) -> bool:
        """Whether an act may fail."""
        return self.error > 0

    def failed(self, move: Move, spec: ActSpec | MoveSpec, number: float) -> Move | None:
        """Return that nothing is done, where the act fails."""
        return Move("nothing", 0.0) if number < self.error else None

    def move_of(self, answer: Answer, spec: ActSpec | MoveSpec, *, key: str, stage: str) -> Move | None:
        """Return the act that an answer is.

        Raises:
            ValueError: the answer is none that was possible.
        """
        if stage in BEFORE:
            return super().move_of(answer, spec, key=key, stage=stage)
        assert isinstance(spec, ActSpec)
        amount = 0.0 if answer.replaced_by == "zero" else answer.amount
        if amount is None or answer.replaced_by == "pass":
            return None
        if not 0 <= amount <= spec.high:
            raise ValueError(f"{key}: amount {amount!r} is not within the donor's resources, 0 to {spec.high!r}")
        if answer.act != "punish" and not self.gift.allows(amount, spec.high):
            raise ValueError(f"{key}: {amount!r} is no gift that the game allows: {self.gift!r}")
        if answer.act == "punish" and self.punishment is None:
            raise ValueError(f"{key}: nobody may punish in this game")
        return Move("punish" if answer.act == "punish" else "give", amount)

    def act(self, encounter: Encounter, said: Said) -> TraceItem:
        """Return the donor's turn as others see it: where it failed, that nothing was given, whatever was meant."""
        donor, recipient = encounter.members
        if said.move is None:
            return TraceItem(encounter.round, donor, recipient, None, None)
        act = "punish" if said.move.option == "punish" else "give"
        return TraceItem(encounter.round, donor, recipient, act, self._fraction(encounter, said))

    def moved(self, place: Place, role: str, said: Said) -> None:
        """Return nothing: the donor's decision and its outcome are one fact."""

    def settled(
        self, place: Place, encounter: Encounter, said: Sequence[Said], outcome: Outcome
    ) -> Donated | Punished | Missed:
        """Return what the donor did, and what became of it."""
        (decision,) = said
        answer = decision.answer
        before, recipient_before = encounter.holdings
        fact: dict[str, Any] = {
            "key": decision.key,
            "generation": place.generation,
            "game": place.game,
            "round": place.round,
            "donor": encounter.members[0],
            "recipient": encounter.members[1],
            "donor_before": before,
            "donor_after": before + outcome.changes[0],
            "recipient_before": recipient_before,
            "recipient_after": recipient_before + outcome.changes[1],
            "problem": answer.problem,
            "attempts": answer.attempts,
        }
        if decision.move is None:
            return Missed.model_validate(fact)
        fact["amount"] = decision.move.amount
        fact["fraction"] = self._fraction(encounter, decision)
        fact["reading"] = answer.reading
        fact["intended"] = None if decision.intended is None else decision.intended.amount
        if answer.act == "punish":
            fact["removed"] = -outcome.changes[1]
            return Punished.model_validate(fact)
        fact["replaced_by"] = "zero" if answer.replaced_by == "zero" else None
        return Donated.model_validate(fact)

    def _fraction(self, encounter: Encounter, said: Said) -> float | None:
        """Return the share that the donor gave, or spent on punishing."""
        assert said.move is not None
        amount, before = said.move.amount or 0.0, encounter.holdings[0]
        if said.answer.act == "punish":
            return amount / before if before > 0 else None
        return self.gift.fraction(amount, before)

    @property
    def punishment_effect(self) -> float | None:
        """Units removed for each unit spent; `None` where nobody may punish."""
        return self.punishment.effect / self.punishment.cost if self.punishment else None

    @property
    def acts(self) -> tuple[Act, ...]:
        """What a donor may do."""
        return ("give", "punish") if self.punishment else ("give",)
