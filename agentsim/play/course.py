"""Who answers requests: a model, by way of prompts and reading, or a scripted policy. Nothing here waits.

A model's turn is a `Question` (a prompt to be completed elsewhere); reading the completion gives an `Answer` or the
next question. So the same code plays live, resumes and replays.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, NamedTuple, Protocol, get_args

from agentsim.core.facts import Event, Problem, born_and_index
from agentsim.core.keys import DecisionKey, parse
from agentsim.core.policies import ConstantShare, ScriptedPlayer
from agentsim.core.requests import Answer, NoteView, Request, StrategyView
from agentsim.core.rng import uniform
from agentsim.core.society import Society
from agentsim.errors import AnswerError, ScenarioError
from agentsim.prompts.sets import READER, READERS, PromptSet, load_prompt_set, percent
from agentsim.prompts.structured import schema_of
from agentsim.prompts.thoughts import without_thoughts
from agentsim.providers.base import Completion, Message, Prompt, Sampling
from agentsim.scenario.players import ModelPlayer
from agentsim.scenario.scenario import Condition, OnInvalid, digest

__all__ = [
    "Course",
    "Question",
    "Questioning",
    "Turn",
    "first_prompt",
    "prompt_set",
    "read_answer",
    "rehearse",
    "rehearsed",
]


class Question(NamedTuple):
    """A prompt to be completed, and the request it serves."""

    request: Request
    attempt: int
    """1 for the first asking."""
    prompt: Prompt
    player: str
    """The label of the player that is asked."""


class Turn(NamedTuple):
    """What follows from one completion."""

    events: list[Event]
    questions: list[Question]
    """Questions open from now on."""


class Questioning(Protocol):
    """What a sitting drives: questions are open, completions go in, facts and further questions come out."""

    open: dict[str, Question]
    """The questions that wait for a completion, by key."""
    reader: int
    """The version of the reader that replies are read by: that of the log, where there is one."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to ask."""
        ...

    def n_after(self, question: Question) -> int:
        """Return how many questions, one after the other, must still follow this one to the end."""
        ...

    def start(self) -> Turn:
        """Return what can be asked first, and what is known unasked."""
        ...

    def receive(self, key: str, completion: Completion) -> Turn:
        """Read the completion of the open question `key`; return what follows."""
        ...


class Course:
    """A society with its players: completions go in, facts and further questions come out."""

    def __init__(self, condition: Condition, *, seed: int, prompts: PromptSet) -> None:
        self.open: dict[str, Question] = {}
        """The questions that wait for a completion, by key."""
        self.reader = READER
        """The version of the reader that replies are read by."""
        self._condition = condition
        self._seed = seed
        self._prompts = prompts
        self._cast = condition.cast
        self._society = Society(condition, model=condition.models, seed=seed, strategies=condition.strategies)
        rounds = (condition.game.n_rounds(seed, generation=n) for n in range(condition.generations, 0, -1))
        lengths = (1 + n_rounds * condition.n_in_a_row for n_rounds in rounds)
        self._n_from = list(itertools.accumulate(lengths))[::-1]
        """The longest chain of questions from the beginning of each generation to the end of the last."""

    @property
    def is_finished(self) -> bool:
        """Whether the society's history is complete."""
        return self._society.is_finished

    def n_after(self, question: Question) -> int:
        """Return how many questions, one after the other, must still follow this one to the society's end."""
        view = question.request.view
        a_round = self._condition.n_in_a_row
        if isinstance(view, StrategyView):
            done = 0
        else:
            done = a_round * view.round if isinstance(view, NoteView) else a_round * (view.round - 1) + 1
        return self._n_from[view.generation - 1] - 1 - done

    def start(self) -> Turn:
        """Return what can be asked first, and what scripted players do unasked."""
        return self._advance(*self._society.start())

    def receive(self, key: str, completion: Completion) -> Turn:
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
            return Turn([], [answer])
        step = self._society.answer(question.request, answer)
        return self._advance(step.events, step.requests)

    def _advance(self, events: list[Event], requests: list[Request]) -> Turn:
        """Let scripted players answer until only models are asked."""
        questions = []
        waiting = deque(requests)
        while waiting:
            request = waiting.popleft()
            label = self._society.model_of(request.agent)
            player = self._cast[label]
            if isinstance(player, ModelPlayer):
                prompt = first_prompt(request, player, self._prompts, seed=self._seed)
                questions.append(Question(request, 1, prompt, label))
                continue
            step = self._society.answer(request, _scripted(player, request, seed=self._seed))
            events.extend(step.events)
            waiting.extend(step.requests)
        self.open.update((question.request.key, question) for question in questions)
        return Turn(events, questions)


def read_answer(
    question: Question,
    completion: Completion,
    *,
    player: ModelPlayer,
    on_invalid: OnInvalid,
    prompts: PromptSet,
    seed: int,
    reader: int = READER,
) -> Answer | Question:
    """Return the answer in a completion, the scenario's fallback in its place, or the question to be asked again.

    Raises:
        AnswerError: it was the last attempt and the scenario says `then: stop`.
    """
    answer = READERS[reader](
        completion,
        question.request.spec,
        is_structured=question.prompt.answer_schema is not None,
        clamps=on_invalid.out_of_range == "clamp",
    )
    is_passed_over = answer.problem == "out_of_range" and on_invalid.out_of_range == "pass"
    if answer.problem is not None and question.attempt < on_invalid.attempts and not is_passed_over:
        # What was only thought is not said: an author does not get it back as words of its own.
        said = completion.text if reader == 1 else without_thoughts(completion.text)
        return _again(question, said, answer.problem, player=player, prompts=prompts, seed=seed)
    answer = replace(answer, attempts=question.attempt)
    if is_passed_over:
        return replace(answer, replaced_by="pass")
    if answer.problem is not None:
        if on_invalid.then == "stop":
            raise AnswerError(
                f"{question.request.key}: {question.attempt} replies of {question.player!r} could not be read,"
                f" the last as {answer.problem}: {completion.text[:200]!r};"
                " set on_invalid.then to pass or zero and run with --fork, to go on from here"
            )
        return replace(answer, replaced_by=on_invalid.then)
    return answer


