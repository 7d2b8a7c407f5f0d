"""What scripted policies answer: their strategies, their decisions, and notes that say what happened."""

from __future__ import annotations

from agentsim.core.answers import Answer
from agentsim.core.policies import ScriptedPlayer
from agentsim.core.policies.deciding import decided
from agentsim.core.requests import MessageView, NoteView, Request, StrategyView
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
    return decided(policy, request, seed=seed)


def _noted(view: NoteView) -> str:
    """Return a scripted player's note: what happened, and nothing else."""
    if view.fraction is None:
        return "had nothing to give"
    share = percent(view.fraction)
    return f"gave {share} of its units" if view.act == "give" else f"spent {share} of its units on punishing"
