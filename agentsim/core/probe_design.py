"""The design of a probe: whose strategies are asked, in which situations, how often. Pure values.

A situation is a moment of round 3 in which the donor is shown what the recipient gave up in round 2, and, where the
observation rule grants it, what that act's recipient (the *partner*) had given up itself in round 1; or a score, or a
standing. The recipient holds as much as the donor, so that only what is on the grid varies.

In other games of two, the first member of an encounter is asked in the game's first stage, and what is shown of the
other is a move at that level in that stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from pydantic import Field

from agentsim.core.answers import ActSpec, Move, MoveSpec
from agentsim.core.facts import Frozen, Reputation, TraceItem
from agentsim.core.games import DonorGame, Encounter, Game, Stage
from agentsim.core.keys import ProbeKey
from agentsim.core.observation import HIGHEST_SCORE, LOWEST_SCORE
from agentsim.core.requests import DecisionView, Other, Request
from agentsim.core.rules import SocietyRules
from agentsim.errors import ScenarioError

__all__ = ["Design", "Situation", "Subject", "grid", "level", "request", "situation_name"]

RECORDS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
PARTNERS: Final = (0.0, 0.5, 1.0)
RICHER: Final = 10.0
"""By default resources are the endowment, and so many times as much."""
ROUND: Final = 3
"""The first in which a donor can be shown a recipient's act and the act of its partner before that."""


class Situation(Frozen):
    """One moment in which a donor decides."""

    round: int = Field(ge=1)
    resources: float = Field(gt=0)
    """Units that the donor holds, and the recipient too."""
    record: float | None = Field(default=None, ge=0, le=1)
    """Share of its resources that the recipient gave up last, in other games the level of its move; `None`: it is not
    shown, or there is none."""
    partner: float | None = Field(default=None, ge=0, le=1)
    """The share that the recipient of that act had given up before; `None`: it is not shown."""
    reputation: int | Literal["good", "bad"] | None = None
    """The recipient's score or standing, where that is shown instead."""


class Subject(Frozen):
    """One strategy that is asked."""

    name: str
    """The agent's name where it is one of a run, else `text-1`, `child-03`, or a policy's name."""
    strategy: str | None
    """Its words; `None` where it never stated one that could be read."""
    generation: int = Field(default=1, ge=1)
    role: Literal["strategy", "parent", "child", "founder"] = "strategy"
    score: float | None = None
    """The score that the run's log has for it, in units."""
    persona: str | None = Field(default=None, exclude_if=lambda persona: persona is None)
    """The persona of the agent that follows it."""


class Design(Frozen):
    """Everything about a probe that, with the condition and the seed, decides what is asked."""

    source: str
    """Where the strategies are from, in words."""
    subjects: tuple[Subject, ...] = Field(min_length=1)
    situations: tuple[Situation, ...] = ()
    n: int = Field(default=5, ge=0, le=10_000)
    """How often each is asked in each situation."""
    children: int = Field(default=0, ge=0, le=10_000)
    """Newborns of each family that are asked for a strategy after seeing the parents'."""
    family: int | None = Field(default=None, ge=1, le=10_000, exclude_if=lambda family: family is None)
    """Parents of each family: the first so many subjects, the next, and so on; `None`: one family of all."""
    founders: int = Field(default=0, ge=0, le=10_000, exclude_if=lambda founders: not founders)
    """Agents that are asked for a strategy without parents, as the first generation is."""
    background: tuple[str, ...] = ()
    """Policies, by name, that take turns to fill the society in which each strategy is scored; none: no scores."""
    societies: int = Field(default=1, ge=1, le=1000)
    """Societies that each strategy plays in: one generation's games each, under seeds that follow on the run's."""

    @property
    def families(self) -> tuple[tuple[Subject, ...], ...]:
        """The parents whose strategies newborns see, family by family."""
        parents = tuple(subject for subject in self.subjects if subject.role == "parent")
        size = self.family or max(1, len(parents))
        return tuple(parents[start : start + size] for start in range(0, len(parents), size)) if self.children else ()

    def family_of(self, child: int) -> int | None:
        """Return the family, from 1, of the newborn with that number, from 1; a founder has none."""
        family = (child - 1) // self.children + 1 if self.children else 1
        return family if family <= len(self.families) else None


def grid(
    rules: SocietyRules,
    *,
    records: Sequence[float] = RECORDS,
    partners: Sequence[float] = PARTNERS,
    resources: Sequence[float] = (),
) -> tuple[Situation, ...]:
    """Return the situations that the observation rule can tell apart; `resources` default to 1 and 10 endowments, or to
    the endowments, where agents start with different ones.

    Where acts are shown, the last situation is a first round, in which nothing is known of the recipient.

    Raises:
        ScenarioError: the rule cannot be probed, or the game is too short for it.
    """
    game, endowments = rules.game, rules.game.endowments
    if game.n_members > 2:
        raise ScenarioError(
            f"game.kind: {game.kind}: {game.n_members} agents meet in it, and a probe asks about one other; probe a"
            " game of two"
        )
    if not isinstance(game, DonorGame):
        endowments = tuple(units or max(game.payoffs[1], 1.0) for units in endowments)
        records, partners = _possible(game, records), _possible(game, partners)
    is_richer = isinstance(game, DonorGame) and len(endowments) == 1
    amounts = tuple(resources) or (endowments if not is_richer else (endowments[0], RICHER * endowments[0]))
    rule, n_rounds = rules.observation, game.rounds
    needed = ROUND if rule.shows_anything else 1
    if n_rounds < needed:
        raise ScenarioError(f"a probe shows round {needed}, but games have {n_rounds} rounds; lengthen them")
    if not rule.shows_anything:
        return tuple(Situation(round=needed, resources=amount) for amount in amounts)
    if rule.n_acts:
        pairs = [(record, partner) for record in records for partner in (partners if rule.n_acts > 1 else (None,))]
        known = [
            Situation(round=ROUND, resources=amount, record=record, partner=partner)
            for amount in amounts
            for record, partner in pairs
        ]
        return (*known, *(Situation(round=1, resources=amount) for amount in endowments))
    reputations, first = rule.reputations(n_rounds)
    if not reputations:
        raise ScenarioError(
            f"observation.kind {rule.kind}: cannot be probed; use trace, history, image_score, standing or none, as"
            " with --set observation.kind=trace"
        )
    round = max(needed, first)
    return tuple(
        Situation.model_validate({"round": round, "resources": amount, "reputation": reputation.value})
        for amount in amounts
        for reputation in reputations
    )


