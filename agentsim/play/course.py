"""A society with its players: completions go in, facts and further questions come out. Nothing here waits.

A model is asked by a `Question` (a prompt to be completed elsewhere); a scripted policy answers at once. So the same
code plays live, resumes and replays.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from agentsim.core.facts import Event
from agentsim.core.requests import NoteView, Request, StrategyView
from agentsim.core.society import Society, Step
from agentsim.play.questions import Question, first_prompt, read_answer
from agentsim.play.scripted import scripted_answer
from agentsim.prompts.sets import READER, PromptSet
from agentsim.providers.base import Completion
from agentsim.scenario.conditions import Condition
from agentsim.scenario.players import ModelPlayer

__all__ = ["Course", "Questioning"]


class Questioning(Protocol):
    """What a sitting drives: it has open questions, takes completions, and returns facts and further questions."""

    open: dict[str, Question]
    """The questions that wait for a completion, by key."""
    reader: int
    """The version of the reader of replies; a log that exists decides it."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to ask."""
        ...

    def n_after(self, question: Question) -> int:
        """Return the length of the longest chain of questions that may still follow this one."""
        ...

    def start(self) -> Step[Question]:
        """Return what can be asked first, and the facts that are known without asking."""
        ...

    def receive(self, key: str, completion: Completion) -> Step[Question]:
        """Read the completion of the open question `key`; return what follows."""
        ...


class Course:
    """A society with its players: completions go in, facts and further questions come out."""

    def __init__(self, condition: Condition, *, seed: int, prompts: PromptSet) -> None:
        self.open: dict[str, Question] = {}
        """The questions that wait for a completion, by key."""
        self.reader = READER
        """The version of the reader of replies."""
        self._condition = condition
        self._seed = seed
        self._prompts = prompts
        self._cast = condition.by_label
        self._society = Society(
            condition,
            labels=condition.labels,
            seed=seed,
            strategies=condition.given_strategies,
            personas=condition.personas,
        )
        chains = condition.chains(seed)
        rounds = (condition.game.n_rounds(seed, generation=number) for number in range(1, condition.generations + 1))
        later = (sum(chains[number:]) for number in range(1, condition.generations + 1))
        self._n_playing = [after + n * condition.n_in_a_row for after, n in zip(later, rounds, strict=True)]
        """The longest chain of questions from the beginning of each generation's games to the end of the last."""

    @property
    def is_finished(self) -> bool:
        """Whether the society's history is complete."""
        return self._society.is_finished

    def n_after(self, question: Question) -> int:
        """Return the length of the longest chain of questions that may still follow this one."""
        view, a_round = question.request.view, self._condition.n_in_a_row
        if isinstance(view, StrategyView):
            done = 0
        else:
            done = a_round * (view.round - 1) + (a_round if isinstance(view, NoteView) else view.order)
        return self._n_playing[view.generation - 1] - done

    def start(self) -> Step[Question]:
        """Return what can be asked first, and the facts that scripted players cause before that."""
        return self._advance(*self._society.start())

    def receive(self, key: str, completion: Completion) -> Step[Question]:
        """Read the completion of the open question `key`; return what follows.

        Raises:
            AnswerError: it was the last attempt and the scenario says `then: stop`.
        """
        question = self.open.pop(key)
        player = self._cast[question.player]
        assert isinstance(player, ModelPlayer)  # only models are asked
        answer = read_answer(
            question,
            completion,
            player=player,
            on_invalid=self._condition.on_invalid,
            prompts=self._prompts,
            seed=self._seed,
            reader=self.reader,
        )
        if isinstance(answer, Question):
            self.open[key] = answer
            return Step([], [answer])
        step = self._society.answer(question.request, answer)
        return self._advance(step.events, step.asked)

    def _advance(self, events: list[Event], requests: list[Request]) -> Step[Question]:
        """Let scripted players answer until only models have open questions."""
        questions = []
        waiting = deque(requests)
        while waiting:
            request = waiting.popleft()
            label = self._society.label_of(request.agent)
            player = self._cast[label]
            if isinstance(player, ModelPlayer):
                persona = self._society.persona_of(request.agent)
                prompt = first_prompt(request, player, self._prompts, seed=self._seed, persona=persona)
                questions.append(Question(request, 1, prompt, label))
                continue
            step = self._society.answer(request, scripted_answer(player, request, seed=self._seed))
            events.extend(step.events)
            waiting.extend(step.asked)
        self.open.update((question.request.key, question) for question in questions)
        return Step(events, questions)
