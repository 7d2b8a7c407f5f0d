"""The course of one game: who holds what, what was done, and which encounters may happen now."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from agentsim.core.answers import ActSpec, Answer, TextSpec
from agentsim.core.facts import Act, Agent, Donated, Missed, NoteWritten, Punished, TraceItem, born_and_index
from agentsim.core.games import DonorGame
from agentsim.core.keys import DecisionKey, NoteKey
from agentsim.core.observation import Chance, Judgements, ObservationRule
from agentsim.core.pairing import Schedule
from agentsim.core.requests import DecisionView, NoteView, Request
from agentsim.core.rules import SocietyRules

__all__ = ["DonorPlay"]

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
        max_chars = self._observation.max_note_chars
        if max_chars is not None and turn.act is not None:
            change = event.recipient_after - event.recipient_before
            return event, [self._ask_note(turn, max_chars=max_chars, change=change)]
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
        if answer.act != "punish" and not self._game.gift.allows(amount, before):
            raise ValueError(f"{key}: {amount!r} is no gift that the game allows: {self._game.gift!r}")
        intended = None
        if answer.is_valid and self._fails(round, donor):
            amount, intended = 0.0, amount
        if answer.act == "punish":
            fraction = amount / before if before > 0 else None
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
            fraction=self._game.gift.fraction(amount, before),
            reading=answer.reading,
            intended=intended,
            replaced_by="zero" if answer.replaced_by == "zero" else None,
            donor_after=before - amount,
            recipient_after=recipient_before + self._game.received(amount),
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
        key = str(DecisionKey(self._generation, self.number, round, donor))
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
        return Request(key, donor, view, ActSpec(self._game.acts, high=self.resources[donor], gift=self._game.gift))

    def _ask_note(self, turn: TraceItem, *, max_chars: int, change: float) -> Request:
        assert turn.act is not None
        key = str(NoteKey(DecisionKey(self._generation, self.number, turn.round, turn.donor)))
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
        return Request(key, author, view, TextSpec(max_chars, "note"))


def _seen(event: Donated | Punished | Missed) -> TraceItem:
    """Return a donor's turn as others see it: where an act failed, that nothing was given, whatever was meant."""
    if isinstance(event, Missed):
        return TraceItem(event.round, event.donor, event.recipient, None, None)
    act: Act = "punish" if isinstance(event, Punished) and event.intended is None else "give"
    return TraceItem(event.round, event.donor, event.recipient, act, event.fraction)
