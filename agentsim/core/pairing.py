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

__all__ = [
    "Alternating",
    "Pairing",
    "PairingRule",
    "RandomMatching",
    "Released",
    "Repeated",
    "Schedule",
    "n_reversed",
    "swapped",
]

Schedule = tuple[tuple[tuple[str, ...], ...], ...]
"""For each round its encounters as members in the order of the game's roles, such as (donor, recipient). Every agent is
in one encounter a round at most; where the numbers do not divide, some sit out."""


class Pairing(Frozen):
    """The interface of every pairing rule: who meets whom, and what others need to know about that."""

    if TYPE_CHECKING:
        kind: str

    takes_odd: ClassVar[bool] = False
    """Whether agents may be left over, who sit out the round."""
    takes_groups: ClassVar[bool] = False
    """Whether encounters of other than two members can be formed."""
    keeps_roles: ClassVar[bool] = False
    """Whether two agents are meant never to meet in both roles in a game; two alone cannot avoid it."""

    @property
    def keeps_groups(self) -> bool:
        """Whether the members of an encounter stay together through a whole game."""
        return False

    @abstractmethod
    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over the agents, in encounters of `size` members.

        The agents' number is a multiple of `size` unless the rule `takes_odd`; `size` is 2 unless it `takes_groups`.
        """


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

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
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

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over an even number of agents."""
        half = len(agents) // 2
        cycles = [divmod(index, half) for index in range(rounds)]
        return _bipartite(agents, [shift for _, shift in cycles], [sum(cycle) % 2 == 0 for cycle in cycles], rng)


class RandomMatching(Pairing):
    """A fresh, uniformly random partition into groups with random roles in each round.

    Where the number of agents does not divide, those left over, drawn at random, sit out the round.
    """

    kind: Literal["random"] = "random"
    takes_odd: ClassVar[bool] = True
    takes_groups: ClassVar[bool] = True

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over any number of agents."""
        return tuple(_in_groups(shuffled(agents, rng), size) for _ in range(rounds))


class Repeated(Pairing):
    """The same agents meet again and again: groups drawn once a game, or anew after each `length` rounds.

    Of two, this is direct reciprocity (the repeated games of Axelrod & Hamilton 1981, Science 211); of more, the
    partners of Andreoni 1988, J. Public Econ. 37. Where members have different roles, the roles rotate from round to
    round.
    """

    kind: Literal["repeated"] = "repeated"
    length: int | None = Field(default=None, ge=1, le=10_000)
    """Rounds that a group stays together; `null`: all rounds of the game."""
    takes_groups: ClassVar[bool] = True

    @property
    def keeps_groups(self) -> bool:
        """Whether the groups stay together through a whole game."""
        return self.length is None

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over a number of agents that `size` divides."""
        schedule = []
        groups: tuple[tuple[str, ...], ...] = ()
        for index in range(rounds):
            if index % (self.length or rounds) == 0:
                groups = _in_groups(shuffled(agents, rng), size)
            shift = index % size
            schedule.append(tuple(group[shift:] + group[:shift] for group in groups))
        return tuple(schedule)


PairingRule = Annotated[Pairing, among("pairing", Alternating, Released, RandomMatching, Repeated)]


def _in_groups(order: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(order[place : place + size]) for place in range(0, len(order) // size * size, size))


def swapped(schedule: Schedule) -> Schedule:
    """Return the schedule with the roles of each encounter in reverse order: donor and recipient exchanged."""
    return tuple(tuple(tuple(reversed(members)) for members in groups) for groups in schedule)


def n_reversed(schedule: Schedule) -> int:
    """Return the number of encounters of two in which a donor meets one that has been its donor before in the game."""
    met: set[tuple[str, ...]] = set()
    n_found = 0
    for pairs in schedule:
        n_found += sum((recipient, donor) in met for donor, recipient in pairs)
        met.update(pairs)
    return n_found


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
