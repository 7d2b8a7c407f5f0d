"""Keys: what names a question for ever, in logs and in the course of a society or of a probe.

A key is written as text (`g3/game1/r04/2_4`) with `str`, and taken apart with `parse`; no other code knows the form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

__all__ = [
    "ChildKey",
    "DecisionKey",
    "Key",
    "NoteKey",
    "ProbeKey",
    "ScoreKey",
    "SocietyKey",
    "StageKey",
    "StrategyKey",
    "TalkKey",
    "WithinKey",
    "parse",
]


class StrategyKey(NamedTuple):
    """An agent is asked for its strategy: `g3/strategy/3_1`."""

    generation: int
    agent: str

    def __str__(self) -> str:
        return f"g{self.generation}/strategy/{self.agent}"


class DecisionKey(NamedTuple):
    """An agent is asked what it does in an encounter: `g3/game1/r04/2_4`."""

    generation: int
    game: int
    round: int
    donor: str
    """The agent that is asked, in whatever role."""

    def __str__(self) -> str:
        return f"g{self.generation}/game{self.game}/r{self.round:02}/{self.donor}"


@dataclass(frozen=True, slots=True)
class WithinKey:
    """The base of what is asked in an encounter beside its first decision."""

    decision: DecisionKey
    """The encounter's decision; of a note, the one that it is about."""

    @property
    def generation(self) -> int:
        """The generation of the encounter."""
        return self.decision.generation


@dataclass(frozen=True, slots=True)
class StageKey(WithinKey):
    """A member is asked again in the same encounter, in a later stage of the game: `g3/game1/r04/2_4/punish`."""

    stage: str

    def __str__(self) -> str:
        return f"{self.decision}/{self.stage}"


@dataclass(frozen=True, slots=True)
class TalkKey(WithinKey):
    """A member is asked for a message to the others before they decide: `g3/game1/r04/2_4/talk/1`."""

    turn: int
    """The round of talk, from 1."""

    def __str__(self) -> str:
        return f"{self.decision}/talk/{self.turn}"


@dataclass(frozen=True, slots=True)
class NoteKey(WithinKey):
    """The recipient of an encounter is asked for a note on its donor: `g3/game1/r04/2_4/note`."""

    def __str__(self) -> str:
        return f"{self.decision}/note"


SocietyKey: TypeAlias = StrategyKey | DecisionKey | StageKey | TalkKey | NoteKey
"""A question that a society asks."""


@dataclass(frozen=True, slots=True)
class ProbeKey:
    """A strategy is asked what it does in one situation: `probe/1_3/r50-p0-u10/07`."""

    subject: str
    situation: str
    repetition: int

    def __str__(self) -> str:
        return f"probe/{self.subject}/{self.situation}/{self.repetition:02}"


@dataclass(frozen=True, slots=True)
class ChildKey:
    """A newborn of a probe is asked for its strategy: `child/01`."""

    number: int

    @property
    def subject(self) -> str:
        """The name of the child's strategy among those that are probed."""
        return f"child-{self.number:02}"

    def __str__(self) -> str:
        return f"child/{self.number:02}"


@dataclass(frozen=True, slots=True)
class ScoreKey:
    """One of the societies in which a strategy is scored, `score/1_3/s0`, or a question that this society asks."""

    subject: str
    society: int
    """From 0."""
    question: SocietyKey | None = None

    def __str__(self) -> str:
        text = f"score/{self.subject}/s{self.society}"
        return text if self.question is None else f"{text}/{self.question}"


Key: TypeAlias = SocietyKey | ProbeKey | ChildKey | ScoreKey

_NUMBER: Final = "[1-9][0-9]{0,8}"
_OF_SOCIETY: Final = re.compile(
    rf"g(?P<generation>{_NUMBER})/"
    rf"(?:strategy/(?P<agent>[^/]+)|game(?P<game>{_NUMBER})/r(?P<round>[0-9]{{2,9}})/(?P<donor>[^/]+)"
    rf"(?P<note>/note)?(?:/talk/(?P<turn>{_NUMBER}))?(?:/(?P<stage>(?!note$)[a-z][a-z0-9_-]*))?)"
)
_OF_PROBE: Final = re.compile(r"probe/(?P<subject>[^/]+)/(?P<situation>[^/]+)/(?P<repetition>[0-9]{2,9})")
_OF_CHILD: Final = re.compile(r"child/(?P<number>[0-9]{2,9})")
_OF_SCORE: Final = re.compile(r"score/(?P<subject>[^/]+)/s(?P<society>[0-9]{1,9})(?:/(?P<question>.+))?")


def parse(text: str) -> Key:
    """Return the key that a text writes.

    Raises:
        ValueError: the text is no key.
    """
    if match := _OF_SOCIETY.fullmatch(text):
        return _of_society(match)
    if match := _OF_PROBE.fullmatch(text):
        return ProbeKey(match["subject"], match["situation"], int(match["repetition"]))
    if match := _OF_CHILD.fullmatch(text):
        return ChildKey(int(match["number"]))
    if match := _OF_SCORE.fullmatch(text):
        if match["question"] is None:
            return ScoreKey(match["subject"], int(match["society"]))
        if question := _OF_SOCIETY.fullmatch(match["question"]):
            return ScoreKey(match["subject"], int(match["society"]), _of_society(question))
    raise ValueError(f"{text[:100]!r} is no key of a question, such as g3/game1/r04/2_4 or g3/strategy/3_1")


def _of_society(match: re.Match[str]) -> SocietyKey:
    generation, agent, game, round, donor, note, turn, stage = match.groups()
    if agent is not None:
        return StrategyKey(int(generation), agent)
    decision = DecisionKey(int(generation), int(game), int(round), donor)
    if turn is not None:
        return TalkKey(decision, int(turn))
    if stage is not None:
        return StageKey(decision, stage)
    return decision if note is None else NoteKey(decision)
