"""One scripted society as `Society` plays it, in the same arrays: for what has no vectorised twin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentsim.core.answers import Answer
from agentsim.core.facts import (
    Agent,
    Donated,
    Encounter,
    Event,
    GameEnded,
    GenerationEnded,
    Moved,
    StrategyFormed,
)
from agentsim.core.facts import born_and_index as named
from agentsim.core.games import DonorGame
from agentsim.core.policies import ScriptedPlayer
from agentsim.core.policies.deciding import decided
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society
from agentsim.core.vectorised.games import Living
from agentsim.core.vectorised.generations import Generation

__all__ = ["played"]


def played(
    rules: SocietyRules, players: Sequence[ScriptedPlayer], first: NDArray[np.intp], *, seed: int, longest: int
) -> Iterator[Generation]:
    """Yield the generations of one society, whose agents are played by `players` at the places in `first`."""
    facts, agents = _facts(rules, players, first, seed=seed)
    before: dict[str, int] = {}
    for number in range(1, rules.generations + 1):
        of_generation = [fact for fact in facts if getattr(fact, "generation", None) == number]
        [ended] = [fact for fact in of_generation if isinstance(fact, GenerationEnded)]
        slots = {name: slot for slot, name in enumerate(sorted(ended.scores))}
        parents = {name: _parent(agents[name], before, is_copy=rules.transmission.copies) for name in slots}
        given, n_gifts = _given(of_generation, slots, rules.game.games)
        yield Generation(
            Living(
                number,
                np.array([seed], dtype=np.uint64),
                _column([named(name)[0] for name in slots]),
                _column([named(name)[1] for name in slots]),
                _column([int(agents[name].label) for name in slots]),
            ),
            _column(list(parents.values())),
            [
                np.array([[fact.resources[name]] for name in slots])
                for fact in sorted(
                    (fact for fact in of_generation if isinstance(fact, GameEnded)), key=lambda fact: fact.game
                )
            ],
            np.array([[ended.scores[name]] for name in slots]),
            given,
            n_gifts,
            _column([slots[name] for name in ended.survivors]) if number < rules.generations else None,
            _encounters(of_generation, slots, rules, longest),
        )
        before = slots


def _facts(
    rules: SocietyRules, players: Sequence[ScriptedPlayer], first: NDArray[np.intp], *, seed: int
) -> tuple[list[Event], dict[str, Agent]]:
    """Play a society to its end; return its facts, and its agents, labelled with the place of their player."""
    society = Society(rules, labels=[str(place) for place in first], seed=seed)
    facts, waiting = society.start()
    while waiting:
        request = waiting.pop()
        step = society.answer(request, _answer(request, players[int(society.label_of(request.agent))], seed=seed))
        facts.extend(step.events)
        waiting.extend(step.asked)
    return facts, {fact.agent.id: fact.agent for fact in facts if isinstance(fact, StrategyFormed)}


def _answer(request: Request, player: ScriptedPlayer, *, seed: int) -> Answer:
    """Return what a policy decides; of its words nothing depends on."""
    view = request.view
    if not isinstance(view, DecisionView):
        return Answer(text=player.model)
    return decided(player, request, seed=seed)


def _parent(agent: Agent, before: Mapping[str, int], *, is_copy: bool) -> int:
    """Return the slot, in the generation before, of a survivor itself or of whom a newborn copied; -1: none."""
    if agent.id in before:
        return before[agent.id]
    return before[agent.parents[0]] if before and is_copy and agent.parents else -1


def _given(
    facts: Sequence[Event], slots: Mapping[str, int], n_games: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the sums of the levels of what agents decided themselves, and how many such acts there were.

    In the donor game a level is the fraction given.
    """
    given = np.zeros((n_games, len(slots), 1))
    n_gifts = np.zeros((len(slots), 1), dtype=np.intp)
    acts = [fact for fact in facts if isinstance(fact, Donated | Moved) and fact.intended is None]
    for act in sorted(acts, key=lambda act: (act.game, act.round)):
        actor, level = (act.donor, act.fraction) if isinstance(act, Donated) else (act.actor, act.level)
        if level is not None:
            given[act.game - 1, slots[actor]] += level
            n_gifts[slots[actor]] += 1
    return np.asarray(np.sum(list(given), axis=0)), n_gifts


def _encounters(
    facts: Sequence[Event], slots: Mapping[str, int], rules: SocietyRules, longest: int
) -> list[dict[str, NDArray[Any]]]:
    """Return the encounters of each donor game by name, as (rounds, pairs, 1), in the order of the donors' slots."""
    if not isinstance(rules.game, DonorGame):
        return []
    shape = (longest, len(slots) // 2, 1)
    by_game = []
    met = sorted((fact for fact in facts if isinstance(fact, Encounter)), key=lambda fact: slots[fact.donor])
    for game in range(1, rules.game.games + 1):
        columns: dict[str, NDArray[Any]] = {
            name: np.full(shape, -1, dtype=np.intp) if name in ("donor", "recipient") else np.full(shape, np.nan)
            for name in ("donor", "recipient", "donor_before", "recipient_before", "amount", "fraction")
        }
        n_met = np.zeros(longest, dtype=np.intp)
        for fact in met:
            if fact.game != game or not isinstance(fact, Donated):
                continue
            place = fact.round - 1, n_met[fact.round - 1], 0
            n_met[fact.round - 1] += 1
            columns["donor"][place], columns["recipient"][place] = slots[fact.donor], slots[fact.recipient]
            columns["donor_before"][place], columns["recipient_before"][place] = (
                fact.donor_before,
                fact.recipient_before,
            )
            columns["amount"][place] = fact.amount
            columns["fraction"][place] = np.nan if fact.fraction is None else fact.fraction
        by_game.append(columns)
    return by_game


def _column(values: Sequence[int]) -> NDArray[np.intp]:
    return np.array(values, dtype=np.intp)[:, None]
