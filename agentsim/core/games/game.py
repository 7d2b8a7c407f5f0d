"""What a game is: a frozen value, and one pure function that says what comes next in an encounter.

`after` is asked with the moves made so far, at first with none: it returns the next stage (who is asked what at the
same time) or the outcome. So simultaneous games, sequential ones and those of several stages are one thing, and an
encounter replayed from its moves is the same encounter (as in OpenSpiel: Lanctot et al. 2019, arXiv 1908.09453).

A *level* in [0, 1] says how cooperative a move was: 0 the least, 1 the most that was possible. Observation,
reputation, scripted policies and most measures know levels alone, so they work for every game.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, NamedTuple, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from agentsim.core.answers import ActSpec, Answer, Move, MoveSpec
from agentsim.core.facts import Event, Frozen, Moved, Settled, TraceItem
from agentsim.core.games.before import BEFORE, CHOOSE, EXCLUDE, REFUSE, Choice, Ostracism, Refusal, accepting
from agentsim.core.rng import shuffled, uniform

SOME: Final = Field(min_length=1, max_length=10_000)
"""How many endowments a list may have."""
ONE_OR_MORE: Final = Discriminator(lambda units: "list" if isinstance(units, list | tuple) else "number")
"""Says whether an endowment is a number or a list, so that a wrong one is told what is allowed there."""

__all__ = ["AmountGame", "Encounter", "Game", "Moves", "Outcome", "Place", "Said", "Stage", "Talk"]


class Encounter(NamedTuple):
    """What the game must know of an encounter."""

    round: int
    members: tuple[str, ...]
    """In the order of the game's roles."""
    holdings: tuple[float, ...]
    """Units that each member holds before the encounter."""
    state: float | None = None
    """What the group shares and carries from round to round, such as the stock of a commons."""
    institution: str | None = None
    """What its members have joined, where they choose between institutions."""


Moves: TypeAlias = Mapping[str, Mapping[str, Move | None]]
"""By stage and member, the moves made so far, of complete stages alone; `None`: it could not be read."""


class Stage(NamedTuple):
    """Members that are asked at the same time."""

    name: str
    """Names the question's template and, after the first stage, its key."""
    asked: tuple[tuple[str, ActSpec | MoveSpec], ...]
    """Each member that is asked, and what it may answer."""


class Outcome(NamedTuple):
    """What an encounter has come to."""

    changes: tuple[float, ...]
    """Units that each member gains or loses, in the order of the members."""
    state: float | None = None
    """What the group shares from now on."""
    is_missing: bool = False
    """Whether a move could not be read, so that nothing moved."""


class Place(NamedTuple):
    """Where in a society's history an encounter stands."""

    generation: int
    game: int
    round: int


class Said(NamedTuple):
    """One answer within an encounter, and what became of it."""

    key: str
    agent: str
    stage: str
    spec: ActSpec | MoveSpec
    answer: Answer
    move: Move | None
    """What happened: the move that was answered, or what chance made of it; `None`: it could not be read."""
    intended: Move | None = None
    """What the agent had decided on, where chance made something else of it."""


class Talk(Frozen):
    """Messages that the members of an encounter write to each other before they decide."""

    rounds: int = Field(default=1, ge=1, le=20)
    """How often each member writes; all write at the same time."""
    max_chars: int = Field(default=300, ge=1, le=10_000)
    """The length, in characters, at which a message is cut."""


