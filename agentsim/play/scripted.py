"""What scripted policies answer: their strategies, their decisions, and notes that say what happened."""

from __future__ import annotations

from agentsim.core.answers import Answer
from agentsim.core.facts import born_and_index
from agentsim.core.keys import DecisionKey, parse
from agentsim.core.policies import ScriptedPlayer
from agentsim.core.requests import NoteView, Request, StrategyView
from agentsim.core.rng import uniform
from agentsim.prompts.sets import percent

__all__ = ["scripted_answer"]


def scripted_answer(policy: ScriptedPlayer, request: Request, *, seed: int) -> Answer:
    """Return what a policy answers; chance depends on the run's seed and the decision's place alone."""
    if isinstance(request.view, StrategyView):
        settings = ", ".join(
            f"{name} {value:g}" for name, value in policy.model_dump(exclude={"model", "agents", "name"}).items()
        )
        return Answer(text=policy.model + (f" ({settings})" if settings else ""))
    if isinstance(request.view, NoteView):
        return Answer(text=_noted(request.view))
    fraction = policy.decide(request.view, lambda: uniform("policy", seed, *_place(request)))
    return Answer(act="give", amount=request.view.rules.game.gift.amount(fraction, request.view.resources))


def _noted(view: NoteView) -> str:
    """Return a scripted player's note: what happened, and nothing else."""
    if view.fraction is None:
        return "had nothing to give"
    share = percent(view.fraction)
    return f"gave {share} of its units" if view.act == "give" else f"spent {share} of its units on punishing"


def _place(request: Request) -> tuple[int, ...]:
    """Return a decision's place as numbers: generation, game, round, and the two numbers of the donor's name."""
    key = parse(request.key)
    assert isinstance(key, DecisionKey)
    return key.generation, key.game, key.round, *born_and_index(key.donor)
