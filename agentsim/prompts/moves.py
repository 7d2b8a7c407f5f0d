"""The grammar of a move, in games other than the donor game: one of the options, with the amounts that it takes.

A line is read if it names one option in the words of the prompt set, with an amount where the option has one, and says
nothing else. Where the one option that is possible has an amount, a number alone is enough. Options that are aimed at
named members take a list: `punish 1_2 with 3, 1_4 with 1`. `docs/reading.md` states the grammar for readers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from agentsim.core.answers import Answer, Move, MoveSpec, Option
from agentsim.core.gifts import ROUNDING
from agentsim.prompts.grammar import MAX_LINE, Grammar, plain_line
from agentsim.prompts.phrases import compiled, either
from agentsim.prompts.words import Words

__all__ = ["Moves", "checked", "read_object", "schema"]

_STOP: Final = r"[ .!,;:]*"
_NAME: Final = r"(?P<name>\d+_\d+)"
_IS_NAME: Final = re.compile(r"\d+_\d+")
_AMOUNT: Final = r"(?P<amount>\S(?:.{0,120}?\S)??)"


class Moves:
    """Reads moves in the words of a prompt set."""

    def __init__(self, words: Words) -> None:
        """Compile what all options share."""
        self._words = words
        self._grammar = words.made(Grammar)
        self._separator = compiled(rf" ?(?:[,;&]|\b{either(words.punishing.also, whole_words=True)}(?= )) ?")
        self._form = lru_cache(maxsize=256)(self._made)

    def read_line(self, line: str, spec: MoveSpec, *, is_marked: bool) -> Answer | None:
        """Return the move that a line states, its amounts perhaps out of range; `None` if not of the grammar."""
        line = plain_line(line)
        if not line or len(line) > MAX_LINE:
            return None
        for option in spec.options:
            for kind in _kinds(option, is_alone=len(spec.options) == 1):
                match = self._form(option.name, kind).fullmatch(line)
                answer = None if match is None else self._read(option, match, is_named=is_marked or kind != "bare")
                if answer is not None:
                    return answer
        return None

    def _read(self, option: Option, match: re.Match[str], *, is_named: bool) -> Answer | None:
        """Return the move of a line of an option's form; `is_named`: the line names the option, or has a marker."""
        if option.high is None:
            return Answer(move=Move(option.name))
        if option.targets:
            return self._aimed(option, match["amount"])
        amount = self._grammar.read_amount(match["amount"], high=option.high)
        if amount is None or amount.word == "share" or (amount.word is not None and not is_named):
            return None
        return Answer(move=Move(option.name, amount.value), reading=amount.reading)

    def _aimed(self, option: Option, text: str) -> Answer | None:
        """Return the move of a list of members, each with its amount."""
        assert option.high is not None
        aimed: dict[str, float] = {}
        for part in self._separator.split(text):
            match = self._form("", "target").fullmatch(part)
            amount = None if match is None else self._grammar.read_amount(match["amount"], high=option.high)
            if match is None or amount is None or amount.word is not None or amount.reading == "percent":
                return None
            if match["name"] in aimed:
                return None
            aimed[match["name"]] = amount.value
        return Answer(move=_move(option.name, aimed))

    def _made(self, name: str, kind: str) -> re.Pattern[str]:
        """Return the form of a line that is a move by an option; `bare`: an amount alone; `last`: the option behind."""
        words, grammar = self._words, self._grammar
        only = rf"(?:{either(words.openings.only)} )?"
        with_ = either(words.punishing.with_)
        if kind == "target":
            return compiled(rf"(?:{grammar.agent} )?{_NAME} ?(?:{with_}|[:=])? ?{only}{_AMOUNT}")
        whom = rf"(?:,? {either((*words.whom.to, *words.whom.for_))} {grammar.who})?(?:,? {grammar.when})?"
        said = either(words.moves.behind.get(name, ()), whole_words=True)
        behind = rf"(?: {said})?{whom}(?: {said})?{_STOP}"
        amount = rf"{only}{_AMOUNT}{behind}"
        if kind == "bare":
            return compiled(grammar.opening + amount)
        if kind == "last":
            last = either(words.moves.last.get(name, ()), whole_words=True)
            return compiled(rf"{grammar.opening}{grammar.i}{only}{_AMOUNT}{whom} {last}{whom}{_STOP}")
        opening = rf"{grammar.opening}{grammar.i}(?:{either(words.openings.chosen)} )?"
        word = either(words.options.get(name, (name,)), whole_words=True)
        if _IS_NAME.fullmatch(name):
            word = rf"(?:{grammar.agent} )?{re.escape(name)}\b"
        if kind == "option":
            return compiled(rf"{opening}{word}(?: (?:{with_} )?{grammar.who})?{behind}")
        if kind == "targets":
            return compiled(rf"{opening}{word} ?:? ?{_AMOUNT}{_STOP}")
        beside = either(words.giving.beside, whole_words=True)
        return compiled(rf"{opening}{word}(?: {beside})?(?: {grammar.who})? ?[:=,]? ?{amount}")


