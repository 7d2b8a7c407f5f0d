"""From a model's text to a checked `Answer`: read what is clear, name what is not, guess nothing.

What is only thought is left out first (`thoughts`). A decision is what a small grammar says and nothing else
(`grammar`); a strategy or a note is what stands behind its marker (`texts`). `docs/reading.md` states the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentsim.core.answers import ActSpec, Answer, AnswerSpec, MoveSpec, TextSpec
from agentsim.core.facts import Problem
from agentsim.core.gifts import ANY_SHARE, ROUNDING
from agentsim.prompts import structured
from agentsim.prompts.grammar import MAX_LINE, Grammar, plain_line
from agentsim.prompts.moves import Moves, checked
from agentsim.prompts.numbers import NUMBER, plain_characters
from agentsim.prompts.phrases import compiled, either
from agentsim.prompts.texts import Texts, begins_sentence
from agentsim.prompts.thoughts import without_elements, without_thoughts
from agentsim.prompts.words import Words, default_words
from agentsim.providers.base import Completion

__all__ = ["parse"]

MAX_BEHIND: Final = 20_000
"""Characters behind an answer that are looked at for one that takes it back."""

_ENDS_SENTENCE: Final = re.compile(r"[.!?…;)\"'”*_`]\s*$")
_QUOTED: Final = re.compile(r"\w[*_]{0,3}:[*_]{0,3} ?[\"“']$")
"""Somebody's words, as in `the format is: "Answer: 5"`."""
_SENTENCE_END: Final = re.compile(r"(?<=[.!?;:]) +")
_ITEM: Final = re.compile(r"\s*(?:[-•–—]|\*(?!\*)|\d+[.)])\s")


def parse(
    completion: Completion,
    spec: AnswerSpec,
    words: Words | None = None,
    /,
    *,
    is_structured: bool = False,
    clamps: bool = False,
) -> Answer:
    """Return the answer in `completion`, or an `Answer` whose `problem` says why there is none. Never raises.

    `words`: those of the prompt set that asked, without them those of `default`; `is_structured`: it was to be JSON of
    a schema; `clamps`: more than the donor has is all that it has, and marked so.
    """
    answer = _parse(completion, spec, words=words or default_words(), is_structured=is_structured)
    if isinstance(spec, MoveSpec):
        return checked(answer, spec, clamps=clamps)
    if isinstance(spec, TextSpec) or answer.amount is None:
        return answer
    amount = answer.amount
    if 0 <= amount <= spec.high * (1 + ROUNDING):
        amount = min(amount, spec.high)
        is_allowed = spec.allows(answer.act or "give", amount)
        return answer._replace(amount=amount) if is_allowed else Answer(problem="out_of_range")
    if clamps and amount > 0 and spec.gift == ANY_SHARE:
        return answer._replace(amount=spec.high, reading="clamped")
    return Answer(problem="out_of_range")


def _parse(completion: Completion, spec: AnswerSpec, *, words: Words, is_structured: bool) -> Answer:
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
        return structured.read(completion.text, spec, words=words, is_whole=is_whole)
    if isinstance(spec, TextSpec):
        return words.made(Texts).read(text, spec, is_whole=is_whole)
    return words.made(_Decisions).read(without_elements(plain_characters(text)), spec, is_whole=is_whole)


