"""Who survives a generation. A new rule is one class here and one name in `SelectionRule`."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import Field

from agentsim.core.facts import Frozen, born_and_index, rounded, total
from agentsim.core.registry import among
from agentsim.core.rng import shuffled

__all__ = [
    "RENAMED",
    "BirthDeath",
    "DeathBirth",
    "Drift",
    "Nobody",
    "Proportional",
    "Selection",
    "SelectionRule",
    "Staggered",
    "Top",
    "Tournament",
    "ranked",
]

RENAMED: Final = {
    "moran": "write death_birth for the rule that had this name (one leaves at random, then a survivor is copied), or"
    " birth_death for the process of Moran 1958 (one of all is copied, then one leaves at random)"
}
"""Kinds that have been renamed, and what to write instead."""


class Selection(Frozen):
    """The interface of every selection rule: scores, survivors, and what others need to know about them."""

    if TYPE_CHECKING:
        kind: str

    looks_at_scores: ClassVar[bool] = True
    """Whether who survives depends on scores."""
    learns_from_everyone: ClassVar[bool] = False
    """Whether newborns may learn from all agents of the generation that ended, or only from the survivors."""
    sized_by: ClassVar[str] = "kind"
    """The setting that decides how many survive: errors point to it."""
    may_keep_all: ClassVar[bool] = False
    """Whether all agents may survive, so that there are no newborns."""

    score: Literal["mean_of_games", "last_game"] = "mean_of_games"
    """What is compared: the mean of final resources over the generation's games, or those of the last game alone, which
    favour whoever receives last (as in the released notebook)."""

    @abstractmethod
    def n_survivors(self, n_agents: int) -> int:
        """Return how many of `n_agents` survive."""

    @abstractmethod
    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return the survivors, best first."""

    def neutral(self) -> Drift | None:
        """Return the rule by which as many survive whatever they earned; `None` where scores do not matter anyway.

        A rule that has no such counterpart returns `None` too.
        """
        return None

    def scores(self, final_resources: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Return each agent's score from the final resources of the generation's games, in order."""
        counted = final_resources[-1:] if self.score == "last_game" else final_resources
        return {agent: total(game[agent] for game in counted) / len(counted) for agent in final_resources[0]}


class _Share(Selection):
    """Rules under which a share of the agents survives."""

    sized_by: ClassVar[str] = "fraction"
    fraction: float = Field(default=0.5, gt=0, lt=1)
    """The share of agents that survives; multiplied by their number and rounded, it gives the number of survivors."""

    halves: Literal["up", "to_even"] = Field(default="up", exclude_if=lambda halves: halves == "up")
    """How half an agent is rounded: up, or to the nearest even number, as in the first logs."""

    def n_survivors(self, n_agents: int) -> int:
        """Return how many of `n_agents` survive."""
        return rounded(n_agents * self.fraction) if self.halves == "up" else round(n_agents * self.fraction)

    def neutral(self) -> Drift | None:
        """Return drift at the same fraction."""
        return Drift(fraction=self.fraction, score=self.score) if self.looks_at_scores else None


class _Few(Selection):
    """Rules under which generations overlap: only a few agents are replaced at a time."""

    sized_by: ClassVar[str] = "replaced"
    looks_at_scores: ClassVar[bool] = False
    replaced: int = Field(default=1, ge=1, le=10_000)
    """The number of agents that leave at the end of a generation, and of newborns that take their places."""

    def n_survivors(self, n_agents: int) -> int:
        """Return how many of `n_agents` are not replaced."""
        return n_agents - self.replaced


class Top(_Share):
    """The best share of the agents survives; ties are broken at random. (Vallinder & Hughes 2024, section 3.2)"""

    kind: Literal["top"] = "top"

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return the survivors, best first."""
        return _ranked(scores, rng)[: self.n_survivors(len(scores))]


class Proportional(_Share):
    """Survivors are drawn one after the other, each time with chances in proportion to scores.

    Fitness-proportionate selection (Holland 1975, "Adaptation in Natural and Artificial Systems"), without replacement,
    as nobody survives twice. Where all remaining agents have a score of 0, chances are equal.
    """

    kind: Literal["proportional"] = "proportional"

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return the survivors, best first."""
        left = dict(sorted(scores.items()))
        kept = []
        for _ in range(self.n_survivors(len(scores))):
            chances = left if any(left.values()) else dict.fromkeys(left, 1.0)
            point = rng.random() * total(chances.values())
            sums = itertools.accumulate(chances.values())
            drawn = next((agent for agent, bound in zip(chances, sums, strict=True) if point < bound), next(iter(left)))
            kept.append(drawn)
            del left[drawn]
        return _ranked({agent: scores[agent] for agent in kept}, rng)


class Tournament(_Share):
    """Each survivor is the best of `size` agents drawn at random from those not yet kept.

    Tournament selection (Goldberg & Deb 1991, "A comparative analysis of selection schemes used in genetic
    algorithms"): with size 1 it is drift, with the size of the society it is `top`.
    """

    kind: Literal["tournament"] = "tournament"
    size: int = Field(default=2, ge=1, le=10_000)
    """Agents that compete for each place."""

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return the survivors, best first."""
        left = sorted(scores)
        kept = []
        for _ in range(self.n_survivors(len(scores))):
            drawn = shuffled(left, rng)[: self.size]
            best = _ranked({agent: scores[agent] for agent in drawn}, rng)[0]
            kept.append(best)
            left.remove(best)
        return _ranked({agent: scores[agent] for agent in kept}, rng)


class Drift(_Share):
    """Survivors are drawn at random, whatever they earned: the neutral case (Kimura 1983, "The Neutral Theory")."""

    kind: Literal["drift"] = "drift"
    looks_at_scores: ClassVar[bool] = False

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return the survivors, best first."""
        kept = shuffled(sorted(scores), rng)[: self.n_survivors(len(scores))]
        return _ranked({agent: scores[agent] for agent in kept}, rng)


class _AtRandom(_Few):
    """Rules under which those who leave are drawn at random, whatever they earned."""

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return the survivors, best first."""
        kept = shuffled(sorted(scores), rng)[: self.n_survivors(len(scores))]
        return _ranked({agent: scores[agent] for agent in kept}, rng)


class DeathBirth(_AtRandom):
    """Agents drawn at random leave; newborns then learn from those that stay.

    With `transmission: {kind: copy, chances: by_score}` it is the death-birth process in a well-mixed population: one
    dies at random, and the others compete for its place in proportion to what they earned (Ohtsuki, Hauert, Lieberman
    & Nowak 2006, "A simple rule for the evolution of cooperation on graphs and social networks", Nature 441).
    """

    kind: Literal["death_birth"] = "death_birth"


class BirthDeath(_AtRandom):
    """Newborns learn from all who lived; then agents drawn at random leave, parents perhaps among them.

    With `transmission: {kind: copy, chances: by_score}` it is the process of Moran 1958 ("Random processes in
    genetics", Math. Proc. Camb. Philos. Soc. 54) with selection: one reproduces in proportion to what it earned, and
    one of those who lived before it dies at random (Nowak, Sasaki, Taylor & Fudenberg 2004, Nature 428).
    """

    kind: Literal["birth_death"] = "birth_death"
    learns_from_everyone: ClassVar[bool] = True


class Staggered(_Few):
    """The oldest leave, whatever they earned; those born in the same generation in random order.

    A chain of overlapping generations, as in laboratory microsocieties (Jacobs & Campbell 1961, J. Abnorm. Soc.
    Psychol. 62; Baum, Richerson, Efferson & Paciotti 2004, Evol. Hum. Behav. 25).
    """

    kind: Literal["staggered"] = "staggered"

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return the survivors, best first."""
        youngest_first = sorted(shuffled(sorted(scores), rng), key=lambda agent: -born_and_index(agent)[0])
        kept = youngest_first[: self.n_survivors(len(scores))]
        return _ranked({agent: scores[agent] for agent in kept}, rng)


class Nobody(Selection):
    """Nobody is selected: all agents live on and keep their strategies, unless they may rewrite them."""

    kind: Literal["none"] = "none"
    looks_at_scores: ClassVar[bool] = False
    may_keep_all: ClassVar[bool] = True

    def n_survivors(self, n_agents: int) -> int:
        """Return `n_agents`."""
        return n_agents

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        """Return everyone, best first."""
        return _ranked(scores, rng)


def ranked(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Return the agents, best first, ties by name."""
    return tuple(sorted(sorted(scores), key=lambda agent: -scores[agent]))


def _ranked(scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
    """Return the agents, best first, ties in random order."""
    return tuple(sorted(shuffled(sorted(scores), rng), key=lambda agent: -scores[agent]))


SelectionRule = Annotated[
    Selection,
    among(
        "selection",
        Top,
        Proportional,
        Tournament,
        Drift,
        DeathBirth,
        BirthDeath,
        Staggered,
        Nobody,
        default="top",
    ),
]
