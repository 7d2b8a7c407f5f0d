"""What newborns learn from survivors. A new rule is one class here and one name in `TransmissionRule`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Annotated, Literal

from pydantic import Field, Tag

from agentsim.core.rng import shuffled
from agentsim.core.types import Advice as AdviceItem
from agentsim.core.types import Agent, Value, by_kind

__all__ = ["Advice", "Copy", "OneParent", "SomeParents", "TransmissionRule"]


class _Learning(Value):
    """What all rules have in common."""

    scores: bool = True
    """Whether the survivors' scores are shown beside their strategies (the paper: yes; the released notebook: no)."""
    max_chars: int = Field(default=1000, ge=1, le=100_000)
    """The length, in characters, at which a strategy is cut when it is formed."""

    @property
    def copies(self) -> bool:
        """Whether a newborn takes a parent's strategy over as it is, and is not asked for one of its own."""
        return False

    def _shown(self, parents: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[AdviceItem, ...]:
        """Return parents as a newborn sees them: best first with scores; without, in random order, as rank is one."""
        order = list(parents) if self.scores else shuffled(parents, rng)
        return tuple(AdviceItem(agent.id, agent.strategy, scores[agent.id] if self.scores else None) for agent in order)


class Advice(_Learning):
    """A newborn is shown every survivor's strategy and asked to improve on them. (Vallinder & Hughes 2024, 3.2)"""

    kind: Literal["advice"] = "advice"

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[AdviceItem, ...]:
        """Return what one newborn sees."""
        return self._shown(survivors, scores, rng)


class OneParent(_Learning):
    """A newborn is shown the strategy of one survivor, drawn at random: vertical transmission with reflection.

    (Cavalli-Sforza & Feldman 1981, "Cultural Transmission and Evolution")
    """

    kind: Literal["one_parent"] = "one_parent"

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[AdviceItem, ...]:
        """Return what one newborn sees."""
        return self._shown(shuffled(survivors, rng)[:1], scores, rng)


class SomeParents(_Learning):
    """A newborn is shown the strategies of `n` survivors, drawn at random: oblique transmission.

    (Cavalli-Sforza & Feldman 1981, "Cultural Transmission and Evolution")
    """

    kind: Literal["some_parents"] = "some_parents"
    n: int = Field(default=3, ge=1, le=10_000)
    """Survivors shown, or all where there are fewer."""

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[AdviceItem, ...]:
        """Return what one newborn sees."""
        drawn = {agent.id for agent in shuffled(survivors, rng)[: self.n]}
        return self._shown([agent for agent in survivors if agent.id in drawn], scores, rng)


class Copy(OneParent):
    """A newborn takes over the strategy of one survivor, drawn at random, word for word; nobody is asked.

    Faithful copying, the yardstick for what models change when they improve on a strategy: replicator dynamics in a
    finite society (Taylor & Jonker 1978; Nowak 2006, "Evolutionary Dynamics").
    """

    kind: Literal["copy"] = "copy"  # type: ignore[assignment]  # a kind of its own

    @property
    def copies(self) -> bool:
        """Return true."""
        return True


TransmissionRule = Annotated[
    Annotated[Advice, Tag("advice")]
    | Annotated[OneParent, Tag("one_parent")]
    | Annotated[SomeParents, Tag("some_parents")]
    | Annotated[Copy, Tag("copy")],
    by_kind("advice"),
]
