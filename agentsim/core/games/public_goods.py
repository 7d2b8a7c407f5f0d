"""The public goods game: members contribute to a pot that is multiplied and shared equally among all of them.

Source: Fehr & Gächter 2000, "Cooperation and punishment in public goods experiments", Am. Econ. Rev. 90, and 2002,
"Altruistic punishment in humans", Nature 415: groups of four, 20 units each round, of which each unit contributed
brings 0.4 to every member; then each member may spend units to take three times as many from named others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from agentsim.core.answers import Move, MoveSpec, Option
from agentsim.core.facts import Frozen, TraceItem, born_and_index
from agentsim.core.games.before import JOIN, WITHOUT
from agentsim.core.games.game import AmountGame, Encounter, Game, Moves, Outcome, Said, Stage

__all__ = ["Help", "PublicGoodsGame", "Sanction"]

HELP: Final = "help"
PASS: Final = "pass"


class Sanction(Frozen):
    """Members may spend units to take units from named others, or to give them units."""

    effect: float = Field(default=3, gt=0)
    """Units that the named member loses, or gains, for each unit spent."""
    most: float = Field(default=10, gt=0)
    """The most units that a member may spend on each other member in a round."""


class Help(Frozen):
    """In some rounds, members do not contribute: each may help one other member, as a donor does in the Donor Game."""

    cost: float = Field(default=1, gt=0)
    """Units that helping costs."""
    benefit: float = Field(default=2, gt=0)
    """Units that the one who is helped gets."""


class PublicGoodsGame(AmountGame):
    """Each member gets an income in each round and contributes some of it to a common pot."""

    kind: Literal["public_goods"] = "public_goods"
    rounds: int = Field(default=10, ge=1, le=10_000)
    """Rounds of one game."""
    group: int = Field(default=4, ge=2, le=1000)
    """Members of a group."""
    income: float = Field(default=20, gt=0)
    """Units that each member gets in each round."""
    multiplier: float = Field(default=1.6, gt=0)
    """Units that the group receives for each unit contributed; they are shared equally."""
    step: float | None = Field(default=1, gt=0)
    """Contributions and sanctions are in steps of so many units; `null`: any amount."""
    punishment: Sanction | None = None
    """Whether members may then take units from named others; `null`: they may not."""
    reward: Sanction | None = None
    """Whether members may then give units to named others, in the same stage; `null`: they may not."""
    help: Help | None = Field(default=None, exclude_if=lambda help: help is None)
    """What helping costs and brings, where `turns` names rounds of helping."""
    turns: tuple[Literal["contribute", "help"], ...] = Field(
        default=("contribute",), min_length=1, max_length=1000, exclude_if=lambda turns: turns == ("contribute",)
    )
    """What is played in the first round, in the second, and so on; after the last one it begins again. In a round of
    helping there is no pot: each member is asked whether it helps one other member, another one each time until all
    have had their turn. (Milinski, Semmann & Krambeck 2002, Nature 415)"""
    institutions: Literal["one", "choice"] = Field(default="one", exclude_if=lambda which: which == "one")
    """`choice`: before each round, each member joins those among whom there is punishment or reward, or those among
    whom there is not, and only those who joined the same play together. (Gürerk, Irlenbusch & Rockenbach 2006, Science
    312)"""

    told_if_changed: ClassVar[frozenset[str]] = Game.told_if_changed | {"institutions", "help", "turns"}
    takes_fewer: ClassVar[bool] = True

    @field_validator("turns", mode="before")
    @classmethod
    def _has_tuple(cls, turns: object) -> object:
        return tuple(turns) if isinstance(turns, list) else turns

    @model_validator(mode="after")
    def _has_help(self) -> Self:
        if ("help" in self.turns) != (self.help is not None):
            raise ValueError("help: is played in the turns that name it; give turns: [contribute, help], or neither")
        if self.help is not None and self.has_sanctions:
            raise ValueError(
                "help: takes the place of contributing, and there would be nothing to sanction; remove one"
            )
        return self

    @model_validator(mode="after")
    def _has_institutions(self) -> Self:
        if self.institutions == "choice" and not self.has_sanctions:
            raise ValueError("institutions: there is no choice without punishment or reward; set one of them")
        return self

    @property
    def before(self) -> tuple[str, ...]:
        """Return the stages before an encounter, joining an institution among them."""
        stages = super().before
        return (JOIN, *stages) if self.institutions == "choice" else stages

    @property
    def alone(self) -> float:
        """Return the income: who is alone has no pot to contribute to."""
        return self.income

    @property
    def roles(self) -> tuple[str, ...]:
        """Return members, all alike."""
        return ("member",) * self.group

    @property
    def stages(self) -> tuple[str, ...]:
        """Return contributing, and under punishment or reward a stage for that; or helping, in its rounds."""
        if self.help is not None:
            return ("contribute", "help")
        return ("contribute", "sanction") if self.has_sanctions else ("contribute",)

    @property
    def has_sanctions(self) -> bool:
        """Whether there is a second stage."""
        return self.punishment is not None or self.reward is not None

    @property
    def n_questions(self) -> int:
        """Return how many questions one encounter asks."""
        return self.group * (2 if self.has_sanctions else 1)

    @property
    def n_in_a_row(self) -> int:
        """Return how many questions follow one another; a round asks for contributions or for help."""
        return super().n_in_a_row - (self.help is not None)

    def total_at(self, level: float) -> float | None:
        """Return what one encounter adds; not known where it depends on the round."""
        return None if self.help is not None else super().total_at(level)

    @property
    def payoffs(self) -> tuple[float, float]:
        """Return the bounds of what one member gains in a round."""
        share = self.multiplier / self.group
        alone, others = self.income * (share - 1), self.income * share * (self.group - 1)
        spent = max([0.0, *(one.most for one in (self.punishment, self.reward) if one)]) * (self.group - 1)
        lost = self.punishment.effect * self.punishment.most * (self.group - 1) if self.punishment else 0.0
        gained = self.reward.effect * self.reward.most * (self.group - 1) if self.reward else 0.0
        if self.help is not None:
            lost, gained = self.income + self.help.cost, self.help.benefit
        return self.income + min(alone, 0.0) - spent - lost, self.income + max(alone, 0.0) + others + gained

    def is_public(self, stage: str) -> bool:
        """Return whether others learn of it: contributions and help are, but not who punished or rewarded whom."""
        return stage != "sanction"

    def after(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Ask for contributions, then for sanctions if there are any, then share the pot."""
        members = encounter.members
        if self.turns[(encounter.round - 1) % len(self.turns)] == "help":
            return self._helped(encounter, moves)
        if not moves:
            spec = MoveSpec((Option("contribute", high=self.income, step=self.step),))
            return Stage("contribute", tuple((member, spec) for member in members))
        if any(move is None for stage in moves.values() for move in stage.values()):
            return Outcome((0.0,) * len(members), is_missing=True)
        given = [_amount(moves["contribute"][member]) for member in members]
        share = self.multiplier * sum(given) / len(members)
        gains = [self.income - amount + share for amount in given]
        if not self.has_sanctions or encounter.institution == WITHOUT:
            return Outcome(tuple(gains))
        if "sanction" not in moves:
            held = [before + gain for before, gain in zip(encounter.holdings, gains, strict=True)]
            return Stage(
                "sanction",
                tuple(
                    (member, self._sanctions(members, member, units))
                    for member, units in zip(members, held, strict=True)
                ),
            )
        for place, member in enumerate(members):
            move = moves["sanction"][member]
            assert move is not None
            rule = {"punish": self.punishment, "reward": self.reward}.get(move.option)
            if rule is not None:
                sign = 1 if move.option == "reward" else -1
                for target, amount in move.aimed.items():
                    gains[place] -= amount
                    gains[members.index(target)] += sign * rule.effect * amount
        return Outcome(tuple(gains))

    def _helped(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Ask each member whether it helps another, then let those who do pay."""
        assert self.help is not None
        members = encounter.members
        if not moves:
            spec = MoveSpec((Option(HELP), Option(PASS)))
            return Stage("help", tuple((member, spec) for member in members))
        changes = dict.fromkeys(members, 0.0)
        for member, move in moves["help"].items():
            if move is None:
                return Outcome((0.0,) * len(members), is_missing=True)
            if move.option == HELP:
                changes[member] -= self.help.cost
                changes[self.helped_by(encounter.round, members, member)] += self.help.benefit
        return Outcome(tuple(changes.values()))

    def helped_by(self, round: int, members: Sequence[str], member: str) -> str:
        """Return whom a member may help in a round: the others in turn, in the order of their names."""
        order = sorted(members, key=born_and_index)
        cycle, place = divmod(round - 1, len(self.turns))
        n_before = cycle * self.turns.count("help") + self.turns[:place].count("help")
        return order[(order.index(member) + 1 + n_before % (len(order) - 1)) % len(order)]

    def act(self, encounter: Encounter, said: Said) -> TraceItem | None:
        """Return what others may learn: whom a member helped or did not, or what it contributed."""
        act = super().act(encounter, said)
        if act is None or said.stage != "help":
            return act
        return act._replace(recipient=self.helped_by(encounter.round, encounter.members, said.agent))

    def _sanctions(self, members: tuple[str, ...], member: str, held: float) -> MoveSpec:
        others = tuple(other for other in members if other != member)
        rules = {"punish": self.punishment, "reward": self.reward}
        options = [
            Option(name, high=rule.most, step=self.step, targets=others)
            for name, rule in rules.items()
            if rule is not None
        ]
        return MoveSpec((*options, Option("nothing")), most_together=max(held, 0.0))

    def move(self, spec: MoveSpec, level: float, *, stage: str) -> Move:
        """Return a contribution, or help from a level of one half on; policies neither punish nor reward."""
        if stage == "help":
            return Move(HELP if level >= 0.5 else PASS)
        if stage == "sanction":
            return Move("nothing")
        return super().move(spec, level, stage=stage)

    def level(self, move: Move, spec: MoveSpec, *, stage: str) -> float | None:
        """Return the share of its income that a member contributed, 1 or 0 for help; `None` for sanctions."""
        if stage == "help":
            return 1.0 if move.option == HELP else 0.0
        return None if stage == "sanction" else super().level(move, spec, stage=stage)


def _amount(move: Move | None) -> float:
    assert move is not None
    assert move.amount is not None
    return move.amount
