"""Many societies of agents that have nothing but a level, and newborns whose levels are drawn.

A replicator–mutator process in a finite population (Page & Nowak 2002, J. Theor. Biol. 219): agents give at their own
level to everyone, the ordinary selection and transmission rules say who survives and who is a parent, and a newborn's
level is drawn from a kernel at the mean level of the parents that it is shown. Societies are equal in distribution to
those that the ordinary engine plays with such agents, not draw for draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agentsim.core.games import DonorGame
from agentsim.core.groups import Groups
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import Selection, Tournament
from agentsim.core.transmission import SomeParents, Transmission
from agentsim.errors import ScenarioError

__all__ = ["Born", "LevelCourses", "play_levels", "refuse_unknown"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
Born = Callable[[Floats, Ints], Floats]
"""Draws newborns' levels, (n,), at their parents' mean levels, (n,), in these societies, (n,)."""

SCHEDULES: Final = 20
"""The most blocks of societies, each of which has schedules of its own ..."""
AT_LEAST: Final = 20
"""... and the fewest societies of each of several blocks."""
PAIRINGS: Final = frozenset({"alternating", "released", "random", "repeated"})
SELECTIONS: Final = frozenset(
    {"top", "proportional", "tournament", "drift", "death_birth", "birth_death", "staggered", "none"}
)
SETTINGS: Final[Mapping[str, frozenset[str]]] = {
    "game": frozenset(
        {
            *("rounds", "endowment", "multiplier", "gift", "games", "punishment", "error", "continuation"),
            *("max_rounds", "length", "talk"),
        }
    ),
    "pairing": frozenset({"in_both_roles", "length"}),
    "selection": frozenset({"fraction", "halves", "score", "size", "replaced"}),
    "transmission": frozenset({"scores", "max_chars", "n", "chances", "model_from", "persona_from", "rewrite"}),
}
"""The settings of each part that are played, or that change nothing here."""
TRANSMISSIONS: Final = frozenset({"advice", "one_parent", "some_parents", "copy"})


@dataclass(frozen=True, slots=True)
class LevelCourses:
    """What societies did; arrays are (societies, generations)."""

    level: Floats
    """Mean level of the acts of a generation that did not fail."""
    score: Floats
    """Mean final resources."""


def refuse_unknown(rules: SocietyRules) -> None:
    """Check that these rules are among those that are played here.

    Raises:
        ScenarioError: they are not; the message names the rule.
    """
    game, learning = rules.game, rules.transmission
    if not isinstance(game, DonorGame):
        raise ScenarioError(f"game.kind: {game.kind}: societies of levels play the donor game alone")
    for part, kind, known in (
        ("pairing.kind", rules.pairing.kind, PAIRINGS),
        ("selection.kind", rules.selection.kind, SELECTIONS),
        ("transmission.kind", learning.kind, TRANSMISSIONS),
    ):
        if kind not in known:
            raise ScenarioError(
                f"{part}: {kind} is not among what societies of levels play: {', '.join(sorted(known))}"
            )
    for part, settings in SETTINGS.items():
        rule = dict(rules)[part]
        for name, field in type(rule).model_fields.items():
            if name not in settings | {"kind"} and getattr(rule, name) != field.default:
                raise ScenarioError(f"{part}.{name}: societies of levels do not play it; remove it")
    if game.one_endowment is None:
        raise ScenarioError("game.endowment: societies of levels begin with one endowment for all; name one number")
    if game.punishment is not None:
        raise ScenarioError("game.punishment: agents that have a level alone do not punish; remove it")
    if learning.rewrite:
        raise ScenarioError("transmission.rewrite: how survivors change their levels is not known; use false")


def play_levels(
    rules: SocietyRules, first: Floats, *, born: Born, rng: np.random.Generator, seed: int = 0
) -> LevelCourses:
    """Play one society for each row of `first`, the levels of its first agents, (societies, agents).

    Args:
        born: draws newborns' levels.
        rng: decides all else that is left to chance but the schedules, which follow from `seed`.

    Raises:
        ScenarioError: the rules are not among those that are played here.
    """
    refuse_unknown(rules)
    levels, n_societies = first.copy(), len(first)
    age = np.zeros(levels.shape, dtype=np.intp)
    level, score = np.empty((n_societies, rules.generations)), np.empty((n_societies, rules.generations))
    blocks = np.array_split(np.arange(n_societies), max(1, min(SCHEDULES, n_societies // AT_LEAST)))
    for generation in range(1, rules.generations + 1):
        scores, given, n_gifts = np.empty(levels.shape), np.zeros(n_societies), np.zeros(n_societies)
        for number, block in enumerate(blocks):
            scores[block], given[block], n_gifts[block], score[block, generation - 1] = _games(
                rules, levels[block], seed=seed + number, generation=generation, rng=rng
            )
        with np.errstate(invalid="ignore"):
            level[:, generation - 1] = given / n_gifts
        if generation < rules.generations:
            levels, age = _next(rules, levels, scores, age, born=born, rng=rng)
    return LevelCourses(level, score)


def _games(
    rules: SocietyRules, levels: Floats, *, seed: int, generation: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return scores, (societies, agents), and for each society what was given, how often, and the mean resources."""
    game, n_agents = rules.donor_game, levels.shape[1]
    names = [str(slot) for slot in range(n_agents)]
    pairing, n_rounds = rules.drawn_pairing(seed), game.n_rounds(seed, generation=generation)
    given, n_gifts = np.zeros(len(levels)), np.zeros(len(levels))
    finals = []
    for number in range(1, game.games + 1):
        held = np.full(levels.shape, float(game.endowments[0]))
        for pairs in rules.schedule(pairing, names, n_rounds, seed=seed, generation=generation, game=number):
            donors, recipients = (np.array([int(members[side]) for members in pairs]) for side in (0, 1))
            has, wanted = held[:, donors], levels[:, donors]
            if game.gift.yes is not None:  # a level is then the chance of a gift
                wanted = (rng.random(has.shape) < wanted).astype(float)
            amounts = game.gift.amounts(wanted, has)
            with np.errstate(invalid="ignore"):
                fractions = game.gift.fractions(amounts, has)
            if game.error:
                fails = rng.random(has.shape) < game.error
                amounts, fractions = np.where(fails, 0.0, amounts), np.where(fails, np.nan, fractions)
            given += np.nansum(fractions, axis=1)
            n_gifts += np.isfinite(fractions).sum(axis=1)
            held[:, donors] -= amounts
            held[:, recipients] += game.received_of(amounts)
        finals.append(held)
    counted = finals[-1:] if rules.selection.score == "last_game" else finals
    return np.mean(counted, axis=0), given, n_gifts, np.mean([final.mean(axis=1) for final in finals], axis=0)


