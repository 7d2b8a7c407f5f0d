"""The Donor Game: a donor may give units away and the recipient receives more than was given.

Source: Vallinder & Hughes, "Cultural Evolution of Cooperation among LLM Agents", arXiv 2412.10270 (2024), section 3.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from agentsim.core.observation import Chance, Gossip, Judgements, ObservationRule
from agentsim.core.pairing import Schedule
from agentsim.core.rng import uniform
from agentsim.core.types import (
    Act,
    ActSpec,
    Agent,
    Answer,
    DecisionView,
    Donated,
    Missed,
    NoteView,
    NoteWritten,
    Punished,
    Request,
    TextSpec,
    TraceItem,
    Value,
    born_and_index,
)

if TYPE_CHECKING:
    from agentsim.core.society import SocietyRules

__all__ = ["DonorGame", "DonorPlay", "Punishment"]


class Punishment(Value):
    """Instead of giving, the donor may spend units to take some away from the recipient."""

    cost: float = Field(default=1, gt=0)
    """Units spent ..."""
    effect: float = Field(default=2, gt=0)
    """... to remove so many from the recipient, which never falls below 0."""


class DonorGame(Value):
    """The rules of the game, and nothing of its course."""

    kind: Literal["donor"] = "donor"
    rounds: int = Field(default=12, ge=1, le=10_000)
    """Rounds of one game; agents are not told how many."""
    endowment: float = Field(default=10, gt=0)
    """Units every agent holds at the start of each game."""
    multiplier: float = Field(default=2, gt=0)
    """Units the recipient receives for each unit given."""
    games: int = Field(default=2, ge=1, le=100)
    """Games a generation; each second one repeats the one before it with roles swapped."""
    punishment: Punishment | None = None
    """Costly punishment, or `null` where nobody may punish."""
    error: float = Field(default=0, ge=0, lt=1)
    """Probability that an act fails: the donor has decided, but nothing moves, and others see that nothing was given
    (implementation error: Fishman 2003, J. Theor. Biol. 225; Panchanathan & Boyd 2003, J. Theor. Biol. 224)."""
    continuation: float = Field(default=0, ge=0, lt=1)
    """Probability with which, after `rounds` rounds and each further one, there is another: a game without a known end
    (Roth & Murnighan 1978, J. Math. Psychol. 17). All games of a generation are equally long; agents are not told."""
    max_rounds: int = Field(default=10_000, ge=1, le=10_000)
    """Rounds after which a game ends in any case, as long as the longest that `rounds` can ask for."""

    def log10_most(self, n_agents: int, n_rounds: int) -> float:
        """Return the decimal logarithm of the most units that `n_agents` can hold together after `n_rounds` rounds."""
        return math.log10(n_agents) + math.log10(self.endowment) + n_rounds * max(math.log10(self.multiplier), 0)

    def n_rounds(self, seed: int, *, generation: int) -> int:
        """Return how many rounds each game of a generation has."""
        n, chance = self.rounds, self.continuation
        number = uniform("rounds", seed, generation) if chance else 1.0
        while n < self.max_rounds and number < chance:
            n += 1
            chance *= self.continuation
        return n

    @model_validator(mode="after")
    def _may_be_that_long(self) -> Self:
        if self.max_rounds < self.rounds:
            raise ValueError(
                f"max_rounds: {self.max_rounds} is less than the {self.rounds} rounds that are played anyway"
            )
        return self

    @property
    def punishment_effect(self) -> float | None:
        """Units removed for each unit spent; `None` where nobody may punish."""
        return self.punishment.effect / self.punishment.cost if self.punishment else None

    @property
    def acts(self) -> tuple[Act, ...]:
        """What a donor may do."""
        return ("give", "punish") if self.punishment else ("give",)


_Meeting = tuple[int, str, str]
"""Round, donor and recipient of an encounter."""


class DonorPlay:
    """One game being played: who holds what, what was done, and which encounters may happen now.

    An encounter is open as soon as its donor and its recipient have finished all their earlier ones; rounds do not
    wait for each other. What an encounter depends on is thereby fixed, whatever order answers arrive in.
    """

    def __init__(
        self,
        game: DonorGame,
        schedule: Schedule,
        *,
        agents: Sequence[Agent],
        observation: ObservationRule,
        rules: SocietyRules,
        generation: int,
        number: int,
        chance: Chance,
    ) -> None:
        self.number = number
        """Which game of the generation this is."""
        self.resources = {agent.id: game.endowment for agent in agents}
        self._game = game
        self._rules = rules
        self._agents = {agent.id: agent for agent in agents}
        self._observation = observation
        self._generation = generation
        self._chance = chance
        self._judged: Judgements = {}
        self._history: dict[str, list[TraceItem]] = {agent.id: [] for agent in agents}
        self._ahead: dict[str, deque[_Meeting]] = {agent.id: deque() for agent in agents}
        for round, pairs in enumerate(schedule, start=1):
            for donor, recipient in pairs:
                self._ahead[donor].append((round, donor, recipient))
                self._ahead[recipient].append((round, donor, recipient))
        self._first = schedule[0]
        self._open: dict[str, _Meeting] = {}
        self._untold: dict[str, TraceItem] = {}
        self._n_left = sum(len(pairs) for pairs in schedule)

    @property
    def is_finished(self) -> bool:
        """Whether every encounter has happened."""
        return self._n_left == 0

    def start(self) -> list[Request]:
        """Return the first round's requests."""
        return [self._ask(1, donor, recipient) for donor, recipient in self._first]

    def answer(self, key: str, answer: Answer) -> tuple[Donated | Punished | Missed | NoteWritten, list[Request]]:
        """Let the encounter `key` happen, or the note on it be written; return the fact and the requests it opens."""
        if key in self._untold:
            turn = self._untold.pop(key)
            return self._written(key, turn, answer), self._end(replace(turn, note=answer.text))
        round, donor, recipient = self._open.pop(key)
        event = self._happen(key, answer, round=round, donor=donor, recipient=recipient)
        self.resources[donor] = event.donor_after
        self.resources[recipient] = event.recipient_after
        turn = _seen(event)
        if isinstance(self._observation, Gossip) and turn.act is not None:
            change = event.recipient_after - event.recipient_before
            return event, [self._ask_note(f"{key}/note", turn, self._observation, change=change)]
        return event, self._end(turn)

    def _happen(
        self, key: str, answer: Answer, *, round: int, donor: str, recipient: str
    ) -> Donated | Punished | Missed:
        before, recipient_before = self.resources[donor], self.resources[recipient]
        amount = 0.0 if answer.replaced_by == "zero" else answer.amount
        common = {
            "key": key,
            "generation": self._generation,
            "game": self.number,
            "round": round,
            "donor": donor,
            "recipient": recipient,
            "donor_before": before,
            "recipient_before": recipient_before,
            "problem": answer.problem,
            "attempts": answer.attempts,
        }
        if amount is None or answer.replaced_by == "pass":
            return Missed(**common, donor_after=before, recipient_after=recipient_before)
        if not 0 <= amount <= before:
            raise ValueError(f"{key}: amount {amount!r} is not within the donor's resources, 0 to {before!r}")
        intended = None
        if answer.is_valid and self._fails(round, donor):
            amount, intended = 0.0, amount
        fraction = amount / before if before > 0 else None
        if answer.act == "punish":
            if self._game.punishment_effect is None:
                raise ValueError(f"{key}: nobody may punish in this game")
            removed = min(amount * self._game.punishment_effect, recipient_before)
            return Punished(
                **common,
                amount=amount,
                fraction=fraction,
                removed=removed,
                reading=answer.reading,
                intended=intended,
                donor_after=before - amount,
                recipient_after=recipient_before - removed,
            )
        return Donated(
            **common,
            amount=amount,
            fraction=fraction,
            reading=answer.reading,
            intended=intended,
            replaced_by="zero" if answer.replaced_by == "zero" else None,
            donor_after=before - amount,
            recipient_after=recipient_before + amount * self._game.multiplier,
        )

    def _fails(self, round: int, donor: str) -> bool:
        return self._game.error > 0 and self._chance("error", round, *born_and_index(donor)) < self._game.error

    def _written(self, key: str, turn: TraceItem, answer: Answer) -> NoteWritten:
        return NoteWritten(
            key=key,
            generation=self._generation,
            game=self.number,
            round=turn.round,
            author=turn.recipient,
            about=turn.donor,
            text=answer.text,
            is_cut=answer.is_cut,
            problem=answer.problem,
            attempts=answer.attempts,
        )

    def _end(self, turn: TraceItem) -> list[Request]:
        """Let an encounter be over; return the requests of those that are next for both of their agents now."""
        self._n_left -= 1
        self._history[turn.donor].append(turn)
        for agent in (turn.donor, turn.recipient):
            self._ahead[agent].popleft()
        following = dict.fromkeys(self._ahead[agent][0] for agent in (turn.donor, turn.recipient) if self._ahead[agent])
        return [
            self._ask(*meeting)
            for meeting in following
            if all(self._ahead[agent][0] == meeting for agent in meeting[1:])
        ]

    def _ask(self, round: int, donor: str, recipient: str) -> Request:
        key = f"g{self._generation}/game{self.number}/r{round:02}/{donor}"
        self._open[key] = (round, donor, recipient)
        seen = self._observation.observe(
            self._history,
            recipient=recipient,
            round=round,
            observer=donor,
            chance=self._chance,
            judged=self._judged,
        )
        view = DecisionView(
            name=donor,
            generation=self._generation,
            round=round,
            rules=self._rules,
            strategy=self._agents[donor].strategy,
            resources=self.resources[donor],
            recipient=recipient,
            recipient_resources=self.resources[recipient],
            trace=seen.trace,
            reputation=seen.reputation,
            own_reputation=seen.own_reputation,
            notes=seen.notes,
        )
        return Request(key, donor, view, ActSpec(self._game.acts, high=self.resources[donor]))

    def _ask_note(self, key: str, turn: TraceItem, rule: Gossip, *, change: float) -> Request:
        assert turn.act is not None
        self._untold[key] = turn
        author = turn.recipient
        view = NoteView(
            name=author,
            generation=self._generation,
            round=turn.round,
            rules=self._rules,
            strategy=self._agents[author].strategy,
            resources=self.resources[author],
            donor=turn.donor,
            act=turn.act,
            fraction=turn.fraction,
            change=change,
        )
        return Request(key, author, view, TextSpec(rule.max_chars, "note"))


def _seen(event: Donated | Punished | Missed) -> TraceItem:
    """Return a donor's turn as others see it: where an act failed, that nothing was given, whatever was meant."""
    if isinstance(event, Missed):
        return TraceItem(event.round, event.donor, event.recipient, None, None)
    act: Act = "punish" if isinstance(event, Punished) and event.intended is None else "give"
    return TraceItem(event.round, event.donor, event.recipient, act, event.fraction)
