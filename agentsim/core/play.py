"""The course of one game: who holds what, what was done, and which encounters may happen now."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentsim.core.answers import ActSpec, Answer, Move, MoveSpec, TextSpec
from agentsim.core.facts import Agent, Event, NoteWritten, Past, Reputation, Talked, TraceItem, born_and_index
from agentsim.core.games import Encounter, Game, Outcome, Place, Said, Stage
from agentsim.core.keys import DecisionKey, NoteKey, StageKey, TalkKey
from agentsim.core.observation import Chance, Judgements, NearHistory, Observation
from agentsim.core.pairing import Schedule
from agentsim.core.requests import DecisionView, Made, Message, MessageView, NoteView, Other, Request
from agentsim.core.rules import SocietyRules

__all__ = ["Play"]

_Meeting = tuple[int, tuple[str, ...]]
"""Round and members of an encounter, in the order of their roles."""


@dataclass(slots=True)
class _Open:
    """An encounter that is going on."""

    place: Place
    encounter: Encounter
    seen: dict[str, tuple[tuple[Other, ...], Reputation | None]] = field(default_factory=dict)
    """What each member that was asked is shown of the others, and of itself: the same at each question."""
    messages: list[Message] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    moves: dict[str, dict[str, Move | None]] = field(default_factory=dict)
    """Of complete stages."""
    answered: dict[str, Move | None] = field(default_factory=dict)
    """Of the stage that is going on."""
    stage: Stage | None = None
    waiting: int = 0
    """Questions that are open."""
    order: int = 0
    """The questions asked so far, of those that wait for each other."""


class Play:
    """One game being played: who holds what, what was done, and which encounters may happen now.

    An encounter is open as soon as its members have finished all their earlier ones; rounds do not wait for each
    other. What an encounter depends on is thereby fixed, whatever order answers arrive in.
    """

    def __init__(
        self,
        game: Game,
        schedule: Schedule,
        *,
        agents: Sequence[Agent],
        observation: Observation,
        rules: SocietyRules,
        generation: int,
        number: int,
        chance: Chance,
        endowments: Mapping[str, float],
        near: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self.number = number
        """Which game of the generation this is."""
        self.resources = {agent.id: endowments[agent.id] for agent in agents}
        # A property of a game is computed each time, and a society asks for these with each answer.
        self._game = game
        self._roles = game.roles
        self._first_stage = game.stages[0]
        self._may_fail = game.may_fail
        self._state = game.first_state(game.n_members)
        self._remembers = observation.remembers
        self._max_note_chars = observation.max_note_chars
        self._rules = rules
        self._agents = {agent.id: agent for agent in agents}
        self._observation = observation
        self._generation = generation
        self._chance = chance
        self._judged: Judgements = {}
        self._history: dict[str, list[TraceItem]] = {agent.id: [] for agent in agents}
        if near is not None and observation.follows_edges:
            self._history = NearHistory(self._history, near=near)
        self._past: dict[str, list[Past]] = {agent.id: [] for agent in agents}
        self._states: dict[tuple[str, ...], float | None] = {}
        """What each group shares, by its members in the order of their names."""
        self._ahead: dict[str, deque[_Meeting]] = {agent.id: deque() for agent in agents}
        self._first: list[_Meeting] = []
        """Encounters that come first for all their members, who may have sat out the first rounds."""
        for round, groups in enumerate(schedule, start=1):
            for members in groups:
                meeting = round, members
                if not any(self._ahead[member] for member in members):
                    self._first.append(meeting)
                for member in members:
                    self._ahead[member].append(meeting)
        self._open: dict[str, tuple[_Open, str, ActSpec | MoveSpec]] = {}
        """By key, the encounter of each open question, the member that is asked, and what it may answer."""
        self._talking: dict[str, tuple[_Open, str]] = {}
        self._untold: dict[str, tuple[TraceItem, Encounter, tuple[float, ...]]] = {}
        self._ready: deque[_Meeting] = deque()
        """Encounters that can begin; those that ask nothing may be many in a row."""
        self._n_left = sum(len(groups) for groups in schedule)

    @property
    def is_finished(self) -> bool:
        """Whether every encounter has happened."""
        return self._n_left == 0

    def start(self) -> tuple[list[Event], list[Request]]:
        """Return the first round's requests, and the facts that are known without asking."""
        events: list[Event] = []
        requests: list[Request] = []
        self._ready.extend(self._first)
        self._begin_ready(events, requests)
        return events, requests

    def answer(self, key: str, answer: Answer) -> tuple[list[Event], list[Request]]:
        """Take the answer to an open question; return the facts that follow and the requests that it opens."""
        events: list[Event] = []
        requests: list[Request] = []
        if key in self._untold:
            act, encounter, changes = self._untold.pop(key)
            events.append(self._written(key, act, answer))
            self._end(encounter, [act._replace(note=answer.text)], changes)
        elif key in self._talking:
            self._hear(key, answer, events, requests)
        else:
            self._decide(key, answer, events, requests)
        self._begin_ready(events, requests)
        return events, requests

    def _begin_ready(self, events: list[Event], requests: list[Request]) -> None:
        while self._ready:
            self._begin(self._ready.popleft(), events, requests)

    def _begin(self, meeting: _Meeting, events: list[Event], requests: list[Request]) -> None:
        round, members = meeting
        holdings = tuple([self.resources[member] for member in members])
        state = None if self._state is None else self._states.get(tuple(sorted(members)), self._state)
        place = Place(self._generation, self.number, round)
        running = _Open(place, Encounter(round, members, holdings, state))
        if self._game.talk is not None:
            self._ask_to_talk(running, requests)
        else:
            self._go_on(running, events, requests)

    # --- talk -------------------------------------------------------------------------------------------------------

    def _ask_to_talk(self, running: _Open, requests: list[Request]) -> None:
        assert self._game.talk is not None
        running.order += 1
        running.waiting = len(running.encounter.members)
        for member in running.encounter.members:
            key = str(TalkKey(self._key(running.encounter.round, member), running.order))
            self._talking[key] = running, member
            view = MessageView(self._view(running, member, stage="talk"), running.order)
            requests.append(Request(key, member, view, TextSpec(self._game.talk.max_chars, "message")))

    def _hear(self, key: str, answer: Answer, events: list[Event], requests: list[Request]) -> None:
        running, author = self._talking.pop(key)
        members = running.encounter.members
        events.append(
            Talked(
                key=key,
                generation=self._generation,
                game=self.number,
                round=running.encounter.round,
                turn=running.order,
                author=author,
                to=tuple(member for member in members if member != author),
                text=answer.text,
                is_cut=answer.is_cut,
                problem=answer.problem,
                attempts=answer.attempts,
            )
        )
        if answer.text is not None:
            running.messages.append(Message(author, running.order, answer.text))
        running.waiting -= 1
        if running.waiting:
            return
        running.messages.sort(key=lambda message: (message.turn, members.index(message.author)))
        if running.order < self._game.n_talks:
            self._ask_to_talk(running, requests)
        else:
            self._go_on(running, events, requests)

    # --- decisions --------------------------------------------------------------------------------------------------

    def _go_on(self, running: _Open, events: list[Event], requests: list[Request]) -> None:
        """Ask the next stage of an encounter, or let it be over."""
        following = self._game.after(running.encounter, running.moves)
        if isinstance(following, Outcome):
            self._settle(running, following, events, requests)
            return
        running.stage = following
        running.waiting = len(following.asked)
        running.order += 1
        for member, spec in following.asked:
            decision = self._key(running.encounter.round, member)
            key = str(decision if following.name == self._first_stage else StageKey(decision, following.name))
            self._open[key] = running, member, spec
            requests.append(Request(key, member, self._view(running, member, stage=following.name), spec))

    def _decide(self, key: str, answer: Answer, events: list[Event], requests: list[Request]) -> None:
        running, member, spec = self._open.pop(key)
        stage, game, encounter = running.stage, self._game, running.encounter
        assert stage is not None
        move = game.move_of(answer, spec, key=key, stage=stage.name)
        intended = None
        if move is not None and answer.is_valid and self._may_fail:
            purpose = "error" if stage.name == self._first_stage else f"error/{stage.name}"
            number = self._chance(purpose, encounter.round, *born_and_index(member))
            if (instead := game.failed(move, spec, number)) is not None:
                move, intended = instead, move
        said = Said(key, member, stage.name, spec, answer, move, intended)
        running.said.append(said)
        running.answered[member] = move
        fact = game.moved(running.place, self._roles[encounter.members.index(member)], said)
        if fact is not None:
            events.append(fact)
        running.waiting -= 1
        if running.waiting:
            return
        running.moves[stage.name] = {agent: running.answered[agent] for agent, _ in stage.asked}
        running.answered = {}
        self._go_on(running, events, requests)

    def _in_order(self, running: _Open) -> list[Said]:
        """Return what was said by stage and member, in whatever order answers arrived."""
        if len(running.said) < 2:
            return running.said
        members = running.encounter.members
        stages = list(running.moves)
        last = len(stages)
        return sorted(
            running.said,
            key=lambda one: (stages.index(one.stage) if one.stage in stages else last, members.index(one.agent)),
        )

    def _settle(self, running: _Open, outcome: Outcome, events: list[Event], requests: list[Request]) -> None:
        encounter = running.encounter
        said = self._in_order(running)
        events.append(self._game.settled(running.place, encounter, said, outcome))
        for member, held, change in zip(encounter.members, encounter.holdings, outcome.changes, strict=True):
            self.resources[member] = held + change
        if self._state is not None:
            self._states[tuple(sorted(encounter.members))] = outcome.state
        acts = [act for one in said if (act := self._game.act(encounter, one)) is not None]
        max_chars = self._max_note_chars
        if max_chars is not None and acts[0].act is not None:
            requests.append(self._ask_note(acts[0], encounter, outcome, max_chars=max_chars))
            return
        self._end(encounter, acts, outcome.changes)

    def _end(self, encounter: Encounter, acts: Sequence[TraceItem], changes: Sequence[float]) -> None:
        """Let an encounter be over; those that are next for all of their members now are ready."""
        self._n_left -= 1
        members = encounter.members
        for act in acts:
            self._history[act.donor].append(act)
        if self._remembers:
            for member, change in zip(members, changes, strict=True):
                others = tuple(other for other in members if other != member)
                self._past[member].append(Past(encounter.round, others, tuple(acts), change))
        ahead = self._ahead
        following: dict[_Meeting, None] = {}
        for member in members:
            of_member = ahead[member]
            of_member.popleft()
            if of_member:
                following[of_member[0]] = None
        for meeting in following:
            for member in meeting[1]:
                if ahead[member][0] is not meeting:
                    break
            else:
                self._ready.append(meeting)

    # --- what members see -------------------------------------------------------------------------------------------

    def _key(self, round: int, member: str) -> DecisionKey:
        return DecisionKey(self._generation, self.number, round, member)

    def _view(self, running: _Open, member: str, *, stage: str) -> DecisionView:
        encounter = running.encounter
        place = encounter.members.index(member)
        if member not in running.seen:
            running.seen[member] = self._seen(encounter, member)
        others, own_reputation = running.seen[member]
        first = others[0]
        return DecisionView(
            name=member,
            generation=self._generation,
            round=encounter.round,
            rules=self._rules,
            strategy=self._agents[member].strategy,
            resources=encounter.holdings[place],
            recipient=first.name,
            recipient_resources=first.resources,
            trace=first.trace,
            reputation=first.reputation,
            own_reputation=own_reputation,
            notes=first.notes,
            role=self._roles[place],
            stage=stage,
            order=running.order,
            others=others,
            so_far=self._made(running) if running.moves else (),
            state=encounter.state,
            messages=tuple(running.messages),
            memory=self._recalled(member, others, before=encounter.round) if self._remembers else (),
        )

    def _seen(self, encounter: Encounter, member: str) -> tuple[tuple[Other, ...], Reputation | None]:
        """Return what a member is shown of the others, in the order of their roles, and its own reputation."""
        others: list[Other] = []
        own_reputation: Reputation | None = None
        for other, role, held in zip(encounter.members, self._roles, encounter.holdings, strict=True):
            if other == member:
                continue
            known = self._observation.observe(
                self._history,
                recipient=other,
                round=encounter.round,
                observer=member,
                chance=self._chance,
                judged=self._judged,
            )
            own_reputation = known.own_reputation if not others else own_reputation
            others.append(Other(other, role, held, known.trace, known.reputation, known.notes))
        return tuple(others), own_reputation

    def _made(self, running: _Open) -> tuple[Made, ...]:
        """Return the moves of complete stages, as far as they could be read."""
        roles = dict(zip(running.encounter.members, self._roles, strict=True))
        return tuple(
            Made(one.agent, roles[one.agent], one.stage, one.move)
            for one in self._in_order(running)
            if one.stage in running.moves and one.move is not None
        )

    def _recalled(self, member: str, others: Sequence[Other], *, before: int) -> tuple[Past, ...]:
        partners = [other.name for other in others]
        return self._observation.recall(self._past[member], partners=partners, before=before)

    # --- notes ------------------------------------------------------------------------------------------------------

    def _written(self, key: str, act: TraceItem, answer: Answer) -> NoteWritten:
        assert act.recipient is not None
        return NoteWritten(
            key=key,
            generation=self._generation,
            game=self.number,
            round=act.round,
            author=act.recipient,
            about=act.donor,
            text=answer.text,
            is_cut=answer.is_cut,
            problem=answer.problem,
            attempts=answer.attempts,
        )

    def _ask_note(self, act: TraceItem, encounter: Encounter, outcome: Outcome, *, max_chars: int) -> Request:
        key = str(NoteKey(self._key(encounter.round, act.donor)))
        self._untold[key] = act, encounter, outcome.changes
        author = act.recipient
        assert author is not None
        view = NoteView(
            name=author,
            generation=self._generation,
            round=encounter.round,
            rules=self._rules,
            strategy=self._agents[author].strategy,
            resources=self.resources[author],
            donor=act.donor,
            act="punish" if act.act == "punish" else "give",
            fraction=act.fraction,
            change=self.resources[author] - encounter.holdings[encounter.members.index(author)],
        )
        return Request(key, author, view, TextSpec(max_chars, "note"))
