"""The rules of a society: everything that decides its course, except who plays."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from agentsim.core.facts import Value
from agentsim.core.games import DonorGame, Game
from agentsim.core.observation import Gossip, ObservationRule, Trace
from agentsim.core.pairing import Alternating, PairingRule
from agentsim.core.selection import SelectionRule, Top
from agentsim.core.transmission import Advice as AdviceRule
from agentsim.core.transmission import TransmissionRule

__all__ = ["SocietyRules"]


class SocietyRules(Value):
    """Everything that decides the course of a society, except who plays."""

    agents: int = Field(default=12, ge=2, le=10_000)
    """Agents a generation; even, as all are paired in each round, unless the pairing lets one sit out."""
    generations: int = Field(default=10, ge=1, le=10_000)
    game: Game = DonorGame()
    pairing: PairingRule = Alternating()
    observation: ObservationRule = Trace()
    selection: SelectionRule = Top()
    transmission: TransmissionRule = AdviceRule()

    @model_validator(mode="after")
    def _can_be_played(self) -> Self:
        if self.agents % 2 and not getattr(self.pairing, "takes_odd", False):
            raise ValueError(
                f"agents: {self.agents} cannot be paired; use an even number, or pairing: {{kind: random}}, where one"
                " agent sits out each round"
            )
        survivors = self.selection.n_survivors(self.agents)
        if self.selection.kind != "none" and not 0 < survivors < self.agents:
            name = next((name for name in ("replaced", "fraction") if hasattr(self.selection, name)), "kind")
            raise ValueError(
                f"selection.{name}: {getattr(self.selection, name)} of {self.agents} agents leaves {survivors}"
                f" survivors; between 1 and {self.agents - 1} must survive"
            )
        return self

    @property
    def told(self) -> SocietyRules:
        """The rules alone, as prompts tell them to agents, who do not know who plays."""
        return SocietyRules.model_construct(**{name: getattr(self, name) for name in SocietyRules.model_fields})

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
        """Whether newborns may learn from all of the generation before, not only from those who live on."""
        return getattr(self.selection, "learn_from", "survivors") == "everyone"

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
        """Questions that an encounter asks, one after the other: a decision, and perhaps a note on it."""
        return 2 if isinstance(self.observation, Gossip) else 1
