"""What scripted policies answer: their strategies, their decisions, and notes that say what happened.

A policy decides about one other member. Where more meet, its level is the mean of its decisions about each of them.
"""

from __future__ import annotations

from agentsim.core.answers import Answer, TextSpec
from agentsim.core.facts import born_and_index
from agentsim.core.keys import DecisionKey, StageKey, parse
from agentsim.core.policies import ScriptedPlayer
from agentsim.core.requests import DecisionView, MessageView, NoteView, Request, StrategyView
from agentsim.core.rng import uniform
from agentsim.prompts.sets import percent

__all__ = ["scripted_answer"]

SAYS_NOTHING = "(nothing)"
"""What a policy, which has no words, says to the others before deciding."""


def scripted_answer(policy: ScriptedPlayer, request: Request, *, seed: int) -> Answer:
    """Return what a policy answers; chance depends on the run's seed and the decision's place alone."""
    if isinstance(request.view, StrategyView):
        settings = ", ".join(
            f"{name} {value:g}" for name, value in policy.model_dump(exclude={"model", "agents", "name"}).items()
        )
        return Answer(text=policy.model + (f" ({settings})" if settings else ""))
    if isinstance(request.view, NoteView):
        return Answer(text=_noted(request.view))
    if isinstance(request.view, MessageView):
        return Answer(text=SAYS_NOTHING)
    assert not isinstance(request.spec, TextSpec)
    view = request.view

    def draw() -> float:
        return uniform("policy", seed, *_place(request))

    levels = [policy.decide(view.toward(other) if len(view.others) > 1 else view, draw) for other in view.others]
    return view.rules.game.answer(request.spec, sum(levels) / len(levels), stage=view.stage)


def _noted(view: NoteView) -> str:
    """Return a scripted player's note: what happened, and nothing else."""
    if view.fraction is None:
        return "had nothing to give"
    share = percent(view.fraction)
    return f"gave {share} of its units" if view.act == "give" else f"spent {share} of its units on punishing"


def _place(request: Request) -> tuple[int, ...]:
    """Return a decision's place as numbers: generation, game, round, and the two numbers of the donor's name."""
    key = parse(request.key)
    view = request.view
    assert isinstance(view, DecisionView)
    if isinstance(key, StageKey):
        decision = key.decision
        return decision.generation, decision.game, decision.round, *born_and_index(decision.donor), view.order
    assert isinstance(key, DecisionKey)
    return key.generation, key.game, key.round, *born_and_index(key.donor)
