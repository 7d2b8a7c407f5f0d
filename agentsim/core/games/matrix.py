"""Games of two with a table of payoffs: prisoner's dilemma, stag hunt, chicken, coordination, or any table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, model_validator

from agentsim.core.answers import ActSpec, Move, MoveSpec, Option
from agentsim.core.facts import Frozen
from agentsim.core.games.game import Encounter, Game, Moves, Outcome, Stage

__all__ = ["TABLES", "MatrixGame", "Table"]

Rows = tuple[tuple[float, ...], ...]


class Outcomes(NamedTuple):
    """What a pair of options brings."""

    first: str
    second: str
    of_first: float
    of_second: float


class Table(Frozen):
    """What each pair of options brings."""

    options: tuple[str, ...] = Field(min_length=2, max_length=20)
    """Names of what a player may choose: letters, digits and hyphens; the most cooperative first."""
    payoffs: Rows
    """Units for the first player: a row for each option of its own, a column for each of the other's."""
    second: Rows | None = None
    """Units for the second player, in the same rows and columns; `null`: the game is symmetric, and it gets what the
    first would get in its place."""
    levels: tuple[Annotated[float, Field(ge=0, le=1)], ...] | None = None
    """How cooperative each option is; `null`: in equal steps from 1 for the first to 0 for the last."""

    @model_validator(mode="before")
    @classmethod
    def _of_lists(cls, data: Any) -> Any:
        return {key: _as_tuples(value) for key, value in data.items()} if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        n = len(self.options)
        for option in self.options:
            if not option.replace("-", "").isalnum() or not option.isascii() or option != option.lower():
                raise ValueError(f"options: {option!r} is no name; use lower-case letters, digits and hyphens")
        if len(set(self.options)) < n:
            raise ValueError("options: one of them stands there twice; each needs a name of its own")
        for name, rows in (("payoffs", self.payoffs), ("second", self.second)):
            if rows is not None and (len(rows) != n or any(len(row) != n for row in rows)):
                raise ValueError(f"{name}: needs {n} rows of {n} numbers, one for each pair of options")
        if self.levels is not None and len(self.levels) != n:
            raise ValueError(f"levels: needs {n} numbers, one for each option")
        return self

    def units(self, first: str, second: str) -> tuple[float, float]:
        """Return what two options bring to the first player and to the second."""
        row, column = self.options.index(first), self.options.index(second)
        of_second = self.payoffs[column][row] if self.second is None else self.second[row][column]
        return self.payoffs[row][column], of_second

    def level(self, option: str) -> float:
        """Return how cooperative an option is."""
        place = self.options.index(option)
        return 1 - place / (len(self.options) - 1) if self.levels is None else self.levels[place]

    @property
    def outcomes(self) -> list[Outcomes]:
        """What all pairs of options bring."""
        return [Outcomes(one, other, *self.units(one, other)) for one, other in product(self.options, repeat=2)]


def _as_tuples(value: object) -> object:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


TABLES: Final[dict[str, Table]] = {
    "prisoners-dilemma": Table(options=("cooperate", "defect"), payoffs=((3, 0), (5, 1))),
    "stag-hunt": Table(options=("stag", "hare"), payoffs=((4, 0), (3, 2))),
    "chicken": Table(options=("swerve", "straight"), payoffs=((3, 1), (4, 0))),
    "coordination": Table(options=("left", "right"), payoffs=((1, 0), (0, 1))),
}
"""Tables by name. The prisoner's dilemma is that of Axelrod 1980, J. Conflict Resolut. 24."""


def _named(table: object) -> object:
    """Take a name as the table that it stands for."""
    if not isinstance(table, str):
        return table
    if table not in TABLES:
        raise ValueError(f"{table!r} is no table; name {', '.join(TABLES)}, or give options and payoffs")
    return TABLES[table]


class MatrixGame(Game):
    """Two players each choose an option; a table says what the two choices bring to each."""

    kind: Literal["matrix"] = "matrix"
    table: Annotated[Table, BeforeValidator(_named)] = TABLES["prisoners-dilemma"]
    """What each pair of options brings: a table, or the name of one."""
    order: Literal["simultaneous", "sequential"] = "simultaneous"
    """Whether both choose at the same time, or the second player sees what the first chose."""
    error: float = Field(default=0, ge=0, lt=1)
    """Probability that another option happens than the one that was chosen; of several others, each is as likely."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Return two players, or the first and the second where they differ."""
        is_symmetric = self.order == "simultaneous" and self.table.second is None
        return ("player", "player") if is_symmetric else ("first", "second")

    @property
    def stages(self) -> tuple[str, ...]:
        """Return one stage for both, or one for each."""
        return ("decision",) if self.order == "simultaneous" else ("first", "second")

    @property
    def n_questions(self) -> int:
        """Return 2."""
        return 2

    @property
    def payoffs(self) -> tuple[float, float]:
        """Return the least and the most in the table."""
        units = [unit for one in self.table.outcomes for unit in (one.of_first, one.of_second)]
        return min(units), max(units)

    @property
    def may_fail(self) -> bool:
        """Whether another option may happen than the one chosen."""
        return self.error > 0

    def after(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Ask both, at once or one after the other, then look into the table."""
        first, second = encounter.members
        spec = MoveSpec(tuple(Option(name) for name in self.table.options))
        if not moves and self.order == "simultaneous":
            return Stage("decision", ((first, spec), (second, spec)))
        if not moves:
            return Stage("first", ((first, spec),))
        made = {member: move for stage in moves.values() for member, move in stage.items()}
        if None in made.values():
            return Outcome((0.0, 0.0), is_missing=True)
        if second not in made:
            return Stage("second", ((second, spec),))
        one, other = made[first], made[second]
        assert one is not None
        assert other is not None
        return Outcome(self.table.units(one.option, other.option))

    def move(self, spec: MoveSpec, level: float, *, stage: str) -> Move:
        """Return the option nearest to a level; of two as near, the more cooperative one."""
        nearest = min(spec.options, key=lambda option: (abs(self._level(option) - level), -self._level(option)))
        return Move(nearest.name)

    def _level(self, option: Option) -> float:
        return self.table.level(option.name)

    def level(self, move: Move, spec: MoveSpec, *, stage: str) -> float | None:
        """Return the option's level."""
        return self.table.level(move.option)

    def failed(self, move: Move, spec: ActSpec | MoveSpec, number: float) -> Move | None:
        """Return another option, where chance has it."""
        if number >= self.error:
            return None
        others = [name for name in self.table.options if name != move.option]
        return Move(others[int(number / self.error * len(others))])
