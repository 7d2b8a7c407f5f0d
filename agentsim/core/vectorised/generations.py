"""Selection, birth and inheritance in many societies at once, by the ordinary rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agentsim.core.facts import Agent
from agentsim.core.rng import stream, uniforms
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import SelectionRule
from agentsim.core.transmission import Copy, Imitate, NoStrategy
from agentsim.core.vectorised.games import Living
from agentsim.core.vectorised.streams import numbers_by_seed

__all__ = ["Names", "as_places", "born_after", "first", "scored", "survivors"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]


class Names:
    """The order of agents' names, `<born>_<index>`, as text."""

    def __init__(self, *, generations: int, agents: int) -> None:
        self._of_born = _ranks([f"{born}_" for born in range(generations + 1)])
        self._of_index = _ranks([str(index) for index in range(agents + 1)])

    def order(self, born: Ints, index: Ints) -> Ints:
        """Return, for each society, its agents in the order of their names; arrays are (agents, societies)."""
        keys = self._of_born[born] * len(self._of_index) + self._of_index[index]
        return np.argsort(keys.T, axis=1).T


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of a block of societies; arrays are (slots, societies)."""

    living: Living
    parent: Ints
    resources: list[Floats]
    scores: Floats
    given: Floats
    n_gifts: Ints
    survivors: Ints | None
    encounters: list[dict[str, NDArray[Any]]]


def _ranks(names: list[str]) -> Ints:
    ranks = np.empty(len(names), dtype=np.intp)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return ranks


def as_places(seeds: Sequence[int]) -> NDArray[np.uint64]:
    """Return seeds as `rng.uniforms` takes them."""
    return np.array([seed % 2**64 for seed in seeds], dtype=np.uint64)


def first(seeds: Sequence[int], players: Ints) -> Living:
    """Return the first generation; `players` says who plays each agent, in the order of their numbers."""
    n = len(players)
    index = np.array(sorted(range(1, n + 1), key=str))
    shape = (n, len(seeds))
    return Living(
        generation=1,
        seeds=as_places(seeds),
        born=np.ones(shape, dtype=np.intp),
        index=np.ascontiguousarray(np.broadcast_to(index[:, None], shape)),
        player=np.ascontiguousarray(np.broadcast_to(players[index - 1][:, None], shape)),
    )


def scored(rule: SelectionRule, resources: Sequence[Floats]) -> Floats:
    """Return the agents' scores from the final resources of the games, in order; all are (slots, societies)."""
    counted = resources[-1:] if rule.score == "last_game" else resources
    total = np.zeros_like(counted[0])
    for game in counted:
        total += game
    return total / len(counted)


def survivors(rule: SelectionRule, scores: Floats, living: Living, *, seeds: Sequence[int]) -> Ints:
    """Return the slots of the survivors, best first, as (survivors, societies)."""
    return TWINS.get(rule.kind, _one_by_one)(rule, scores, living, seeds=seeds)


def _best(rule: SelectionRule, scores: Floats, living: Living, *, seeds: Sequence[int]) -> Ints:
    n_agents = len(scores)
    n = rule.n_survivors(n_agents)
    by_society = np.ascontiguousarray(scores.T)
    order = np.argsort(-by_society, axis=1, kind="stable")
    best = np.take_along_axis(by_society, order, axis=1)[:, : n + 1]
    tied = np.flatnonzero((best[:, 1:] == best[:, :-1]).any(axis=1))
    if len(tied):
        tied_seeds = tuple(seeds[society] for society in tied.tolist())
        [numbers] = numbers_by_seed(tied_seeds, "selection", ((living.generation,),), n_agents)
        order[tied] = np.lexsort((numbers.T, -by_society[tied]), axis=1)
    return order[:, :n].T


def _at_random(rule: SelectionRule, scores: Floats, living: Living, *, seeds: Sequence[int]) -> Ints:
    return _drawn(rule, scores, living, seeds=seeds, before=())


def _youngest(rule: SelectionRule, scores: Floats, living: Living, *, seeds: Sequence[int]) -> Ints:
    return _drawn(rule, scores, living, seeds=seeds, before=(-living.born,))


