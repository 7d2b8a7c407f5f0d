"""The words of a prompt set: what its templates show, and what replies to them are read by.

They stand in the set's `words.yaml`, as plain phrases (`phrases`). What reads replies is compiled from them, once for
each set. A file may be based on a shipped set's (`base: default`) and then holds only what differs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, cast

import yaml
from pydantic import AfterValidator, Field, PrivateAttr, ValidationError

from agentsim.core.facts import Frozen
from agentsim.errors import ScenarioError, quote
from agentsim.prompts import phrases

__all__ = ["FILE", "Words", "default_words", "read_words", "words_from"]

FILE: Final = "words.yaml"
MAX_VALUES: Final = 5_000
"""Phrases and keys of one file."""
MAX_DEPTH: Final = 4
REMEDIES: Final = {
    "missing": f"is missing; write it as in agentsim/prompts/default/{FILE}, or begin with base: default",
    "extra_forbidden": f"is no word of a prompt set; agentsim/prompts/default/{FILE} has all that there are",
    "tuple_type": "is no list; write a list of phrases, as [give, giving]",
    "too_short": "is empty; write a phrase at least",
    "model_type": "is no mapping; write it as in agentsim/prompts/default/words.yaml",
    "mapping_type": "is no mapping; write it as in agentsim/prompts/default/words.yaml",
    "dict_type": "is no mapping; write it as in agentsim/prompts/default/words.yaml",
    "string_type": "is no phrase; write words, in quotation marks where they hold a colon",
}
"""What to do about an error of pydantic's, by its type."""
Made = TypeVar("Made")

Phrase = Annotated[str, AfterValidator(phrases.checked)]
Phrases = Annotated[tuple[Phrase, ...], Field(max_length=200)]
Some = Annotated[tuple[Phrase, ...], Field(min_length=1, max_length=200)]


def _is_share(text: str) -> str:
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts) or Fraction(text) >= 1:
        raise ValueError(f"{text!r} is no share; write it as 1/2")
    return text


Share = Annotated[str, AfterValidator(_is_share)]


class Markers(Frozen):
    """What stands before an answer or a text."""

    answer: Some
    strategy: Some
    note: Some
    message: Some = ("My message:",)
    is_: Phrases = Field(alias="is")
    """What may stand between the marker of an answer and its colon."""
    whose: Phrases
    final: Phrases
    leads_to_answer: Phrases
    """Words that may stand between the beginning of a sentence and the marker."""
    leads_to_text: Phrases


class JsonWords(Frozen):
    """The keys of an answer in JSON."""

    reasoning: str = Field(min_length=1)
    strategy: str = Field(min_length=1)
    note: str = Field(min_length=1)
    message: str = Field(default="message", min_length=1)
    act: str = Field(min_length=1)
    units: str = Field(min_length=1)
    give: str = Field(min_length=1)


class Units(Frozen):
    """What is given, as it is shown and read."""

    one: str = Field(min_length=1)
    many: str = Field(min_length=1)
    decimal: Literal[".", ","] = "."
    """The sign before the decimals of a shown number. Both are read."""
    read: Some


class Own(Frozen):
    """What a donor calls all that it holds."""

    whose: Phrases
    which: Phrases
    things: Phrases
    held: Phrases
    alone: Phrases


class Amounts(Frozen):
    """Amounts in words, and the words beside numbers."""

    nothing: Phrases
    all: Phrases
    all_units: Phrases
    everything: Phrases
    all_held: Phrases
    percent: Phrases
    thousand: Phrases
    million: Phrases
    of: Phrases
    """Between a share and what it is of."""
    of_own: Phrases
    """Between a number and what it is of."""
    shares: Mapping[Share, Phrases]
    half_of: Phrases
    times: Phrases
    """Between two numbers whose product is meant."""
    percent_in_sums: Phrases
    in_sums: Phrases
    """What may stand behind a number in a sum."""
    same_as: Phrases
    """How an aside begins that says the amount again."""
    number_words: Mapping[str, Annotated[int, Field(ge=0, le=1000)]]


