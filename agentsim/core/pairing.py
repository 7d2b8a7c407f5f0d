"""Who meets whom, in which role. A new rule is one class here and one name in `PairingRule`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from agentsim.core.facts import Frozen
from agentsim.core.registry import among
from agentsim.core.rng import shuffled

__all__ = ["Alternating", "Pairing", "PairingRule", "RandomMatching", "Released", "Schedule", "n_reversed", "swapped"]

Schedule = tuple[tuple[tuple[str, str], ...], ...]
"""For each round its encounters as (donor, recipient); every agent is in exactly one encounter a round, except the one
that sits out where their number is odd."""


class Pairing(Frozen):
    """The interface of every pairing rule: who meets whom, and what others need to know about that."""

    if TYPE_CHECKING:
        kind: str

    takes_odd: ClassVar[bool] = False
    """Whether an odd number of agents can be paired."""
    keeps_roles: ClassVar[bool] = False
    """Whether two agents are meant never to meet in both roles in a game; two alone cannot avoid it."""

    @abstractmethod
    def schedule(self, agents: Sequence[str], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds over the agents; their number is even unless `takes_odd`."""


class Alternating(Pairing):
    """Roles alternate strictly; two agents never meet in both roles in a game, and meet again as late as possible.

    Strict alternation splits the agents into two halves that meet only across: a bipartite round robin whose donor
    half toggles each round. The n/2 ways to match the halves are divided among the odd and the even rounds, so that a
    pair always meets in the same roles. Where n/2 is even, a pair meets again n/2 rounds later; where it is odd, it is
    n/2 + 1 rounds in odd rounds and n/2 - 1 in even ones: no schedule has longer gaps. Two agents have only each other:
    they meet in each round.
    """

    kind: Literal["alternating"] = "alternating"
    keeps_roles: ClassVar[bool] = True
    in_both_roles: bool = Field(default=False, exclude_if=lambda is_so: not is_so)
    """Whether pairs recur in the order of the round robin where n/2 is odd: n/2 rounds later, and so with roles
    reversed, as in the first logs. Where n/2 is even, it changes nothing."""

    def is_reversing(self, n_agents: int) -> bool:
        """Return whether two of so many agents that meet again do so with roles reversed; otherwise they never do."""
        return n_agents == 2 or (self.in_both_roles and n_agents % 4 == 2)

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds over an even number of agents."""
        half = len(agents) // 2
        if self.is_reversing(len(agents)):
            shifts = [index % half for index in range(rounds)]
        else:
            n_ways = ((half + 1) // 2, half // 2)  # ways to match the halves in odd rounds, and in even ones
            shifts = [2 * (index // 2 % n_ways[index % 2]) + index % 2 for index in range(rounds)]
        return _bipartite(agents, shifts, [index % 2 == 0 for index in range(rounds)], rng)


class Released(Pairing):
    """The pairing of the published notebook: n/2 rounds of round robin, then the same pairings with roles swapped.

    Where n/2 is even (12 agents), alternation breaks between rounds n/2 and n/2 + 1. (Vallinder & Hughes 2024, code)
    """

    kind: Literal["released"] = "released"

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds over an even number of agents."""
        half = len(agents) // 2
        cycles = [divmod(index, half) for index in range(rounds)]
        return _bipartite(agents, [shift for _, shift in cycles], [sum(cycle) % 2 == 0 for cycle in cycles], rng)


class RandomMatching(Pairing):
    """A fresh, uniformly random perfect matching with random roles in each round.

    Where the number of agents is odd, one of them, drawn at random, sits out each round.
    """

    kind: Literal["random"] = "random"
    takes_odd: ClassVar[bool] = True

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds over any number of agents."""
        paired = len(agents) // 2 * 2
        orders = (shuffled(agents, rng) for _ in range(rounds))
        return tuple(tuple(zip(order[0:paired:2], order[1:paired:2], strict=True)) for order in orders)


PairingRule = Annotated[Pairing, among("pairing", Alternating, Released, RandomMatching)]


def swapped(schedule: Schedule) -> Schedule:
    """Return the schedule with donor and recipient exchanged in every encounter."""
    return tuple(tuple((recipient, donor) for donor, recipient in pairs) for pairs in schedule)


def n_reversed(schedule: Schedule) -> int:
    """Return the number of encounters in which a donor meets an agent that has been its donor before in the game."""
    met: set[tuple[str, str]] = set()
    found = 0
    for pairs in schedule:
        found += sum((recipient, donor) in met for donor, recipient in pairs)
        met.update(pairs)
    return found


def _bipartite(agents: Sequence[str], shifts: Sequence[int], is_first_donor: Sequence[bool], rng: Random) -> Schedule:
    """Return rounds between two random halves, the second shifted by so many places, the first giving or receiving."""
    order = shuffled(agents, rng)
    half = len(order) // 2
    first, second = order[:half], order[half:]
    schedule = []
    for shift, is_donor in zip(shifts, is_first_donor, strict=True):
        pairs = [(agent, second[(place + shift) % half]) for place, agent in enumerate(first)]
        schedule.append(tuple(pairs if is_donor else [(b, a) for a, b in pairs]))
    return tuple(schedule)
