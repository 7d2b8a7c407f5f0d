"""A question to a model: the prompt it is asked with, how its reply is read, and how it is asked again."""

from __future__ import annotations

import hashlib
from typing import Final, Literal, NamedTuple

from agentsim.core.answers import Answer
from agentsim.core.facts import Problem
from agentsim.core.requests import Request
from agentsim.errors import AnswerError
from agentsim.prompts.sets import READER, PromptSet
from agentsim.prompts.structured import schema_of
from agentsim.prompts.thoughts import without_thoughts
from agentsim.providers.base import Completion, Message, Prompt
from agentsim.scenario.conditions import OnInvalid
from agentsim.scenario.players import ModelPlayer

__all__ = ["Question", "first_prompt", "read_answer"]

MAX_ECHO_CHARS: Final = 4000
"""How much of an unreadable reply is shown back to its author."""


class Question(NamedTuple):
    """A prompt to be completed, and the request it serves."""

    request: Request
    attempt: int
    """1 for the first asking."""
    prompt: Prompt
    player: str
    """The label of the player that is asked."""


def first_prompt(
    request: Request, player: ModelPlayer, prompts: PromptSet, *, seed: int, persona: str | None = None
) -> Prompt:
    """Return the prompt with which a model is first asked a question.

    Args:
        request: the question.
        player: is asked.
        prompts: the words in which it is asked.
        seed: of the run.
        persona: what the agent reads before all else.
    """
    return Prompt(
        model=player.model_name,
        messages=_placed(prompts.messages(request), player.system_prompt, persona=persona),
        sampling=player.sampling(derived=_derived_seed(request.key, seed=seed, attempt=1)),
        answer_schema=schema_of(request.spec, prompts.words) if player.answer_format == "json" else None,
    )


def _placed(
    messages: tuple[Message, ...], place: Literal["system", "user", "none"], *, persona: str | None
) -> tuple[Message, ...]:
    """Return the messages with the rules where the scenario wants them, and the persona at the start of the first."""
    system, question = messages
    if place == "user":
        messages = (Message(role="user", content=f"{system.content}\n\n{question.content}"),)
    elif place == "none":
        messages = (question,)
    if persona is None:
        return messages
    first, *others = messages
    return Message(role=first.role, content=f"{persona}\n\n{first.content}"), *others


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
    """Return the answer in a completion, or the scenario's fallback, or the question to be asked again.

    Raises:
        AnswerError: it was the last attempt and the scenario says `then: stop`.
    """
    answer = prompts.read(
        completion,
        question.request.spec,
        reader=reader,
        is_structured=question.prompt.answer_schema is not None,
        clamps=on_invalid.out_of_range == "clamp",
    )
    is_passed_over = answer.problem == "out_of_range" and on_invalid.out_of_range == "pass"
    if answer.problem is not None and question.attempt < on_invalid.attempts and not is_passed_over:
        # Thoughts are not part of what was said, so they are not quoted back to their author.
        said = completion.text if reader == 1 else without_thoughts(completion.text)
        return _again(question, said, answer.problem, player=player, prompts=prompts, seed=seed)
    answer = answer._replace(attempts=question.attempt)
    if is_passed_over:
        return answer._replace(replaced_by="pass")
    if answer.problem is not None:
        if on_invalid.then == "stop":
            raise AnswerError(
                f"{question.request.key}: {question.attempt} replies of {question.player!r} could not be read,"
                f" the last as {answer.problem}: {completion.text[:200]!r};"
                " set on_invalid.then to pass or zero and run with --fork, to go on from here"
            )
        return answer._replace(replaced_by=on_invalid.then)
    return answer


def _again(
    question: Question, said: str, problem: Problem, *, player: ModelPlayer, prompts: PromptSet, seed: int
) -> Question:
    attempt = question.attempt + 1
    # Some APIs refuse an empty turn of the assistant. The reply is cut, as any foreign text is.
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
            sampling=player.sampling(derived=_derived_seed(question.request.key, seed=seed, attempt=attempt)),
        ),
        question.player,
    )


def _derived_seed(key: str, *, seed: int, attempt: int) -> int:
    """Return the sampling seed of one asking; it fits a signed 32-bit integer, which every API takes."""
    digest = hashlib.sha256(f"{seed}/{key}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
