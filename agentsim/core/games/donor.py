"""The Donor Game: a donor may give units away and the recipient receives more than was given.

Source: Vallinder & Hughes, "Cultural Evolution of Cooperation among LLM Agents", arXiv 2412.10270 (2024), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from agentsim.core.observation import Chance, Judgements, ObservationRule
from agentsim.core.pairing import Schedule
from agentsim.core.types import (
    Act,
    ActSpec,
    Agent,
    Answer,
    DecisionView,
    Donated,
    Missed,
    Punished,
    Request,
    Rules,
    TraceItem,
    Value,
)

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

    @property
    def punishment_effect(self) -> float | None:
        """Units removed for each unit spent; `None` where nobody may punish."""
        return self.punishment.effect / self.punishment.cost if self.punishment else None

    @property
    def acts(self) -> tuple[Act, ...]:
        """What a donor may do."""
        return ("give", "punish") if self.punishment else ("give",)


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
        rules: Rules,
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
        self._rounds_done = dict.fromkeys(self.resources, 0)
        self._pairs = [{agent: pair for pair in pairs for agent in pair} for pairs in schedule]
        self._open: dict[str, tuple[int, str, str]] = {}
        self._n_left = sum(len(pairs) for pairs in schedule)

    @property
    def is_finished(self) -> bool:
        """Whether every encounter has happened."""
        return self._n_left == 0

    def start(self) -> list[Request]:
        """Return the first round's requests."""
        return [self._ask(1, donor, recipient) for donor, recipient in dict.fromkeys(self._pairs[0].values())]

    def answer(self, key: str, answer: Answer) -> tuple[Donated | Punished | Missed, list[Request]]:
        """Let the encounter `key` happen; return its fact and the requests it opens."""
        round, donor, recipient = self._open.pop(key)
        event = self._happen(key, answer, round=round, donor=donor, recipient=recipient)
        self._n_left -= 1
        self.resources[donor] = event.donor_after
        self.resources[recipient] = event.recipient_after
        act: Act | None = {"donated": "give", "punished": "punish"}.get(event.type)  # type: ignore[assignment]
        fraction = None if isinstance(event, Missed) else event.fraction
        self._history[donor].append(TraceItem(round, donor, recipient, act, fraction))
        self._rounds_done[donor] = self._rounds_done[recipient] = round
        return event, self._opened_after(round, donor, recipient)

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
                donor_after=before - amount,
                recipient_after=recipient_before - removed,
            )
        return Donated(
            **common,
            amount=amount,
            fraction=fraction,
            reading=answer.reading,
            replaced_by="zero" if answer.replaced_by == "zero" else None,
            donor_after=before - amount,
            recipient_after=recipient_before + amount * self._game.multiplier,
        )

    def _opened_after(self, round: int, donor: str, recipient: str) -> list[Request]:
        if round == len(self._pairs):
            return []
        pairs = dict.fromkeys(self._pairs[round][agent] for agent in (donor, recipient))
        return [
            self._ask(round + 1, next_donor, next_recipient)
            for next_donor, next_recipient in pairs
            if self._rounds_done[next_donor] == self._rounds_done[next_recipient] == round
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
        )
        return Request(key, donor, view, ActSpec(self._game.acts, high=self.resources[donor]))
