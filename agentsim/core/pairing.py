"""Who meets whom, in which role. A new rule is one class here and one name in `PairingRule`."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Annotated, Literal

from pydantic import Field

from agentsim.core.rng import shuffled
from agentsim.core.types import Value

__all__ = ["Alternating", "PairingRule", "RandomMatching", "Released", "Schedule", "swapped"]

Schedule = tuple[tuple[tuple[str, str], ...], ...]
"""For each round its encounters as (donor, recipient); every agent is in exactly one encounter a round, but that one
who sits out where their number is odd."""


class Alternating(Value):
    """Roles alternate strictly; pairs repeat as late as can be.

    Strict alternation splits the agents into two halves that meet only across: a bipartite round robin whose donor
    half toggles each round. A pair meets again n/2 rounds later, the longest gap there is.
    """

    kind: Literal["alternating"] = "alternating"

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds over an even number of agents."""
        return _bipartite(agents, rounds, rng, swap_each_cycle=False)


class Released(Value):
    """As the published notebook pairs: n/2 rounds of round robin, then the same pairings with roles swapped.

    Where n/2 is even (12 agents), alternation breaks between rounds n/2 and n/2 + 1. (Vallinder & Hughes 2024, code)
    """

    kind: Literal["released"] = "released"

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds over an even number of agents."""
        return _bipartite(agents, rounds, rng, swap_each_cycle=True)


class RandomMatching(Value):
    """A fresh, uniformly random perfect matching with random roles in each round.

    Of an odd number of agents, one sits out each round, drawn at random as well.
    """

    kind: Literal["random"] = "random"

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds over any number of agents."""
        paired = len(agents) // 2 * 2
        orders = (shuffled(agents, rng) for _ in range(rounds))
        return tuple(tuple(zip(order[0:paired:2], order[1:paired:2], strict=True)) for order in orders)


PairingRule = Annotated[Alternating | Released | RandomMatching, Field(discriminator="kind")]


def swapped(schedule: Schedule) -> Schedule:
    """Return the schedule with donor and recipient exchanged in every encounter."""
    return tuple(tuple((recipient, donor) for donor, recipient in pairs) for pairs in schedule)


def _bipartite(agents: Sequence[str], rounds: int, rng: Random, *, swap_each_cycle: bool) -> Schedule:
    order = shuffled(agents, rng)
    half = len(order) // 2
    first, second = order[:half], order[half:]
    schedule = []
    for index in range(rounds):
        cycle, shift = divmod(index, half)
        pairs = [(agent, second[(place + shift) % half]) for place, agent in enumerate(first)]
        is_first_donor = (shift + cycle if swap_each_cycle else index) % 2 == 0
        schedule.append(tuple(pairs if is_first_donor else [(b, a) for a, b in pairs]))
    return tuple(schedule)
