"""From a model's text to a checked `Answer`: read what is clear, name what is not, guess nothing.

What is only thought is left out first (`thoughts`). A decision is what a small grammar says and nothing else
(`grammar`); a strategy or a note is what stands behind its marker (`texts`). `docs/reading.md` states the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from agentsim.core.types import ActSpec, Answer, AnswerSpec, TextSpec
from agentsim.prompts import structured
from agentsim.prompts.grammar import MAX_LINE, plain_line, read_line, why_not
from agentsim.prompts.numbers import plain_characters
from agentsim.prompts.texts import MARKERS, STRATEGY_MARKER, begins_sentence, read_text
from agentsim.prompts.thoughts import without_thoughts
from agentsim.providers.base import Completion

__all__ = ["ANSWER_MARKER", "MARKERS", "STRATEGY_MARKER", "parse"]

ANSWER_MARKER = "Answer:"
"""What a donor is asked to write before its decision."""

ROUNDING = 1e-9
"""Relative slack for an amount at the edge of its range."""

_ANSWER: Final = re.compile(r"(?<![^\W_])answer[ \t*_`]*(?:is[ \t*_`]*)?[:=]", re.IGNORECASE)
_BEFORE_ANSWER: Final = re.compile(
    r"(?:(?:so|thus|therefore|hence|then|and|finally|here is|here's|this is|that is),?[ *_`]+)*"
    r"(?:(?:my|the|your)[ *_`]+)?(?:final[ *_`]+)?$",
    re.IGNORECASE,
)
"""The words that may stand between the beginning of a sentence and the marker's own."""
_ENDS_SENTENCE: Final = re.compile(r"[.!?…;)\"'”*_`]\s*$")
_ITEM: Final = re.compile(r"\s*(?:[-•–—]|\*(?!\*)|\d+[.)])\s")


def parse(completion: Completion, spec: AnswerSpec, *, is_structured: bool = False, clamps: bool = False) -> Answer:
    """Return the answer in `completion`, or an `Answer` whose `problem` says why there is none. Never raises.

    `is_structured`: it was to be JSON of a schema; `clamps`: more than the donor has is all that it has, and marked so.
    """
    answer = _parse(completion, spec, is_structured=is_structured)
    if isinstance(spec, TextSpec) or answer.amount is None:
        return answer
    if 0 <= answer.amount <= spec.high * (1 + ROUNDING):
        return replace(answer, amount=min(answer.amount, spec.high))
    if clamps and answer.amount > 0:
        return replace(answer, amount=spec.high, reading="clamped")
    return Answer(problem="out_of_range")


def _parse(completion: Completion, spec: AnswerSpec, *, is_structured: bool) -> Answer:
    """Return the answer as it was written, its amount perhaps out of range."""
    match completion.finish_reason:
        case "refused" | "filtered" as problem:
            return Answer(problem=problem)
        case "stop":
            is_whole = True
        case "length":
            is_whole = False
        case _:  # only a model that stopped of its own accord has said what it wanted to say
            return Answer(problem="cut_off")
    text = without_thoughts(completion.text)
    if not text.strip():
        return Answer(problem="empty" if is_whole and not completion.text.strip() else "cut_off")
    if is_structured:
        return structured.read(completion.text, spec, is_whole=is_whole)
    if isinstance(spec, TextSpec):
        return read_text(text, spec, is_whole=is_whole)
    return _read_decision(plain_characters(text), spec, is_whole=is_whole)


def _read_decision(text: str, spec: ActSpec, *, is_whole: bool) -> Answer:
    markers = list(_markers(text))
    if not is_whole and not (markers and _has_ended(text, markers)):
        return Answer(problem="cut_off")
    if not markers:
        return _read_unmarked(text, spec)
    starts = [marker.start() for marker in markers[1:]]
    lines = [
        _first_line(text[marker.end() : following]) for marker, following in zip(markers, [*starts, None], strict=True)
    ]
    answers = [read_line(line, spec, is_marked=True) for line in lines]
    last = answers[-1]
    if last is None:
        return Answer(problem=why_not(lines[-1], spec))
    said = {(answer.act, answer.amount) for answer in answers if answer is not None}
    return last if len(said) == 1 else Answer(problem="ambiguous")


def _markers(text: str) -> Iterator[re.Match[str]]:
    """Return where the text says `Answer:` of itself: "a bad answer: 10" and "1_4's answer: 10" are no such places."""
    for marker in _ANSWER.finditer(text):
        if begins_sentence(text, marker.start(), between=_BEFORE_ANSWER):
            yield marker


def _has_ended(text: str, markers: list[re.Match[str]]) -> bool:
    """Return whether a reply that was cut off had stated its answer: it began with it, and went on behind its line.

    Elsewhere the line might be part of a thought whose end, and the tag that would tell, were cut off.
    """
    begins = not _BEFORE_ANSWER.sub("", text[: markers[0].start()].strip(" \t\r\n*_`#>-") + " ").strip()
    behind = text[markers[-1].end() :].lstrip()
    return begins and "\n" in behind.rstrip()


def _first_line(text: str) -> str:
    """Return the first line that holds more than signs of emphasis."""
    return next((line for line in text.splitlines() if plain_line(line[:MAX_LINE])), "")


def _read_unmarked(text: str, spec: ActSpec) -> Answer:
    """Read a reply without a marker: its last line must be a decision, and begin a sentence of its own."""
    lines = [line for line in text.splitlines() if line.strip(" \t*_`~")]
    answer = None
    if len(lines) == 1 or (len(lines) > 1 and _ENDS_SENTENCE.search(lines[-2][-20:]) and not _ITEM.match(lines[-1])):
        answer = read_line(lines[-1], spec, is_marked=False)
    elif len(lines) > 1 and len(lines[-2]) <= MAX_LINE:
        answer = read_line(f"{lines[-2]} {lines[-1]}", spec, is_marked=False)
    return answer or Answer(problem=why_not(text, spec))
