"""What newborns learn. A new rule is one class here and one name in `TransmissionRule`.

They learn from survivors; where the selection rule's `learn_from` says so, from everyone who lived before them.
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from agentsim.core.facts import Agent, Frozen, ShownStrategy
from agentsim.core.registry import among
from agentsim.core.rng import shuffled

__all__ = ["Advice", "Copy", "Imitate", "NoStrategy", "OneParent", "SomeParents", "TransmissionRule"]


class Transmission(Frozen):
    """The interface of every transmission rule: what newborns learn, and what others need to know about that."""

    if TYPE_CHECKING:
        kind: str

    told_if_changed: ClassVar[frozenset[str]] = frozenset({"persona_from", "mutation"})
    copies: ClassVar[bool] = False
    """Whether a newborn takes over a parent's strategy (`parent`), and is not asked for one."""
    has_strategies: ClassVar[bool] = True
    """Whether agents have strategies: they are asked for one, were given one, or take one over."""
    shows_all: ClassVar[bool] = False
    """Whether every newborn is shown everyone it may learn from; best first, unless `scores` are hidden."""

    scores: bool = True
    """Whether the survivors' scores are shown beside their strategies (the paper: yes; the released notebook: no)."""
    max_chars: int = Field(default=1000, ge=1, le=100_000)
    """The length, in characters, at which a strategy is cut when it is formed."""
    rewrite: bool = False
    """Whether survivors are asked again in each generation and may change their strategy; otherwise they keep it."""
    model_from: Literal["vacancy", "parent", "share"] = "vacancy"
    """Which model plays a newborn in a mixed society: that of an agent that left, so that their numbers do not change;
    that of a parent, drawn from those it was shown; or one drawn by the shares in the first generation."""

    persona_from: Literal["place", "parent"] = Field(default="place", exclude_if=lambda source: source == "place")
    """Which persona a newborn has, where the scenario gives any: that of the agent whose place it takes, or that of a
    parent, drawn from those it was shown."""
    mutation: float = Field(default=0, ge=0, le=1, exclude_if=lambda chance: not chance)
    """The chance of each newborn that would copy a strategy to take over none: its player is one of those of the first
    generation, all different ones equally likely, and it begins as their first agents did (as in the finite populations
    of Traulsen, Hauert, De Silva, Nowak & Sigmund 2009, PNAS 106)."""

    @property
    def draws_parent(self) -> bool:
        """Whether each newborn has one parent (`parent`), without being shown its strategy."""
        return self.copies or (not self.has_strategies and "parent" in (self.model_from, self.persona_from))

    @property
    def asks_newborns(self) -> bool:
        """Whether newborns are asked for a strategy."""
        return self.has_strategies and not self.copies

    @abstractmethod
    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[ShownStrategy, ...]:
        """Return what one newborn sees, or a survivor that may rewrite its strategy."""

    def parent(self, survivors: Sequence[Agent], scores: Mapping[str, float], number: float) -> Agent:
        """Return the survivor copied by the newborn that has this number in [0, 1), if the rule draws parents."""
        raise NotImplementedError(f"{type(self).__name__} draws no parent")

    def adopted(
        self, own: Agent, parents: Sequence[Agent], scores: Mapping[str, float], *, drawn: float, number: float
    ) -> Agent:
        """Return whom the newborn copies that replaces the agent `own`, by two numbers in [0, 1)."""
        return self.parent(parents, scores, drawn)

    def _shown(self, parents: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[ShownStrategy, ...]:
        """Return parents as a newborn sees them: best first with scores; otherwise in random order."""
        order = list(parents) if self.scores else shuffled(parents, rng)
        return tuple(
            ShownStrategy(agent.id, agent.strategy, scores[agent.id] if self.scores else None) for agent in order
        )


class _Drawn(Transmission):
    """Rules under which parents are drawn from the survivors."""

    chances: Literal["equal", "by_score"] = "equal"
    """Whether all survivors are equally likely to be a parent, or in proportion to their scores (payoff-biased: Boyd &
    Richerson 1985, "Culture and the Evolutionary Process")."""

    def _pick(self, survivors: Sequence[Agent], scores: Mapping[str, float], number: float) -> Agent:
        """Return the survivor that a number in [0, 1) selects; if all scores are 0, all are equally likely."""
        bounds = list(itertools.accumulate(scores[agent.id] for agent in survivors))
        if self.chances == "equal" or bounds[-1] == 0:
            return survivors[int(number * len(survivors))]
        point = number * bounds[-1]
        return next((agent for agent, bound in zip(survivors, bounds, strict=True) if point < bound), survivors[-1])

    def _draw(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random, n: int) -> list[Agent]:
        """Return `n` different survivors, or all where there are fewer, in the survivors' order."""
        left = list(survivors)
        while len(left) > len(survivors) - n and left:
            left.remove(self._pick(left, scores, rng.random()))
        return [agent for agent in survivors if agent not in left]


class Advice(Transmission):
    """A newborn is shown every survivor's strategy and asked to improve on them. (Vallinder & Hughes 2024, 3.2)"""

    kind: Literal["advice"] = "advice"
    shows_all: ClassVar[bool] = True

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[ShownStrategy, ...]:
        """Return what one newborn sees."""
        return self._shown(survivors, scores, rng)


class OneParent(_Drawn):
    """A newborn is shown the strategy of one survivor, drawn at random: vertical transmission with reflection.

    (Cavalli-Sforza & Feldman 1981, "Cultural Transmission and Evolution")
    """

    kind: Literal["one_parent"] = "one_parent"

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[ShownStrategy, ...]:
        """Return what one newborn sees."""
        return self._shown(self._draw(survivors, scores, rng, 1), scores, rng)


class SomeParents(_Drawn):
    """A newborn is shown the strategies of `n` survivors, drawn at random: oblique transmission.

    (Cavalli-Sforza & Feldman 1981, "Cultural Transmission and Evolution")
    """

    kind: Literal["some_parents"] = "some_parents"
    n: int = Field(default=3, ge=1, le=10_000)
    """Survivors shown, or all where there are fewer."""

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[ShownStrategy, ...]:
        """Return what one newborn sees."""
        return self._shown(self._draw(survivors, scores, rng, self.n), scores, rng)


class Copy(_Drawn):
    """A newborn takes over the strategy of one survivor, drawn at random, word for word; nobody is asked.

    Faithful copying, the yardstick for what models change when they improve on a strategy: replicator dynamics in a
    finite society (Taylor & Jonker 1978; Nowak 2006, "Evolutionary Dynamics").
    """

    kind: Literal["copy"] = "copy"
    copies: ClassVar[bool] = True
    model_from: Literal["vacancy", "parent", "share"] = "parent"
    """As under the other rules, but by default the parent's model is inherited with its strategy."""

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[ShownStrategy, ...]:
        """Return what a survivor that may rewrite its strategy sees: all of them."""
        return self._shown(survivors, scores, rng)

    def parent(self, survivors: Sequence[Agent], scores: Mapping[str, float], number: float) -> Agent:
        """Return the survivor copied by the newborn that has this number in [0, 1)."""
        return self._pick(survivors, scores, number)


class Imitate(Transmission):
    """Pairwise comparison: a newborn takes over the strategy of the agent that it replaces, or that of another.

    The other is drawn from those that the selection rule allows, and taken with probability 1 / (1 + exp(-beta (its
    score - the replaced agent's score))), the Fermi function (Blume 1993, Games Econ. Behav. 5; Szabó & Tőke 1998,
    Phys. Rev. E 58; Traulsen, Nowak & Pacheco 2006, Phys. Rev. E 74). With `selection: {kind: birth_death}`, `replaced`
    agents drawn at random compare themselves in each generation.
    """

    kind: Literal["imitate"] = "imitate"
    copies: ClassVar[bool] = True
    beta: float = Field(default=1, ge=0, le=1_000_000)
    """The strength of selection, for each unit of score: at 0, one of the two strategies is taken by chance; at a high
    one, the better one."""
    model_from: Literal["vacancy", "parent", "share"] = "parent"
    """As under the other rules, but by default the model is taken over with the strategy."""

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[ShownStrategy, ...]:
        """Return what a survivor that may rewrite its strategy sees: all of them."""
        return self._shown(survivors, scores, rng)

    def parent(self, survivors: Sequence[Agent], scores: Mapping[str, float], number: float) -> Agent:
        """Return the agent with which the newborn that has this number in [0, 1) compares the one that it replaces."""
        return survivors[int(number * len(survivors))]

    def adopted(
        self, own: Agent, parents: Sequence[Agent], scores: Mapping[str, float], *, drawn: float, number: float
    ) -> Agent:
        """Return whom the newborn copies: the agent `own` that it replaces, or another."""
        others = [agent for agent in parents if agent.id != own.id]
        if not others:
            return own
        other = self.parent(others, scores, drawn)
        worse = self.beta * (scores[own.id] - scores[other.id])
        return other if number < 1 / (1 + math.exp(min(worse, 700.0))) else own


class NoStrategy(_Drawn):
    """Nobody has a strategy: agents are asked for decisions alone, and a newborn learns nothing.

    As most studies of language models in games ask them (e.g. Akata et al. 2025, Nature Human Behaviour 9). Where
    `model_from` or `persona_from` is `parent`, each newborn has a parent, drawn by `chances`: types spread, though
    nobody learns.
    """

    kind: Literal["none"] = "none"
    has_strategies: ClassVar[bool] = False
    rewrite: Literal[False] = False
    """There is nothing to rewrite."""

    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[ShownStrategy, ...]:
        """Return what one newborn sees: nothing."""
        return ()

    def parent(self, survivors: Sequence[Agent], scores: Mapping[str, float], number: float) -> Agent:
        """Return the survivor from which the newborn that has this number in [0, 1) inherits what it inherits."""
        return self._pick(survivors, scores, number)


TransmissionRule = Annotated[
    Transmission, among("transmission", Advice, OneParent, SomeParents, Copy, Imitate, NoStrategy, default="advice")
]