def _drawn(
    rule: SelectionRule, scores: Floats, living: Living, *, seeds: Sequence[int], before: tuple[Ints, ...]
) -> Ints:
    """Return the first in the order of `before`, ties in random order."""
    n_agents = len(scores)
    n = rule.n_survivors(n_agents)
    [numbers] = numbers_by_seed(tuple(seeds), "selection", ((living.generation,),), n_agents + n)
    drawn = np.lexsort((numbers[:n_agents], *before), axis=0)[:n]
    kept = np.sort(drawn, axis=0)
    rank = np.lexsort((numbers[n_agents:], -np.take_along_axis(scores, kept, axis=0)), axis=0)
    return np.take_along_axis(kept, rank, axis=0)


TWINS: Final[Mapping[str, Callable[..., Ints]]] = {
    "top": _best,
    "none": _best,
    "drift": _at_random,
    "death_birth": _at_random,
    "birth_death": _at_random,
    "staggered": _youngest,
}
"""Selection rules that are played in all societies at once; others are asked society by society."""


def _one_by_one(rule: SelectionRule, scores: Floats, living: Living, *, seeds: Sequence[int]) -> Ints:
    survivors = []
    for society, seed in enumerate(seeds):
        names = _names(living, society)
        by_name = dict(zip(names, scores[:, society].tolist(), strict=True))
        kept = rule.survivors(by_name, stream(seed, "selection", living.generation))
        survivors.append([names.index(name) for name in kept])
    return np.array(survivors, dtype=np.intp).T


def _names(living: Living, society: int) -> list[str]:
    both = zip(living.born[:, society].tolist(), living.index[:, society].tolist(), strict=True)
    return [f"{born}_{index}" for born, index in both]


def born_after(
    rules: SocietyRules,
    living: Living,
    kept: Ints,
    scores: Floats,
    *,
    seeds: Sequence[int],
    players: Ints,
    names: Names,
) -> tuple[Living, Ints]:
    """Return the next generation, and for each of its agents the slot it had before, or its parent's.

    A newborn that was shown several parents' strategies has -1 there.

    Args:
        kept: slots of survivors, best first.
        scores: by slot.
        players: of the first generation's agents, in the order of their numbers.
    """
    n_agents, n_societies = scores.shape
    n_newborns, column = n_agents - len(kept), np.arange(n_societies)
    generation = living.generation + 1
    index = np.broadcast_to(np.arange(1, n_newborns + 1)[:, None], (n_newborns, n_societies))
    parent, player = _inherited(rules, living, kept, scores, seeds=seeds, players=players, index=index)
    if rules.transmission.mutation:
        mutates = uniforms("mutates", living.seeds, generation, index) < rules.transmission.mutation
        drawn = uniforms("mutant", living.seeds, generation, index) * (players.max() + 1)
        parent, player = np.where(mutates, -1, parent), np.where(mutates, drawn.astype(np.intp), player)
    born_then = np.full((n_newborns, n_societies), generation)
    born = np.concatenate([living.born[kept, column], born_then])
    index = np.concatenate([living.index[kept, column], index])
    player = np.concatenate([living.player[kept, column], player])
    before = np.concatenate([kept, parent])
    order = names.order(born, index)
    sorted_ = [np.ascontiguousarray(values[order, column]) for values in (born, index, player, before)]
    return Living(generation, living.seeds, *sorted_[:3]), sorted_[3]


def _inherited(
    rules: SocietyRules,
    living: Living,
    kept: Ints,
    scores: Floats,
    *,
    seeds: Sequence[int],
    players: Ints,
    index: Ints,
) -> tuple[Ints, Ints]:
    """Return the newborns' parents, as slots, and their players."""
    rule, generation, column = rules.transmission, living.generation + 1, np.arange(scores.shape[1])
    pool = np.argsort(-scores, axis=0, kind="stable") if rules.learns_from_everyone else kept
    parent = np.full(index.shape, -1)
    if rule.draws_parent:
        numbers = uniforms("parent", living.seeds, generation, index)
        if isinstance(rule, Copy | NoStrategy):
            parent = pool[_picked(rule.chances, scores[pool, column], numbers), column]
        elif isinstance(rule, Imitate):
            adopts = uniforms("adopts", living.seeds, generation, index)
            own = _left(living, kept, column)[: len(index)]
            parent = _compared(rule, own, pool, scores, numbers=numbers, adopts=adopts)
        else:
            parent = _copied_one_by_one(rules, living, pool, scores, numbers)
    if (players == players[0]).all() or not len(index):
        return parent, np.full(index.shape, players[0])
    if rule.model_from == "parent" and rule.draws_parent:
        return parent, living.player[parent, column]
    numbers = uniforms("model", living.seeds, generation, index)
    if rule.model_from == "share":
        return parent, players[(numbers * len(players)).astype(np.intp)]
    if rule.model_from == "vacancy":
        return parent, living.player[_left(living, kept, column)[: len(index)], column]
    if rule.shows_all and rule.scores:
        shown = pool[(numbers * len(pool)).astype(np.intp), column]
        return parent, living.player[shown, column]
    return parent, _shown_one_by_one(rules, living, pool, scores, numbers, seeds=seeds)