def _again(
    question: Question, said: str, problem: Problem, *, player: ModelPlayer, prompts: PromptSet, seed: int
) -> Question:
    attempt = question.attempt + 1
    # An empty turn of the assistant's is refused by some APIs; the reply is cut as any foreign text is.
    said = said[:MAX_ECHO_CHARS].strip() or "(nothing)"
    prompt = question.prompt
    return Question(
        question.request,
        attempt,
        Prompt(
            model=prompt.model,
            messages=(
                *prompt.messages,
                Message(role="assistant", content=said),
                prompts.ask_again(question.request, problem),
            ),
            answer_schema=prompt.answer_schema,
            sampling=prompt.sampling.model_copy(
                update={"seed": _sampling_seed(question.request.key, player, seed=seed, attempt=attempt)}
            ),
        ),
        question.player,
    )


def first_prompt(request: Request, player: ModelPlayer, prompts: PromptSet, *, seed: int) -> Prompt:
    """Return the prompt with which a model is asked a question for the first time; `seed` is the run's."""
    sampling = Sampling(
        temperature=player.temperature,
        max_tokens=player.max_tokens,
        top_p=player.top_p,
        seed=_sampling_seed(request.key, player, seed=seed, attempt=1),
        reasoning_effort=player.reasoning_effort,
        extra=player.extra,
    )
    return Prompt(
        model=player.model_name,
        messages=_placed(prompts.messages(request), player.system_prompt),
        sampling=sampling,
        answer_schema=schema_of(request.spec) if player.answer_format == "json" else None,
    )


def _sampling_seed(key: str, player: ModelPlayer, *, seed: int, attempt: int) -> int | None:
    if player.seed != "derived":
        return player.seed
    digest = hashlib.sha256(f"{seed}/{key}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1  # fits a signed 32-bit integer, which every API takes


def _placed(messages: tuple[Message, ...], place: Literal["system", "user", "none"]) -> tuple[Message, ...]:
    """Return the messages with the rules where the scenario wants them."""
    if place == "system":
        return messages
    system, question = messages
    if place == "none":
        return (question,)
    return (Message(role="user", content=f"{system.content}\n\n{question.content}"),)


def prompt_set(condition: Condition) -> PromptSet:
    """Return the prompt set of a condition, in the words of its answers' format.

    Raises:
        ScenarioError: a file is missing, too large or no valid template, or it asks for another format of answers.
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
    """Return the prompt set of each condition, by the condition's digest (of seed 0), once it has been rehearsed.

    Raises:
        ScenarioError: a prompt set cannot be loaded, or a template uses a name it does not have.
    """
    loaded: dict[tuple[str, str], PromptSet] = {}
    found = {}
    for name, condition in {digest(condition, seed=0): condition for condition in conditions}.items():
        key = condition.prompts, _answer_format(condition)
        if key not in loaded:
            loaded[key] = prompt_set(condition)
        rehearse(condition, loaded[key])
        found[name] = loaded[key]
    return found


def rehearse(condition: Condition, prompts: PromptSet) -> None:
    """Render one prompt of every kind the condition will need, so that a mistake in a template costs no call.

    Raises:
        ScenarioError: a template uses a name it does not have, or a rule that is played is not told.
    """
    prompts.rules_message(condition.told)
    game = condition.game.model_copy(update={"rounds": min(condition.game.rounds, 3), "continuation": 0.0, "games": 1})
    short = condition.model_copy(update={"game": game, "generations": min(condition.generations, 2)})
    society = Society(short, model="rehearsal", seed=0)
    waiting = deque(society.start().requests)
    while waiting:
        request = waiting.popleft()
        prompts.messages(request)
        for problem in get_args(Problem):
            prompts.ask_again(request, problem)
        answer = _scripted(ConstantShare(), request, seed=0)
        waiting.extend(society.answer(request, answer).requests)


MAX_ECHO_CHARS = 4000
"""How much of an unreadable reply is shown back to its author."""


def _scripted(policy: ScriptedPlayer, request: Request, *, seed: int) -> Answer:
    if isinstance(request.view, StrategyView):
        settings = ", ".join(
            f"{name} {value:g}" for name, value in policy.model_dump(exclude={"model", "agents", "name"}).items()
        )
        return Answer(text=policy.model + (f" ({settings})" if settings else ""))
    if isinstance(request.view, NoteView):
        return Answer(text=_noted(request.view))
    fraction = policy.decide(request.view, lambda: uniform("policy", seed, *_place(request)))
    return Answer(act="give", amount=fraction * request.view.resources)


def _noted(view: NoteView) -> str:
    """Return a scripted player's note: what happened, and nothing else."""
    if view.fraction is None:
        return "had nothing to give"
    share = percent(view.fraction)
    return f"gave {share} of its units" if view.act == "give" else f"spent {share} of its units on punishing"


def _place(request: Request) -> tuple[int, ...]:
    """Return a decision's key as numbers: generation, game, round, and those of the donor's name."""
    key = parse(request.key)
    assert isinstance(key, DecisionKey)
    return key.generation, key.game, key.round, *born_and_index(key.donor)