def situation_name(situation: Situation) -> str:
    """Return a situation's name, as `r50-p0-u10`: recipient's record and partner's in percent, units held."""
    parts = []
    if situation.record is not None:
        parts.append(f"r{situation.record * 100:g}")
    if situation.partner is not None:
        parts.append(f"p{situation.partner * 100:g}")
    if situation.reputation is not None:
        parts.append(f"s{situation.reputation}" if isinstance(situation.reputation, int) else situation.reputation)
    return "-".join([*(parts or ["unknown"]), f"u{situation.resources:g}"])


def level(situation: Situation) -> float | None:
    """Return how good a record is, in [0, 1]: the share given; lowest to highest score as 0 to 1; bad 0, good 1."""
    if isinstance(situation.reputation, int):
        return (situation.reputation - LOWEST_SCORE) / (HIGHEST_SCORE - LOWEST_SCORE)
    if situation.reputation is not None:
        return float(situation.reputation == "good")
    return situation.record


def request(
    subject: Subject, situation: Situation, repetition: int, *, rules: SocietyRules, generation: int | None = None
) -> Request:
    """Return the question what a strategy does in a situation, as a donor of a game is asked it."""
    generation = subject.generation if generation is None else generation
    name = subject.name if _is_agent(subject.name) else f"{generation}_1"
    recipient, partner, third = _others(name, generation)
    shown = [(recipient, partner, situation.record), (partner, third, situation.partner)]
    game, held = rules.game, situation.resources
    trace = tuple(
        _shown(game, situation.round - age, donor=donor, recipient=to, level=fraction)
        for age, (donor, to, fraction) in enumerate(shown, start=1)
        if fraction is not None
    )
    reputation = _reputation(situation, rules)
    stage, spec = _asked(game, Encounter(situation.round, (name, recipient), (held, held), game.first_state(2)))
    view = DecisionView(
        name=name,
        generation=generation,
        round=situation.round,
        rules=rules.told,
        strategy=subject.strategy,
        resources=situation.resources,
        recipient=recipient,
        recipient_resources=situation.resources,
        trace=trace,
        reputation=reputation,
        own_reputation=_own_reputation(name, recipient, rules),
        role=game.roles[0],
        stage=stage,
        others=(Other(recipient, game.roles[1], held, trace, reputation),),
    )
    return Request(str(ProbeKey(subject.name, situation_name(situation), repetition)), name, view, spec)


def _asked(game: Game, encounter: Encounter) -> tuple[str, ActSpec | MoveSpec]:
    """Return the first stage of an encounter, and what its first member may answer in it."""
    stage = game.after(encounter, {})
    assert isinstance(stage, Stage)
    return stage.name, dict(stage.asked)[encounter.members[0]]


def _moved(game: Game, level: float) -> tuple[Move, float | None]:
    """Return the move of the first stage that is nearest to a level, and that move's own level."""
    held = (game.endowments[0],) * 2
    stage, spec = _asked(game, Encounter(1, ("1_1", "1_2"), held, game.first_state(2)))
    assert isinstance(spec, MoveSpec)
    move = game.move(spec, level, stage=stage)
    return move, game.level(move, spec, stage=stage)


def _possible(game: Game, levels: Sequence[float]) -> tuple[float, ...]:
    """Return the levels of the moves that are nearest to these, each once."""
    return tuple(dict.fromkeys(move_level for level in levels if (move_level := _moved(game, level)[1]) is not None))


def _shown(game: Game, round: int, *, donor: str, recipient: str, level: float) -> TraceItem:
    """Return an act at a level, as it is shown."""
    if isinstance(game, DonorGame):
        return TraceItem(round, donor, recipient, "give", level)
    move, move_level = _moved(game, level)
    return TraceItem(round, donor, recipient, move.option, move_level, amount=move.amount)


def _own_reputation(donor: str, recipient: str, rules: SocietyRules) -> Reputation | None:
    """Return the reputation that a donor is shown of itself, if any: in a probe it has done nothing yet."""
    past: dict[str, tuple[TraceItem, ...]] = {donor: (), recipient: ()}
    seen = rules.observation.observe(past, recipient=recipient, round=1, observer=donor, chance=lambda *place: 0.0)
    return seen.own_reputation


def _reputation(situation: Situation, rules: SocietyRules) -> Reputation | None:
    if situation.reputation is None:
        return None
    reputations, _ = rules.observation.reputations(rules.game.rounds)
    return next(reputation for reputation in reputations if reputation.value == situation.reputation)


def _is_agent(name: str) -> bool:
    born, _, index = name.partition("_")
    return born.isdecimal() and index.isdecimal()


def _others(name: str, generation: int) -> Iterable[str]:
    """Return three names of the same generation that are not the donor's."""
    return [other for other in (f"{generation}_{index}" for index in range(2, 6)) if other != name][:3]
