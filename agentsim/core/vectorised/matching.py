"""Who meets whom in many societies at once, by the ordinary pairing rules.

Agents are numbered by their *slot*: their place among the names of their generation, sorted as text. Where all
societies meet by one pattern (round robins), states are kept by the pattern's places, as (places, societies), and a
round's donors are rows; where each draws its own, states are flat, agent after agent, and a round's donors are
positions. Either way `state[donors]` and `state[recipients]` are of shape (pairs, societies).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from agentsim.core.pairing import PairingRule, swapped
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised.streams import numbers_by_seed

__all__ = ["Matches", "matches", "together"]

Ints = NDArray[np.intp]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Matches:
    """The encounters of one game in many societies."""

    donors: list[Ints]
    """For each round: rows, as (pairs,), or positions, as (pairs, societies)."""
    recipients: list[Ints]
    slots: Ints
    """(agents, societies): positions in a flat array by slot of what is kept here, agent by agent."""
    shape: tuple[int, ...]
    """Of a state: (agents, societies), or (agents * societies,)."""

    def by_slot(self, state: NDArray[T]) -> NDArray[T]:
        """Return a state of the game as (slots, societies)."""
        in_slots = np.empty(self.slots.size, dtype=state.dtype)
        in_slots[self.slots] = state.reshape(self.slots.shape)
        return in_slots.reshape(self.slots.shape)

    def by_place(self, state: NDArray[T]) -> NDArray[T]:
        """Return what is kept as (slots, societies) in the shape of the game's states."""
        return state.reshape(-1)[self.slots].reshape(self.shape)


def together(games: list[Matches]) -> Matches:
    """Return several games as one, each society once a game: all of the first game, then all of the second."""
    n_agents, n_societies = games[0].slots.shape
    column = np.arange(len(games) * n_societies)

    def joined(sides: list[list[Ints]]) -> list[Ints]:
        slots = [
            (game.slots // n_societies).reshape(game.shape)[np.stack(side)]
            for game, side in zip(games, sides, strict=True)
        ]
        return list(np.concatenate(slots, axis=2) * len(column) + column)

    return Matches(
        joined([game.donors for game in games]),
        joined([game.recipients for game in games]),
        np.arange(n_agents)[:, None] * len(column) + column,
        (n_agents * len(column),),
    )


def matches(rules: SocietyRules, *, seeds: tuple[int, ...], generation: int, rounds: int) -> list[Matches]:
    """Return the encounters of a generation's games, in order, of so many rounds."""
    rule, agents, games = rules.pairing, rules.agents, rules.game.games
    is_random = rule.kind == "random"
    n_draws = agents * rounds if is_random else agents
    pairs_of_games = tuple((generation, number) for number in range(1, (games + 1) // 2 + 1))
    numbers = numbers_by_seed(seeds, "pairing", pairs_of_games, n_draws)
    column = np.arange(len(seeds))
    of_games = []
    for drawn in numbers:
        if is_random:
            order = np.argsort(drawn.reshape(rounds, agents, -1), axis=1, kind="stable") * len(seeds) + column
            paired = agents // 2 * 2
            donors, recipients = list(order[:, 0:paired:2]), list(order[:, 1:paired:2])
            slots = np.arange(agents)[:, None] * len(seeds) + column
            shape: tuple[int, ...] = (agents * len(seeds),)
        else:
            donors, recipients = _pattern(rule, agents=agents, rounds=rounds)
            # An agent's place is the rank of its number; what is known is which slot has each rank.
            slots = np.argsort(drawn.T, axis=1, kind="stable").T * len(seeds) + column
            shape = (agents, len(seeds))
        of_games.append(Matches(donors, recipients, slots, shape))
        of_games.append(Matches(recipients, donors, slots, shape))
    return of_games[:games]


class _InOrder(Random):
    """Shuffles nothing."""

    def random(self) -> float:
        return 0.0


def _pattern(rule: PairingRule, *, agents: int, rounds: int) -> tuple[list[Ints], list[Ints]]:
    """Return the donors and the recipients of each round, as places in the shuffled order."""
    schedule = rule.schedule([str(place) for place in range(agents)], rounds, _InOrder())
    donors, recipients = (
        [np.array([int(donor) for donor, _ in pairs], dtype=np.intp) for pairs in one_way]
        for one_way in (schedule, swapped(schedule))
    )
    return donors, recipients
