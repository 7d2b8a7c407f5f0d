"""Prompt sets, loaded and rehearsed before the first call: a mistake in a template must not cost anything."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import get_args

from agentsim.core.facts import Problem
from agentsim.core.policies import ConstantShare
from agentsim.core.society import Society
from agentsim.errors import ScenarioError
from agentsim.play.scripted import scripted_answer
from agentsim.prompts.sets import PromptSet, load_prompt_set
from agentsim.scenario.conditions import Condition, digest

__all__ = ["prompt_set", "rehearse", "rehearsed"]


def prompt_set(condition: Condition) -> PromptSet:
    """Return the prompt set of a condition, in the words for its format of answers.

    Raises:
        ScenarioError: a file is missing, too large or not a valid template, or asks for another format of answers.
    """
    answer_format = _answer_format(condition)
    if condition.prompts == "default-json" and condition.model_players and answer_format != "json":
        raise ScenarioError(
            "prompts: default-json asks for JSON, but the answers are read as text; set players.answer_format: json too"
        )
    return load_prompt_set(condition.prompts, answer_format=answer_format)


def _answer_format(condition: Condition) -> str:
    return next((player.answer_format for player in condition.model_players.values()), "text")


def rehearsed(conditions: Iterable[Condition]) -> dict[str, PromptSet]:
    """Load and rehearse the prompt set of each condition; return them by the condition's digest under seed 0.

    Raises:
        ScenarioError: a prompt set cannot be loaded, or a template uses a name that does not exist.
    """
    loaded: dict[tuple[str, str], PromptSet] = {}
    told: set[tuple[str, str, str]] = set()
    """What has been rehearsed: prompt sets with the rules that they tell. Who plays does not matter."""
    prompt_sets = {}
    for name, condition in {digest(condition, seed=0): condition for condition in conditions}.items():
        key = condition.prompts, _answer_format(condition)
        if key not in loaded:
            loaded[key] = prompt_set(condition)
        rules = (*key, condition.told.model_dump_json())
        if rules not in told:
            rehearse(condition, loaded[key])
            told.add(rules)
        prompt_sets[name] = loaded[key]
    return prompt_sets


def rehearse(condition: Condition, prompts: PromptSet) -> None:
    """Render one prompt of every kind the condition will need, so that a mistake in a template costs no call.

    Raises:
        ScenarioError: a template uses a name that does not exist, or says nothing of a rule that is played.
    """
    prompts.rules_message(condition.told)
    game = condition.game.model_copy(update={"rounds": min(condition.game.rounds, 3), "continuation": 0.0, "games": 1})
    short = condition.model_copy(update={"game": game, "generations": min(condition.generations, 2)})
    society = Society(short, labels="rehearsal", seed=0)
    waiting = deque(society.start().asked)
    asked_again = set()
    while waiting:
        request = waiting.popleft()
        prompts.messages(request)
        kind = type(request.view), request.spec
        if kind not in asked_again:  # nothing else is shown when a question is asked again
            asked_again.add(kind)
            for problem in get_args(Problem):
                prompts.ask_again(request, problem)
        answer = scripted_answer(ConstantShare(), request, seed=0)
        waiting.extend(society.answer(request, answer).asked)