class _Decisions:
    """Reads decisions in the words of a prompt set."""

    def __init__(self, words: Words) -> None:
        """Compile the words."""
        markers, back = words.markers, words.taken_back
        self._grammar = words.made(Grammar)
        self._moves = words.made(Moves)
        answers = "|".join(_marker(phrase) for phrase in markers.answer)
        self._answer = compiled(rf"(?<![^\W_])(?:{answers})[ \t*_`]*(?:{either(markers.is_)}[ \t*_`]*)?[:=]")
        self._before_answer = compiled(
            rf"(?:{either(markers.leads_to_answer)},?[ *_`]+)*(?:{either(markers.whose)}[ *_`]+)?"
            rf"(?:{either(markers.final)}[ *_`]+)?$"
        )
        """The words that may stand between the beginning of a sentence and the marker's own."""
        unless = (
            rf"{either([begins], whole_words=True)}(?! {either(behind, whole_words=True)})"
            for begins, behind in back.unless.items()
        )
        self._takes_back_form = compiled("|".join((either(back.begins, whole_words=True), *unless)))
        """How a sentence behind an answer begins that takes it back."""
        nouns = "|".join(re.escape(noun) for noun in (words.units.many, words.units.one))
        self._restates = compiled(
            rf"(?!.*\b{either(back.keeps, whole_words=True)}).*\b{either(back.who)}\b.*\b{either(back.says)}\b"
            rf".* (?P<amount>{NUMBER}(?: ?%| ?(?:{nouns}))?)[ .!)]*"
        )
        """A sentence that ends with what its author gives, in words that the grammar of an answer does not know."""
        self._refuses = compiled(either(back.refuses, whole_words=True))
        """How a sentence begins that takes back a gift of more than nothing."""

    def read(self, text: str, spec: ActSpec | MoveSpec, *, is_whole: bool) -> Answer:
        """Return the decision that a reply states; `is_whole`: the model stopped of its own accord."""
        markers = list(self._markers(text))
        if not is_whole and not (markers and self._has_ended(text, markers)):
            return Answer(problem="cut_off")
        if not markers:
            return self._read_unmarked(text, spec)
        starts = [marker.start() for marker in markers[1:]]
        lines = [
            _first_line(text[marker.end() : following])
            for marker, following in zip(markers, [*starts, None], strict=True)
        ]
        answers = [self._read_line(line, spec, is_marked=True) for line in lines]
        last = answers[-1]
        if last is None:
            return Answer(problem=self._why_not(lines[-1], spec))
        behind = text[markers[-1].end() :].partition(lines[-1])[2]
        is_plain = all(_is_same(answer, last) for answer in answers) and not self._takes_back(behind, last, spec)
        return last if is_plain else Answer(problem="ambiguous")

    def _read_line(self, line: str, spec: ActSpec | MoveSpec, *, is_marked: bool) -> Answer | None:
        if isinstance(spec, MoveSpec):
            return self._moves.read_line(line, spec, is_marked=is_marked)
        return self._grammar.read_line(line, spec, is_marked=is_marked)

    def _why_not(self, text: str, spec: ActSpec | MoveSpec) -> Problem:
        if isinstance(spec, ActSpec):
            return self._grammar.why_not(text, high=spec.high)
        return self._grammar.why_not(text, high=max((option.high or 0.0 for option in spec.options), default=0.0))

    def _takes_back(self, behind: str, answer: Answer, spec: ActSpec | MoveSpec) -> bool:
        """Return whether what stands behind an answer states another one, or says that it is none: nothing is read."""
        gives = answer.act == "give" and answer.amount != 0
        for line in behind[:MAX_BEHIND].splitlines():
            for sentence in [line, *_SENTENCE_END.split(line)]:
                words = plain_line(sentence[:MAX_LINE])
                if self._takes_back_form.match(words) or (gives and self._refuses.match(words)):
                    return True
                if not _is_same(self._stated(sentence, spec), answer):
                    return True
                if isinstance(spec, MoveSpec):
                    continue
                restated = self._restates.fullmatch(words[:MAX_LINE])
                if restated is not None:
                    amount = self._grammar.read_amount(restated["amount"], high=spec.high)
                    if amount is not None and amount.value != answer.amount:
                        return True
        return False

    def _stated(self, sentence: str, spec: ActSpec | MoveSpec) -> Answer | None:
        return None if _ITEM.match(sentence) else self._read_line(sentence, spec, is_marked=True)

    def _markers(self, text: str) -> Iterator[re.Match[str]]:
        """Return where the text says `Answer:` of itself, unlike "a bad answer: 10" and "1_4's answer: 10"."""
        for marker in self._answer.finditer(text):
            if begins_sentence(text, marker.start(), between=self._before_answer) and not _QUOTED.search(
                text[max(marker.start() - 80, 0) : marker.start()]
            ):
                yield marker

    def _has_ended(self, text: str, markers: list[re.Match[str]]) -> bool:
        """Return whether a reply that was cut off had stated its answer: it began with it, and went on behind its line.

        Elsewhere the line might be part of a thought whose end, and the tag that would tell, were cut off.
        """
        begins = not self._before_answer.sub("", text[: markers[0].start()].strip(" \t\r\n*_`#>-") + " ").strip()
        behind = text[markers[-1].end() :].lstrip()
        return begins and "\n" in behind.rstrip()

    def _read_unmarked(self, text: str, spec: ActSpec | MoveSpec) -> Answer:
        """Read a reply without a marker: its last line must be a decision, and begin a sentence of its own."""
        lines = [line for line in text.splitlines() if line.strip(" \t*_`~")]
        answer = None
        stated = [statement for line in lines if (statement := self._sentence(line, spec)) is not None]
        if not all(_is_same(one, stated[0]) for one in stated):
            return Answer(problem="ambiguous")
        if (
            len(lines) == 1
            and isinstance(spec, ActSpec)
            and (said := self._grammar.read_yes_or_no(lines[0][:MAX_LINE], spec)) is not None
        ):
            return said
        if len(lines) == 1 or (
            len(lines) > 1 and _ENDS_SENTENCE.search(lines[-2][-20:]) and not _ITEM.match(lines[-1])
        ):
            answer = self._read_line(lines[-1], spec, is_marked=False)
        elif len(lines) > 1 and len(lines[-2]) <= MAX_LINE:
            answer = self._read_line(f"{lines[-2]} {lines[-1]}", spec, is_marked=False)
        return answer or Answer(problem=self._why_not(text, spec))

    def _sentence(self, line: str, spec: ActSpec | MoveSpec) -> Answer | None:
        """Return the decision that a line states in words: a number alone may be of anything."""
        return self._read_line(line, spec, is_marked=False) if plain_line(line[:MAX_LINE])[:1].isalpha() else None


def _marker(phrase: str) -> str:
    return r"\s+".join(re.escape(word) for word in phrase.removesuffix(":").split())


def _is_same(answer: Answer | None, last: Answer) -> bool:
    return answer is None or (answer.act, answer.amount, answer.move) == (last.act, last.amount, last.move)


def _first_line(text: str) -> str:
    """Return the first line that holds more than signs of emphasis."""
    return next((line for line in text.splitlines() if plain_line(line[:MAX_LINE])), "")