class Game(Frozen):
    """The interface of every game, and the settings that all games share."""

    rounds: int = Field(default=12, ge=1, le=10_000)
    """Rounds of one game."""
    endowment: Annotated[
        Annotated[float, Field(ge=0), Tag("number")]
        | Annotated[tuple[Annotated[float, Field(ge=0)], ...], SOME, Tag("list")],
        ONE_OR_MORE,
    ] = 0
    """Units every agent holds at the start of each game; or a list, dealt to the agents at random in each generation,
    each number as often as any other, as far as that goes, and the same in all games of a generation."""
    games: int = Field(default=1, ge=1, le=100)
    """Games a generation; each second one repeats the one before it with roles swapped."""
    continuation: float = Field(default=0, ge=0, lt=1)
    """Probability with which, after `rounds` rounds and each further one, there is another: a game without a known end
    (Roth & Murnighan 1978, J. Math. Psychol. 17). All games of a generation are equally long."""
    max_rounds: int = Field(default=10_000, ge=1, le=10_000)
    """Rounds after which a game ends in any case, as long as the longest that `rounds` can ask for."""
    length: Literal["unknown", "known"] = Field(default="unknown", exclude_if=lambda length: length == "unknown")
    """Whether agents are told how many rounds a game has or, where chance decides, how likely a further one is."""

    talk: Talk | None = Field(default=None, exclude_if=lambda talk: talk is None)
    """Whether the members of an encounter talk to each other before they decide; `null`: they do not."""
    choice: Choice | None = Field(default=None, exclude_if=lambda choice: choice is None)
    """Whether agents choose whom they meet, among some; `null`: they do not."""
    ostracism: Ostracism | None = Field(default=None, exclude_if=lambda ostracism: ostracism is None)
    """Whether members may exclude one of them by vote; `null`: they may not."""
    refusal: Refusal | None = Field(default=None, exclude_if=lambda refusal: refusal is None)
    """Whether members may refuse to take part in an encounter; `null`: they may not."""

    told_if_changed: ClassVar[frozenset[str]] = frozenset({"length", "talk", "choice", "ostracism", "refusal"})
    default_pairing: ClassVar[str] = "random"
    """The kind of pairing that is meant where the scenario names none."""
    takes_fewer: ClassVar[bool] = False
    """Whether an encounter can be played by fewer members than the game has, down to two."""
    whole_group: ClassVar[bool] = False
    """Whether members must stay together through a game, because they share something."""

    if TYPE_CHECKING:

        @property
        def kind(self) -> str:
            """What the scenario calls the game."""

    @field_validator("endowment", mode="before")
    @classmethod
    def _has_a_tuple(cls, endowment: object) -> object:
        if not isinstance(endowment, list | tuple):
            return endowment
        if (
            len({units for units in endowment if isinstance(units, int | float)}) == 1
            and len(set(map(type, endowment))) == 1
        ):
            raise ValueError(f"all are the same; write {endowment[0]}")
        return tuple(endowment)

    @model_validator(mode="after")
    def _may_be_that_long(self) -> Self:
        if self.max_rounds < self.rounds:
            raise ValueError(
                f"max_rounds: {self.max_rounds} is less than the {self.rounds} rounds that are played anyway"
            )
        return self

    @property
    def endowments(self) -> tuple[float, ...]:
        """The different endowments, in ascending order."""
        return tuple(sorted(set(self.endowment))) if isinstance(self.endowment, tuple) else (self.endowment,)

    @property
    def one_endowment(self) -> float | None:
        """What every agent holds at the start of each game; `None` where that is not the same for all."""
        return None if isinstance(self.endowment, tuple) else self.endowment

    def dealt(self, agents: Sequence[str], rng: Random) -> dict[str, float]:
        """Return the endowment of each agent; chance decides only where not all are the same."""
        every = self.endowment
        if not isinstance(every, tuple):
            return dict.fromkeys(agents, every)
        units = [every[index % len(every)] for index in range(len(agents))]
        return dict(zip(agents, shuffled(units, rng), strict=True))

    @property
    @abstractmethod
    def roles(self) -> tuple[str, ...]:
        """The roles of an encounter's members, in their order; as many as there are members."""

    @property
    @abstractmethod
    def stages(self) -> tuple[str, ...]:
        """The names of all stages that an encounter may have, in their order."""

    @property
    @abstractmethod
    def n_questions(self) -> int:
        """The most questions that one encounter asks."""

    @abstractmethod
    def after(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Return who is asked next, given the moves so far, or the outcome. A pure function."""

    @abstractmethod
    def move(self, spec: MoveSpec, level: float, *, stage: str) -> Move:
        """Return the move, among the options, that is nearest to a level in [0, 1]."""

    @property
    def before(self) -> tuple[str, ...]:
        """The stages that come before an encounter, in their order."""
        settings = {CHOOSE: self.choice, EXCLUDE: self.ostracism, REFUSE: self.refusal}
        return tuple(stage for stage in BEFORE if settings.get(stage) is not None)

    @property
    def set_size(self) -> int:
        """How many agents are drawn together, who then meet in one encounter or, where they choose, in several."""
        return self.n_members if self.choice is None else self.choice.offered + 1

    @property
    def alone(self) -> float:
        """Units that an agent gets in a round in which its choice leaves nobody to meet."""
        return 0.0

    def answer(self, spec: ActSpec | MoveSpec, level: float, *, stage: str) -> Answer:
        """Return the same as an answer, as scripted policies give it; before an encounter they take all as it comes."""
        assert isinstance(spec, MoveSpec)
        if stage in BEFORE:
            return Answer(move=accepting(stage, spec, level))
        return Answer(move=self.move(spec, level, stage=stage))

    @property
    @abstractmethod
    def payoffs(self) -> tuple[float, float]:
        """The least and the most units that one member can gain in one encounter."""

    def total_at(self, level: float) -> float | None:
        """Return what one encounter adds to all members' units together if every move is at a level in [0, 1].

        `None`: that depends on what they hold, or on earlier rounds.
        """
        members = tuple(map(str, range(self.n_members)))
        if self.first_state(self.n_members) is not None or self.one_endowment is None:
            return None
        encounter = Encounter(1, members, (self.one_endowment,) * self.n_members)
        moves: dict[str, dict[str, Move | None]] = {}
        while isinstance(following := self.after(encounter, moves), Stage):
            moves[following.name] = {}
            for member, spec in following.asked:
                assert isinstance(spec, MoveSpec)
                moves[following.name][member] = self.move(spec, level, stage=following.name)
        return sum(following.changes)

    @property
    def is_symmetric(self) -> bool:
        """Whether all members have the same role."""
        return len(set(self.roles)) == 1

    @property
    def n_members(self) -> int:
        """How many agents meet in an encounter."""
        return len(self.roles)

    @property
    def may_fail(self) -> bool:
        """Whether chance may make another move of what was decided."""
        return False

    @property
    def n_talks(self) -> int:
        """How often each member of an encounter writes a message."""
        return 0 if self.talk is None else self.talk.rounds

    @property
    def n_in_a_row(self) -> int:
        """Questions of an encounter that must wait for each other."""
        return len(self.before) + self.n_talks + len(self.stages)

    def first_state(self, n_members: int) -> float | None:
        """Return what a group shares in its first round, if anything."""
        return None

    def failed(self, move: Move, spec: ActSpec | MoveSpec, number: float) -> Move | None:
        """Return what chance makes of a move, or `None` if it happens as decided; `number` is uniform in [0, 1)."""
        return None

    def log10_most(self, n_agents: int, n_rounds: int) -> float:
        """Return the decimal logarithm of the most units that `n_agents` can hold together after `n_rounds` rounds."""
        return math.log10(max(n_agents * (self.endowments[-1] + n_rounds * max(self.payoffs[1], 0.0)), 1.0))

    def n_rounds(self, seed: int, *, generation: int) -> int:
        """Return how many rounds each game of a generation has."""
        n, chance = self.rounds, self.continuation
        number = uniform("rounds", seed, generation) if chance else 1.0
        while n < self.max_rounds and number < chance:
            n += 1
            chance *= self.continuation
        return n

    def move_of(self, answer: Answer, spec: ActSpec | MoveSpec, *, key: str, stage: str) -> Move | None:
        """Return the move that an answer is, or that stands in for an unreadable one; `None`: there is none.

        Raises:
            ValueError: the answer is none that was possible.
        """
        assert isinstance(spec, MoveSpec)
        if answer.replaced_by == "zero" and stage in BEFORE:  # there is no least cooperative partner, vote or refusal
            return None
        if answer.replaced_by == "zero":
            return self.move(spec, 0.0, stage=stage)
        if answer.replaced_by == "pass" or answer.move is None:
            return None
        if not spec.allows(answer.move):
            raise ValueError(f"{key}: {answer.move!r} is none of the moves that were possible: {spec!r}")
        return answer.move

    def is_public(self, stage: str) -> bool:
        """Return whether the moves of a stage may become known to agents that were not there."""
        return True

    def act(self, encounter: Encounter, said: Said) -> TraceItem | None:
        """Return what others may learn of a move; `None`: nothing."""
        if not self.is_public(said.stage):
            return None
        others = [member for member in encounter.members if member != said.agent]
        target = others[0] if len(others) == 1 else None
        move = said.move
        if move is None:
            return TraceItem(encounter.round, said.agent, target, None, None)
        return TraceItem(encounter.round, said.agent, target, move.option, self._level_of(said), amount=move.amount)

    def _level_of(self, said: Said) -> float | None:
        if said.move is None or said.stage in BEFORE or not isinstance(said.spec, MoveSpec):
            return None
        return self.level(said.move, said.spec, stage=said.stage)

    def moved(self, place: Place, role: str, said: Said) -> Event | None:
        """Return the fact of one answer; `None`: the fact of the whole encounter says it."""
        return self.said_before(place, role, said)

    def said_before(self, place: Place, role: str, said: Said) -> Moved:
        """Return the fact of one answer, which no game has other words for."""
        move, answer = said.move, said.answer
        return Moved(
            key=said.key,
            generation=place.generation,
            game=place.game,
            round=place.round,
            stage=said.stage,
            actor=said.agent,
            role=role,
            option=None if move is None else move.option,
            amount=None if move is None else move.amount,
            aimed={} if move is None else dict(move.aimed),
            level=self._level_of(said),
            intended=None if said.intended is None else said.intended.option,
            reading=answer.reading,
            replaced_by="zero" if answer.replaced_by == "zero" else None,
            problem=answer.problem,
            attempts=answer.attempts,
        )

    def settled(self, place: Place, encounter: Encounter, said: Sequence[Said], outcome: Outcome) -> Event:
        """Return the fact of what an encounter came to."""
        return Settled(
            generation=place.generation,
            game=place.game,
            round=place.round,
            members=encounter.members,
            before=encounter.holdings,
            after=tuple(held + change for held, change in zip(encounter.holdings, outcome.changes, strict=True)),
            state_before=encounter.state,
            state_after=outcome.state,
            is_missing=outcome.is_missing,
        )

    def level(self, move: Move, spec: MoveSpec, *, stage: str) -> float | None:
        """Return how cooperative a move is, in [0, 1]; `None` where that cannot be said."""
        return None


class AmountGame(Game):
    """The base of games that ask for one amount, of which all is the most cooperative; other stages override it."""

    def move(self, spec: MoveSpec, level: float, *, stage: str) -> Move:
        """Return the amount at a level of the most that is possible."""
        option = spec.options[0]
        return Move(option.name, option.nearest(level))

    def level(self, move: Move, spec: MoveSpec, *, stage: str) -> float | None:
        """Return the share of the most that was possible; `None` where nothing was."""
        high = spec.options[0].high
        return None if move.amount is None or not high else move.amount / high