def _kinds(option: Option, *, is_alone: bool) -> tuple[str, ...]:
    """Return the forms that a line may have; an option that is alone need not be named, if it has an amount."""
    if option.targets or option.high is None:
        return ("targets" if option.targets else "option",)
    return ("amount", "bare", "last") if is_alone else ("amount", "last")


def _move(option: str, aimed: Mapping[str, float]) -> Move:
    """Return an aimed move, without those members on whom nothing is spent; of nobody, it is doing nothing."""
    spent = {name: amount for name, amount in aimed.items() if amount != 0}
    return Move(option, aimed=spent) if spent else Move("nothing")


def checked(answer: Answer, spec: MoveSpec, *, clamps: bool) -> Answer:
    """Return an answer if its move is possible; `clamps`: more than is possible is the most that is."""
    move = answer.move
    if move is None:
        return answer
    option = spec.option(move.option)
    if option is not None and option.high is not None and move.amount is not None:
        if option.high < move.amount <= option.high * (1 + ROUNDING):
            return Answer(move=Move(move.option, option.high), reading=answer.reading)
        if clamps and move.amount > option.high:
            return Answer(move=Move(move.option, option.nearest(1.0)), reading="clamped")
    if not spec.allows(move):
        return Answer(problem="out_of_range")
    return Answer(move=move, reading=answer.reading)


def schema(spec: MoveSpec, words: Words) -> dict[str, Any]:
    """Return the properties of a JSON object that is a move, but for its reason."""
    properties: dict[str, Any] = {}
    if len(spec.options) > 1:
        properties[words.json_.act] = {"type": "string", "enum": [words.word(one.name) for one in spec.options]}
    targets = list(dict.fromkeys(name for option in spec.options for name in option.targets))
    if targets:
        properties[words.json_.units] = {
            "type": "object",
            "properties": {name: {"type": "number"} for name in targets},
            "required": targets,
            "additionalProperties": False,
        }
    elif any(option.high is not None for option in spec.options):
        properties[words.json_.units] = {"type": "number"}
    return properties


def read_object(value: Mapping[str, Any], spec: MoveSpec, words: Words) -> Answer:
    """Return the move in a JSON object."""
    option = spec.options[0]
    if len(spec.options) > 1:
        said = value.get(words.json_.act)
        named = [one for one in spec.options if isinstance(said, str) and said.strip().lower() == _shown(one, words)]
        if len(named) != 1:
            return Answer(problem="unreadable")
        option = named[0]
    if option.high is None:
        return Answer(move=Move(option.name))
    units = value.get(words.json_.units)
    if option.targets:
        if not isinstance(units, Mapping) or not all(_is_number(amount) for amount in units.values()):
            return Answer(problem="unreadable")
        return Answer(move=_move(option.name, {str(name): float(amount) for name, amount in units.items()}))
    if isinstance(units, str):
        amount = words.made(Grammar).read_amount(plain_line(units), high=option.high)
        if amount is None or amount.word == "share":
            return Answer(problem="unreadable")
        return Answer(move=Move(option.name, amount.value), reading=amount.reading)
    if units is None or not _is_number(units):
        return Answer(problem="unreadable")
    return Answer(move=Move(option.name, float(units)))


def _shown(option: Option, words: Words) -> str:
    return words.word(option.name).lower()


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an integer of hundreds of digits
        return False