def _next(
    rules: SocietyRules, levels: Floats, scores: Floats, age: Ints, *, born: Born, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Return the levels and ages of the next generation: newborns take the places of those who leave."""
    groups = rules.groups
    group = np.arange(rules.agents) // rules.group_size
    compared = scores if groups is None else _compared(groups, scores)
    kept = _kept(rules.selection, compared, age, rng)
    parents = np.ones(kept.shape, dtype=np.bool_) if rules.learns_from_everyone else kept
    # Newborns in the order of society and place.
    society, place = np.nonzero(~kept)
    pool = parents[society]
    if groups is not None and groups.learn != "anywhere":
        if groups.learn == "own_group":
            source = group[place]
        else:
            founder = _first_drawn(np.repeat(parents, groups.number, axis=0), rng)
            source = group[founder].reshape(len(levels), groups.number)[society, group[place]]
        near = pool & (group == source[:, None])
        pool = np.where(near.any(axis=1, keepdims=True), near, pool)
    means = _means(rules.transmission, pool, levels[society], compared[society], rng)
    following, following_age = levels.copy(), age + 1
    following[society, place] = means if rules.transmission.copies else born(means, society)
    following_age[society, place] = 0
    if groups is not None and groups.migration:
        following, following_age = _migrated(groups, following, following_age, rng)
    return following, following_age


def _compared(groups: Groups, scores: Floats) -> Floats:
    by_group = scores.reshape(len(scores), groups.number, -1)
    means = np.broadcast_to(by_group.mean(axis=2, keepdims=True), by_group.shape).reshape(scores.shape)
    return groups.weight * means + (1 - groups.weight) * scores if groups.weight < 1 else means


def _migrated(groups: Groups, levels: Floats, age: Ints, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Let those who migrate exchange their places at random."""
    moves = rng.random(levels.shape) < groups.migration
    number = np.broadcast_to(np.arange(levels.shape[1]), levels.shape)
    places = np.argsort(np.where(moves, number, levels.shape[1]), axis=1, kind="stable")
    drawn = np.argsort(np.where(moves, rng.random(levels.shape), 2.0), axis=1, kind="stable")
    n_moving = moves.sum(axis=1, keepdims=True)
    source = number.copy()
    rows, ranks = np.nonzero(number < n_moving)
    source[rows, places[rows, ranks]] = drawn[rows, ranks]
    return np.take_along_axis(levels, source, axis=1), np.take_along_axis(age, source, axis=1)


def _kept(rule: Selection, scores: Floats, age: Ints, rng: np.random.Generator) -> Bools:
    """Return who survives, (societies, agents)."""
    n_agents, chance = scores.shape[1], rng.random(scores.shape)
    n = rule.n_survivors(n_agents)
    if isinstance(rule, Tournament):
        return _of_tournaments(rule, scores, n, rng)
    if rule.kind == "top":
        order = np.lexsort((chance, -scores), axis=1)
    elif rule.kind == "proportional":  # drawn one after the other: the first of exponential clocks at these rates
        with np.errstate(divide="ignore"):
            order = np.lexsort((chance, -np.log1p(-chance) / scores), axis=1)
    elif rule.kind == "staggered":
        order = np.lexsort((chance, age), axis=1)
    else:
        order = np.argsort(chance, axis=1)
    kept = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(kept, order[:, :n], values=True, axis=1)
    return kept


def _of_tournaments(rule: Tournament, scores: Floats, n: int, rng: np.random.Generator) -> Bools:
    kept = np.zeros(scores.shape, dtype=np.bool_)
    for _ in range(n):
        drawn = np.argsort(np.where(kept, 2.0, rng.random(scores.shape)), axis=1)[:, : rule.size]
        left = ~np.take_along_axis(kept, drawn, axis=1)
        own = np.where(left, np.take_along_axis(scores, drawn, axis=1), -np.inf)
        best = np.lexsort((rng.random(own.shape), -own), axis=1)[:, :1]
        np.put_along_axis(kept, np.take_along_axis(drawn, best, axis=1), values=True, axis=1)
    return kept


def _means(rule: Transmission, pool: Bools, levels: Floats, scores: Floats, rng: np.random.Generator) -> Floats:
    """Return the mean level of the parents of each newborn; arrays are (newborns, agents)."""
    if rule.shows_all:
        return np.asarray((pool * levels).sum(axis=1) / pool.sum(axis=1))
    rates = pool.astype(float)
    if getattr(rule, "chances", "equal") == "by_score":
        by_score = pool * scores
        rates = np.where(by_score.any(axis=1, keepdims=True), by_score, rates)
    clocks = rng.exponential(size=pool.shape)
    with np.errstate(divide="ignore"):
        order = np.argsort(clocks / rates, axis=1)
    n = rule.n if isinstance(rule, SomeParents) else 1
    chosen = np.take_along_axis(levels, order[:, :n], axis=1)
    is_parent = np.take_along_axis(pool, order[:, :n], axis=1)
    return np.asarray((chosen * is_parent).sum(axis=1) / is_parent.sum(axis=1))


def _first_drawn(pool: Bools, rng: np.random.Generator) -> Ints:
    """Return one of the pool of each row, all equally likely."""
    return np.asarray(np.argmax(np.where(pool, rng.random(pool.shape), -1.0), axis=1))
