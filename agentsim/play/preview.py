"""The prompts that agents would see at a chosen moment, without asking a model: `agentsim prompts show`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, get_args

from agentsim.core.answers import Answer
from agentsim.core.facts import Problem
from agentsim.core.requests import NoteView, Request, StrategyView
from agentsim.core.society import Society
from agentsim.errors import ScenarioError
from agentsim.play.questions import first_prompt
from agentsim.play.rehearsal import prompt_set
from agentsim.providers.base import Message
from agentsim.scenario.conditions import Condition

__all__ = ["Shown", "shown"]

SHARE = 0.5
"""The fraction that everyone gives until the moment shown."""
STRATEGY = f"to give {SHARE:.0%} of what I hold to everyone"
NOTE = f"It gave {SHARE:.0%} of what it held."


class Shown(NamedTuple):
    """One prompt, and when it is sent."""

    title: str
    messages: tuple[Message, ...]


def shown(
    condition: Condition, *, generation: int | None = None, round: int | None = None, seed: int = 0
) -> Iterator[Shown]:
    """Yield every kind of prompt, filled in for a moment of a society in which everyone gives half.

    The moment is round 3 of generation 2 by default, or the nearest that exists. Shown are: the question for a strategy
    in the first generation; for those of a newborn and of a survivor in a later `generation`, if they are asked; the
    decision of the first donor of `round`; the note on it, where notes are written; and what follows a reply that
    cannot be read, for each reason.

    Raises:
        ScenarioError: no model plays in this condition, there is no such moment, or a template is wrong.
    """
    player = next(iter(condition.model_players.values()), None)
    if player is None:
        raise ScenarioError(
            f"{condition.joint_label} is a scripted policy, which reads no prompts; name a model with --model"
        )
    generation = min(2, condition.generations) if generation is None else generation
    if not 1 <= generation <= condition.generations:
        raise ScenarioError(f"there is no generation {generation}: the scenario has 1 to {condition.generations}")
    n_rounds = condition.game.n_rounds(seed, generation=generation)
    round = min(3, n_rounds) if round is None else round
    if not 1 <= round <= n_rounds:
        raise ScenarioError(f"there is no round {round}: a game has 1 to {n_rounds}")
    prompts = prompt_set(condition)
    first, newborn, survivor, decision, note = _moments(condition, generation=generation, round=round, seed=seed)

    def titled(request: Request, title: str) -> Shown:
        return Shown(f"{title} ({request.key})", first_prompt(request, player, prompts, seed=seed).messages)

    yield titled(first, "an agent's strategy in the first generation")
    if newborn is not None:
        yield titled(newborn, f"a newborn's strategy in generation {generation}")
    if survivor is not None:
        yield titled(survivor, f"a survivor's strategy in generation {generation}")
    yield titled(decision, f"a donor's decision in generation {generation}, round {round}")
    if note is not None:
        yield titled(note, f"its recipient's note on it in generation {generation}, round {round}")
    for request, what in ((first, "strategy"), (decision, "decision"), *([(note, "note")] if note else [])):
        texts: dict[str, list[str]] = {}
        for problem in get_args(Problem):
            texts.setdefault(prompts.ask_again(request, problem).content, []).append(problem)
        for text, problems in texts.items():
            yield Shown(f"after a {what} that is {' or '.join(problems)}", (Message(role="user", content=text),))


class _Moments(NamedTuple):
    first: Request
    """The first question of the society."""
    newborn: Request | None
    survivor: Request | None
    """The questions for their strategies in the generation, if they are asked."""
    decision: Request
    note: Request | None
    """The question for a note on the decision, if notes are written."""


def _moments(condition: Condition, *, generation: int, round: int, seed: int) -> _Moments:
    society = Society(condition, labels=condition.joint_label, seed=seed)
    newborn = survivor = None
    waiting = deque(society.start().asked)
    first = waiting[0]
    while True:
        request = waiting.popleft()
        view = request.view
        if isinstance(view, StrategyView):
            if view.generation == generation > 1:
                survivor = survivor or (request if view.is_survivor else None)
                newborn = newborn or (None if view.is_survivor else request)
            answer = Answer(text=STRATEGY)
        elif isinstance(view, NoteView):
            answer = Answer(text=NOTE)
        else:
            answer = Answer(act="give", amount=view.rules.game.gift.amount(SHARE, view.resources))
            if (view.generation, view.round) == (generation, round):
                opened = society.answer(request, answer).asked
                note = next((other for other in opened if isinstance(other.view, NoteView)), None)
                return _Moments(first, newborn, survivor, request, note)
        waiting.extend(society.answer(request, answer).asked)