class Openings(Frozen):
    """How a decision begins, before the deed."""

    so: Phrases
    labels: Phrases
    is_: Phrases = Field(alias="is")
    labels_before_digits: Phrases
    """Labels that need no colon before a number."""
    to: Phrases
    who: Phrases
    will: Phrases
    choose: Phrases
    only: Phrases
    chosen: Phrases = ()
    """Words that may stand before the name of an option, as `I choose option`."""


class Giving(Frozen):
    """Words around those of the option `give`."""

    beside: Phrases
    gift: Phrases
    behind_amount: Phrases = ()
    """Verbs that stand behind the amount."""
    parted: Phrases = ()
    """Parts of a verb that stand behind the amount."""


class Punishing(Frozen):
    """Words around those of the option `punish`."""

    punishment: Phrases
    with_: Phrases = Field(alias="with")
    spend: Phrases
    on_punishing: Phrases
    also: Phrases = ()
    """Words between several agents that are punished, beside commas."""
    behind_amount: Phrases = ()
    parted: Phrases = ()


class Whom(Frozen):
    """Whom something is given to."""

    to: Phrases
    for_: Phrases = Field(alias="for")
    who: Phrases
    not_before_digits: Phrases
    agent: Phrases = ()
    """What may stand before an agent's name."""


class YesOrNo(Frozen):
    """Answers to a fixed gift."""

    yes: Phrases
    behind_yes: Phrases
    give: Phrases
    no: Phrases
    behind_no: Phrases
    keep: Phrases
    not_give: Phrases
    json_yes: Phrases
    json_no: Phrases


class TakenBack(Frozen):
    """What stands behind an answer and takes it back."""

    begins: Phrases
    unless: Mapping[Phrase, Phrases]
    refuses: Phrases
    who: Phrases
    says: Phrases
    keeps: Phrases


class TextWords(Frozen):
    """Words that tell where a strategy or a note ends, and whether it is one."""

    listed: Phrases
    first: Phrases
    goes_on: Phrases
    announces: Phrases
    says_nothing: Phrases
    insert: Phrases
    inserted: Phrases


class Doubts(Frozen):
    """What tells an unclear reply from one without an answer."""

    negations: Phrases
    counted: Phrases
    punishes: Phrases


class MoveWords(Frozen):
    """Words around the option of a move, in games other than the donor game, by option."""

    behind: Mapping[str, Phrases] = {}
    """What may stand behind the option, or behind its amount: `5 units to the pot`, `accept the offer`."""
    last: Mapping[str, Phrases] = {}
    """What names the option behind its amount, as a verb that stands last."""


