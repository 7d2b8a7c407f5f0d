"""Groups within a society: who meets and learns where, and whether selection sees agents or their groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from agentsim.core.facts import Agent, Frozen, total

__all__ = ["Groups"]


class Groups(Frozen):
    """Equal groups, each of which keeps its places: a newborn joins the group of the agent whose place it takes.

    (Maynard Smith 1964, Nature 201; Traulsen & Nowak 2006, PNAS 103; Celiktemel et al. 2026, arXiv 2606.23343)
    """

    number: int = Field(ge=2, le=5_000)
    """The number of groups, which divides that of agents."""
    meet: Literal["within", "across", "mixed"] = Field(default="within", exclude_if=lambda meet: meet == "within")
    """Whom agents meet: those of their own group; those of other groups alone, where two meet; or all alike."""
    mixed: float = Field(default=0, ge=0, le=1)
    """The chance of each round to be one in which agents of all groups are paired with each other; in the others they
    meet as `meet` says. Above 0 only with random pairing."""
    weight: float = Field(default=0, ge=0, le=1)
    """What selection compares, and learning where its chances go by scores: 0, each agent's own score (individual
    selection); 1, the mean score of its group (group selection); between, so much of the one and the rest of the
    other."""
    learn: Literal["anywhere", "own_group", "one_group"] = "anywhere"
    """From whom newborns learn: from all that the selection rule allows; of these, from those of the group they join,
    if there are any; or all newborns of a group from those of one group, that of an agent drawn from all of them, so
    that whole groups are founded by a group."""
    migration: float = Field(default=0, ge=0, le=1)
    """The chance of each agent, before each generation but the first, to be among those that exchange their places at
    random."""
    told: bool = True
    """Whether agents are told what selection compares; of `false`, they are told nothing of selection if `weight` is
    above 0."""
    seats: Literal["at_random", "in_order"] = "at_random"
    """Which groups the first agents are in: drawn, or in the order of their numbers, and so of their players."""

    @model_validator(mode="after")
    def _is_mixed_once(self) -> Self:
        if self.meet == "mixed" and self.mixed:
            raise ValueError("mixed: all rounds are mixed where meet is mixed; remove one of them")
        return self

    @property
    def share_mixed(self) -> float:
        """The chance of a round to be mixed."""
        return 1.0 if self.meet == "mixed" else self.mixed

    def compared(self, scores: Mapping[str, float], groups: Mapping[str, int]) -> dict[str, float]:
        """Return what selection compares, from the agents' own scores and their groups."""
        if not self.weight:
            return dict(scores)
        members: dict[int, list[float]] = {}
        for agent, score in scores.items():
            members.setdefault(groups[agent], []).append(score)
        means = {group: total(own) / len(own) for group, own in members.items()}
        # Without own scores, agents of one group are equal to the last digit.
        own_weight = 1 - self.weight
        return {
            agent: self.weight * means[groups[agent]] + (own_weight * score if own_weight else 0.0)
            for agent, score in scores.items()
        }

    def teachers(
        self, parents: Sequence[Agent], groups: Mapping[str, int], *, group: int, number: float
    ) -> tuple[Agent, ...]:
        """Return those of the parents from whom newborns of a group learn; `number`, in [0, 1), is the group's."""
        if self.learn == "anywhere":
            return tuple(parents)
        source = group if self.learn == "own_group" else groups[parents[int(number * len(parents))].id]
        return tuple(agent for agent in parents if groups[agent.id] == source) or tuple(parents)
