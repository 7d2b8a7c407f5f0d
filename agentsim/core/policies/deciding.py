"""What a policy decides when it is asked as an agent of a society.

A policy decides about one other member. Where more meet, its level is the mean of its decisions about each of them.
"""

from __future__ import annotations

from agentsim.core.answers import Answer, Move, MoveSpec, TextSpec
from agentsim.core.facts import born_and_index, total
from agentsim.core.games.before import BEFORE, CHOOSE, EXCLUDE, JOIN, NOBODY, PLAY, REFUSE, WITH, WITHOUT
from agentsim.core.keys import DecisionKey, StageKey, parse
from agentsim.core.policies.records import known_level
from agentsim.core.policies.traits import Draw, Policy
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rng import uniform

__all__ = ["decided", "decided_with"]


def decided(policy: Policy, request: Request, *, seed: int) -> Answer:
    """Return what a policy decides; chance depends on the society's seed and the decision's place alone."""

    def draw() -> float:  # read out of the key only where it is needed: most policies leave nothing to chance
        return uniform("policy", seed, *_place(request))

    return decided_with(policy, request, draw=draw)


def decided_with(policy: Policy, request: Request, *, draw: Draw) -> Answer:
    """Return what a policy decides, with the random number of this decision."""
    view = request.view
    assert isinstance(view, DecisionView)
    assert not isinstance(request.spec, TextSpec)
    if view.stage in BEFORE:
        assert isinstance(request.spec, MoveSpec)
        return Answer(move=Move(_before(policy, view, request.spec, draw=draw)))
    if len(view.others) == 1:
        level = policy.decide(view, draw)
    else:
        level = total(policy.decide(view.toward(other), draw) for other in view.others) / len(view.others)
    return view.rules.game.answer(request.spec, level, stage=view.stage)


def _before(policy: Policy, view: DecisionView, spec: MoveSpec, *, draw: Draw) -> str:
    """Return what a policy answers before an encounter."""
    least = policy.meets_from
    if view.stage == JOIN:
        return WITH if policy.joins_sanctions else WITHOUT
    if least is None:
        everyone = {REFUSE: PLAY, EXCLUDE: NOBODY}
        return everyone.get(view.stage) or spec.options[int(draw() * len(spec.options))].name
    levels = {other.name: known_level(view.toward(other)) for other in view.others}
    if view.stage == CHOOSE:
        return max(levels, key=lambda name: levels[name])
    if view.stage == EXCLUDE:
        worst = min(levels, key=lambda name: levels[name])
        return worst if levels[worst] < least else NOBODY
    return REFUSE if sum(levels.values()) / len(levels) < least else PLAY


def _place(request: Request) -> tuple[int, ...]:
    """Return a decision's place as numbers: generation, game, round, and the two numbers of the agent's name."""
    key, view = parse(request.key), request.view
    assert isinstance(view, DecisionView)
    decision = key.decision if isinstance(key, StageKey) else key
    assert isinstance(decision, DecisionKey)
    place = decision.generation, decision.game, decision.round, *born_and_index(decision.donor)
    return (*place, view.order) if isinstance(key, StageKey) else place
