"""The rules of a society: everything that decides its course, except who plays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from agentsim.core.facts import Frozen
from agentsim.core.games import DonorGame, Game
from agentsim.core.observation import ObservationRule, Trace
from agentsim.core.pairing import Alternating, PairingRule
from agentsim.core.selection import SelectionRule, Top
from agentsim.core.transmission import Advice, TransmissionRule
from agentsim.errors import LogError

__all__ = ["SocietyRules", "logged_observation", "logged_selection"]


class SocietyRules(Frozen):
    """Everything that decides the course of a society, except who plays."""

    agents: int = Field(default=12, ge=2, le=10_000)
    """The number of agents in each generation: even, unless the pairing rule lets one agent sit out each round."""
    generations: int = Field(default=10, ge=1, le=10_000)
    game: Game = DonorGame()
    pairing: PairingRule = Alternating()
    observation: ObservationRule = Trace()
    selection: SelectionRule = Top()
    transmission: TransmissionRule = Advice()

    @model_validator(mode="after")
    def _can_be_played(self) -> Self:
        if self.agents % 2 and not self.pairing.takes_odd:
            raise ValueError(
                f"agents: {self.agents} cannot be paired; use an even number, or pairing: {{kind: random}}, where one"
                " agent sits out each round"
            )
        if self.game.gift.yes is not None:
            if self.observation.reports_random_gifts:
                raise ValueError(
                    "observation.noise: an act would be reported as a gift of a random share, and game.gift allows one"
                    " gift only; use observation.kind standing or image_score, which report the opposite, or no noise"
                )
            if self.observation.judges_from == 0:
                raise ValueError(
                    "observation.threshold: 0 counts a refusal as giving where game.gift is fixed; use one above 0"
                )
        survivors, most = self.n_survivors, self.agents if self.selection.may_keep_all else self.agents - 1
        if not 0 < survivors <= most:
            name = self.selection.sized_by
            raise ValueError(
                f"selection.{name}: {self.selection.model_dump()[name]} of {self.agents} agents leaves {survivors}"
                f" survivors; between 1 and {most} must survive"
            )
        return self

    @property
    def told(self) -> SocietyRules:
        """The rules without the players: what prompts tell agents, who are not told who plays."""
        values = dict(self)
        return SocietyRules.model_construct(**{name: values[name] for name in SocietyRules.model_fields})

    @property
    def n_survivors(self) -> int:
        """Agents that live on after a generation."""
        return self.selection.n_survivors(self.agents)

    @property
    def n_newborns(self) -> int:
        """Agents that take the places of those who leave after a generation."""
        return self.agents - self.n_survivors

    @property
    def learns_from_everyone(self) -> bool:
        """Whether newborns may learn from all agents of the generation before, or only from the survivors."""
        return self.selection.learns_from_everyone

    def n_encounters(self, seed: int) -> int:
        """Return how many encounters one run has."""
        n_rounds = sum(self.game.n_rounds(seed, generation=number) for number in range(1, self.generations + 1))
        return n_rounds * self.game.games * (self.agents // 2)

    def n_requests(self, seed: int) -> int:
        """Return how many questions one run asks when every answer is readable at once."""
        survivors = self.n_survivors
        asked = 0 if self.transmission.copies else self.agents - survivors
        asked += survivors if self.transmission.rewrite else 0
        return self.agents + (self.generations - 1) * asked + self.n_encounters(seed) * self.n_in_a_row

    @property
    def n_in_a_row(self) -> int:
        """Questions that each encounter asks in a row: a decision, and under some rules a note on it."""
        return 1 if self.observation.max_note_chars is None else 2


def logged_observation(condition: Mapping[str, Any]) -> ObservationRule:
    """Return the observation rule of a logged condition, with today's defaults for what was not logged.

    Raises:
        LogError: this agentsim does not know the rule.
    """
    rule: ObservationRule = _logged(_OBSERVATION, condition, "observation")
    return rule


def logged_selection(condition: Mapping[str, Any]) -> SelectionRule:
    """Return the selection rule of a logged condition, with today's defaults for what was not logged.

    Raises:
        LogError: this agentsim does not know the rule.
    """
    rule: SelectionRule = _logged(_SELECTION, condition, "selection")
    return rule


_OBSERVATION: TypeAdapter[Any] = TypeAdapter(ObservationRule)
_SELECTION: TypeAdapter[Any] = TypeAdapter(SelectionRule)


def _logged(adapter: TypeAdapter[Any], condition: Mapping[str, Any], part: str) -> Any:
    try:
        return adapter.validate_python(condition.get(part, {}))
    except ValidationError as error:
        raise LogError(
            f"{part}: {condition[part]!r} is a rule that this agentsim does not know; read the log with the version"
            " that wrote it"
        ) from error
