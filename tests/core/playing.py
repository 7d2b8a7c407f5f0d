"""Plays a society to its end with an answering function, in any order of answers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from agentsim.core.answers import Answer
from agentsim.core.facts import Event
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society

Policy = Callable[[Request], Answer]


def constant(share: float) -> Policy:
    """Everyone gives the same share."""

    def answer(request: Request) -> Answer:
        if isinstance(request.view, DecisionView):
            return Answer(act="give", amount=share * request.view.resources)
        return Answer(text=f"give {share}")

    return answer


def play(
    rules: SocietyRules, policy: Policy, *, seed: int = 0, order: Random | None = None
) -> tuple[list[Request], list[Event]]:
    """Return all requests and all facts; `order` picks which open request is answered next."""
    society = Society(rules, labels="scripted/test", seed=seed)
    (events, waiting), asked = society.start(), []
    while waiting:
        request = waiting.pop(order.randrange(len(waiting)) if order else 0)
        asked.append(request)
        step = society.answer(request, policy(request))
        events.extend(step.events)
        waiting.extend(step.asked)
    assert society.is_finished
    return asked, events