def _left(living: Living, kept: Ints, column: Ints) -> Ints:
    """Return the slots of those who left, in the order of vacancies: by birth, then by number; survivors behind."""
    left = np.ones(living.born.shape, dtype=np.bool_)
    left[kept, column] = False
    return np.asarray(np.lexsort((living.index, living.born, ~left), axis=0))


def _compared(rule: Imitate, own: Ints, pool: Ints, scores: Floats, *, numbers: Floats, adopts: Floats) -> Ints:
    """Return whose strategy each newborn takes: that of whom it replaces (`own`), or of another of the pool."""
    column = np.arange(scores.shape[1])
    place_of_own = np.full(scores.shape, len(pool))  # those who are not in the pool come after all of it
    np.put_along_axis(place_of_own, pool, np.broadcast_to(np.arange(len(pool))[:, None], pool.shape), axis=0)
    own_place = place_of_own[own, column]
    n_others = len(pool) - (own_place < len(pool))
    drawn = (numbers * n_others).astype(np.intp)
    other = np.where(n_others > 0, pool[np.minimum(drawn + (drawn >= own_place), len(pool) - 1), column], own)
    worse = np.minimum(rule.beta * (scores[own, column] - scores[other, column]), 700.0)
    return np.where(adopts < 1 / (1 + np.exp(worse)), other, own)


def _picked(chances: str, scores: Floats, numbers: Floats) -> Ints:
    """Return to which possible parent each number falls; `scores` are theirs, best first."""
    equal = (numbers * len(scores)).astype(np.intp)
    if chances == "equal":
        return equal
    bounds = np.cumsum(scores, axis=0)
    point = numbers * bounds[-1]
    by_score = (point[:, None] >= bounds[None]).sum(axis=1)
    return np.where(bounds[-1] == 0, equal, np.minimum(by_score, len(scores) - 1))


def _shown_one_by_one(
    rules: SocietyRules, living: Living, pool: Ints, scores: Floats, numbers: Floats, *, seeds: Sequence[int]
) -> Ints:
    """Return the player of one of those whose strategies each newborn was shown."""
    players = np.empty(numbers.shape, dtype=np.intp)
    for society, seed in enumerate(seeds):
        slots, scores_by_name, agents = _candidates(living, pool, scores, society)
        for place, number in enumerate(numbers[:, society]):
            rng = stream(seed, "transmission", f"{living.generation + 1}_{place + 1}")
            shown = rules.transmission.advice(agents, scores_by_name, rng)
            parent = shown[int(number * len(shown))].agent
            players[place, society] = living.player[slots[parent], society]
    return players


def _copied_one_by_one(rules: SocietyRules, living: Living, pool: Ints, scores: Floats, numbers: Floats) -> Ints:
    """Return the slot of each newborn's parent."""
    parents = np.empty(numbers.shape, dtype=np.intp)
    for society in range(numbers.shape[1]):
        slots, scores_by_name, agents = _candidates(living, pool, scores, society)
        parents[:, society] = [
            slots[rules.transmission.parent(agents, scores_by_name, number).id]
            for number in numbers[:, society].tolist()
        ]
    return parents


def _candidates(
    living: Living, pool: Ints, scores: Floats, society: int
) -> tuple[dict[str, int], dict[str, float], list[Agent]]:
    """Return the slots and scores of a society's agents by name, and those that newborns may learn from, in order."""
    names = _names(living, society)
    slots = dict(zip(names, range(len(names)), strict=True))
    by_name = dict(zip(names, scores[:, society].tolist(), strict=True))
    agents = [
        Agent(id=names[slot], born=int(living.born[slot, society]), label="scripted", strategy=None)
        for slot in pool[:, society]
    ]
    return slots, by_name, agents