class Words(Frozen):
    """All words of a prompt set; `default/words.yaml` shows each with examples."""

    markers: Markers
    options: Mapping[str, Some]
    """The words of each option of a game; the first is the one that prompts show."""
    json_: JsonWords = Field(alias="json")
    units: Units
    own: Own
    amounts: Amounts
    openings: Openings
    giving: Giving
    punishing: Punishing
    whom: Whom
    when: Phrases
    yes_or_no: YesOrNo
    taken_back: TakenBack
    texts: TextWords
    doubts: Doubts
    moves: MoveWords = MoveWords()

    _made: dict[Callable[[Words], Any], Any] = PrivateAttr(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Whether these are the same words, whatever was made of them."""
        return isinstance(other, Words) and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)

    def word(self, option: str) -> str:
        """Return the word that prompts show for an option; one of a user's own table has its name for a word."""
        return phrases.shown(self.options[option][0]) if option in self.options else option

    def made(self, make: Callable[[Words], Made]) -> Made:
        """Return `make(self)`, made once: what is compiled from these words."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast(Made, self._made[make])

    @property
    def source(self) -> str:
        """The words as the text of a file that holds all of them, the same for the same words."""
        content = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return json.dumps(content, sort_keys=True, ensure_ascii=False)


@cache
def default_words() -> Words:
    """Return the words of the shipped set `default`."""
    return read_words(Path(__file__).parent / "default" / FILE)


def read_words(path: Path) -> Words:
    """Return the words in a file, with those of the shipped set that it is based on.

    Raises:
        ScenarioError: it cannot be read, is no YAML, or a word is missing, unknown or wrong; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read ({error}); save it as UTF-8 text") from error
    return words_from(text, source=str(path))


@lru_cache(maxsize=64)
def words_from(text: str, *, source: str) -> Words:
    """Return the words in the text of a file; `source` is what errors call it.

    Raises:
        ScenarioError: see `read_words`.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    content = _written_here(text)
    if content is None:
        content = _content(text, source=source, lines=lines)
    if not isinstance(content, dict):
        raise ScenarioError(f"{source}:1: is no mapping of words; begin with agentsim/prompts/default/{FILE}")
    if "base" in content:
        base = Path(__file__).parent / str(content.pop("base")) / FILE
        if base.parent.parent != Path(__file__).parent or not base.is_file():
            line = lines[("base",)]
            raise ScenarioError(f"{source}:{line}: base: {quote(base.parent.name)} is no shipped set; write default")
        content = _over(json.loads(read_words(base).source), content)
    try:
        return _the_same(Words.model_validate(content))
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(part for part in first["loc"] if part != "[key]")
        line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), 1)
        what = REMEDIES.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise ScenarioError(f"{source}:{line}: {'.'.join(map(str, place))}: {what}") from error


@lru_cache(maxsize=64)
def _the_same(words: Words) -> Words:
    """Return the first of all equal words: what was made of them serves each study that keeps a copy of them."""
    return words


def _over(base: Any, own: Any) -> Any:
    """Return `own` over `base`: mappings are merged key by key, everything else is replaced."""
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    return base | {key: _over(base.get(key), value) for key, value in own.items()}


def _composed(text: str) -> yaml.Node | None:
    """Return the nodes of YAML, read in C if that can read them; the messages of errors are those of Python."""
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    return node


def _written_here(text: str) -> Any:
    """Return the words in a text that `Words.source` wrote; `None` for any other text, which is read as YAML.

    Every prompt set's words come this way, and reading JSON as YAML takes a hundred times as long.
    """
    if not text.startswith('{"'):
        return None
    try:
        content = json.loads(text)
        is_ours = json.dumps(content, sort_keys=True, ensure_ascii=False) == text
    except (ValueError, RecursionError):
        return None
    return content if is_ours and _is_of_texts(content, depth=0) else None


def _is_of_texts(value: object, *, depth: int) -> bool:
    """Whether a value is made of mappings and lists of texts alone, no deeper than a file may be."""
    if isinstance(value, str):
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return parts is not None and depth < MAX_DEPTH and all(_is_of_texts(part, depth=depth + 1) for part in parts)


def _content(text: str, *, source: str, lines: dict[tuple[str | int, ...], int]) -> Any:
    """Return YAML as mappings, lists and texts; notes in `lines` where each was written, counted from 1."""
    n_values = 0

    def plain(node: yaml.Node, path: tuple[str | int, ...]) -> Any:
        nonlocal n_values
        n_values += 1
        lines[path] = node.start_mark.line + 1
        if n_values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise ScenarioError(f"{source}:{lines[path]}: holds more than words; write lists of phrases")
        if isinstance(node, yaml.SequenceNode):
            return [plain(item, (*path, index)) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return str(node.value)
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in mapping:
                line = key.start_mark.line + 1
                raise ScenarioError(f"{source}:{line}: {'.'.join(map(str, (*path, name)))}: stands twice; keep one")
            mapping[name] = plain(value, (*path, name))
        return mapping

    try:
        node = _composed(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ScenarioError(f"{source}:{line}: is no YAML: {error.problem}; mend it") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ScenarioError(f"{source}: is no YAML ({error}); mend it") from error
    return None if node is None else plain(node, ())
