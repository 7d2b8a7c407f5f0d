"""The prompts that agents would see at a chosen moment, without asking a model: `agentsim prompts show`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, get_args

from agentsim.core.answers import Answer, TextSpec
from agentsim.core.facts import Problem
from agentsim.core.games import DonorGame
from agentsim.core.games.before import BEFORE
from agentsim.core.requests import DecisionView, NoteView, Request, StrategyView
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
GAME_STRATEGY = "to cooperate with everyone"
LEVEL = 0.9
"""How cooperative everyone is in other games until the moment shown."""
MESSAGE = "Let us all cooperate."
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
    in the first generation, where agents have any; for those of a newborn and of a survivor in a later `generation`, if
    they are asked; the questions of `round`, one of each kind; and what follows a reply that cannot be read, for each
    reason.

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
    personas = player.personas(condition.agents)
    society = Society(condition, labels=condition.joint_label, seed=seed, personas=personas)
    first, newborn, survivor, encounter = _moments(condition, society, generation=generation, round=round)

    def titled(asked: _Asked, title: str) -> Shown:
        prompt = first_prompt(asked.request, player, prompts, seed=seed, persona=asked.persona)
        return Shown(f"{title} ({asked.request.key})", prompt.messages)

    if first is not None:
        yield titled(first, "an agent's strategy in the first generation")
    if newborn is not None:
        yield titled(newborn, f"a newborn's strategy in generation {generation}")
    if survivor is not None:
        yield titled(survivor, f"a survivor's strategy in generation {generation}")
    for what, asked in encounter.items():
        yield titled(asked, f"{_title(what, asked.request)} in generation {generation}, round {round}")
    strategy = {} if first is None else {"strategy": first}
    for what, asked in {**strategy, **encounter}.items():
        texts: dict[str, list[str]] = {}
        for problem in get_args(Problem):
            texts.setdefault(prompts.ask_again(asked.request, problem).content, []).append(problem)
        for text, problems in texts.items():
            yield Shown(f"after a {what} that is {' or '.join(problems)}", (Message(role="user", content=text),))


class _Asked(NamedTuple):
    request: Request
    persona: str | None
    """The persona of the agent that is asked."""


class _Moments(NamedTuple):
    first: _Asked | None
    """The first agent's question for a strategy, if agents have strategies."""
    newborn: _Asked | None
    survivor: _Asked | None
    """The questions for their strategies in the generation, if they are asked."""
    encounter: dict[str, _Asked]
    """By what it is asked for, the first question of each kind in the round."""


def _moments(condition: Condition, society: Society, *, generation: int, round: int) -> _Moments:
    newborn: _Asked | None = None
    survivor: _Asked | None = None
    is_donor_game = isinstance(condition.game, DonorGame)
    encounter: dict[str, _Asked] = {}
    waiting = deque(society.start().asked)
    first = _Asked(waiting[0], society.persona_of(waiting[0].agent)) if condition.transmission.has_strategies else None
    while waiting and len(encounter) < _n_kinds(condition):
        request = waiting.popleft()
        view = request.view
        asked = _Asked(request, society.persona_of(request.agent))
        if isinstance(view, StrategyView):
            if view.generation == generation > 1:
                survivor = survivor or (asked if view.is_survivor else None)
                newborn = newborn or (None if view.is_survivor else asked)
            answer = Answer(text=STRATEGY if is_donor_game else GAME_STRATEGY)
        elif (view.generation, view.round) > (generation, round):
            continue
        else:
            if (view.generation, view.round) == (generation, round):
                encounter.setdefault(_what(request), asked)
            if isinstance(view, DecisionView):
                assert not isinstance(request.spec, TextSpec)
                level = SHARE if is_donor_game else LEVEL
                answer = view.rules.game.answer(request.spec, level, stage=view.stage)
            else:
                answer = Answer(text=NOTE if isinstance(view, NoteView) else MESSAGE)
        waiting.extend(society.answer(request, answer).asked)
    return _Moments(first, newborn, survivor, encounter)


def _n_kinds(condition: Condition) -> int:
    """Return how many kinds of question an encounter asks."""
    has_notes, has_talk = condition.observation.max_note_chars is not None, condition.game.talk is not None
    return len(condition.game.before) + len(condition.game.stages) + has_notes + has_talk


def _what(request: Request) -> str:
    """Return what a member of an encounter is asked for."""
    if isinstance(request.view, DecisionView):
        return request.view.stage
    return "note" if isinstance(request.view, NoteView) else "message"


def _title(what: str, request: Request) -> str:
    if what == "note":
        return "its recipient's note on it"
    view = request.view
    if not isinstance(view, DecisionView):
        return "a member's message before deciding"
    if what in BEFORE:
        return f"the question {what} before an encounter"
    return "a donor's decision" if view.role == "donor" else f"the question {what} to the {view.role}"
