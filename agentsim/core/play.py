"""The course of one game: who holds what, what was done, and which encounters may happen now."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from agentsim.core.answers import ActSpec, Answer, Move, MoveSpec, TextSpec
from agentsim.core.facts import Agent, Event, NoteWritten, Past, Reputation, SatOut, Talked, TraceItem, born_and_index
from agentsim.core.games import Encounter, Game, Outcome, Place, Said, Stage
from agentsim.core.games.before import CHOOSE, EXCLUDE, JOIN, REFUSE, WITH, WITHOUT, asked, matched, voted_out
from agentsim.core.keys import DecisionKey, NoteKey, StageKey, TalkKey
from agentsim.core.observation import Chance, Judgements, NearHistory, Observation
from agentsim.core.pairing import Schedule
from agentsim.core.requests import DecisionView, Made, Message, MessageView, NoteView, Other, Request
from agentsim.core.rules import SocietyRules

__all__ = ["Play"]

_Meeting = tuple[int, tuple[str, ...]]
"""Round and members of an encounter, in the order of their roles; or of several, where agents choose whom they meet."""
VOTED_OUT: Final = "voted-out"
"""What agents remember of one that was excluded."""


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
    turn: int = 0
    """The round of talk."""
    ahead: tuple[str, ...] = ()
    """The stages before the encounter that are still to come."""
    noted: tuple[TraceItem, ...] = ()
    """What its members remember of those before: who refused, who was voted out."""


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
        self._before = game.before
        self._excluded: dict[str, int] = {}
        """The last round in which an agent that was voted out takes no part."""
        self._parted: set[frozenset[str]] = set()
        """Those that do not meet again in this game."""
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
        self._n_left = sum(len(members) for groups in schedule for members in groups)
        """In how many meetings agents still have to take part, or to sit them out."""

    @property
    def is_finished(self) -> bool:
        """Whether every encounter has happened, or was refused."""
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
        present = self._present(round, members, events) if self._before else members
        if present:
            self._go_on_before(self._opened(round, present, ahead=self._before), events, requests)

    def _opened(
        self,
        round: int,
        members: tuple[str, ...],
        *,
        ahead: tuple[str, ...],
        after: _Open | None = None,
        institution: str | None = None,
        noted: tuple[TraceItem, ...] = (),
    ) -> _Open:
        """Return an encounter of these members; `after`: what came before it, and of whom it is a part."""
        holdings = tuple([self.resources[member] for member in members])
        state = None if self._state is None else self._states.get(tuple(sorted(members)), self._state)
        if after is not None:
            institution, noted = institution or after.encounter.institution, (*after.noted, *noted)
        return _Open(
            Place(self._generation, self.number, round),
            Encounter(round, members, holdings, state, institution),
            order=0 if after is None else after.order,
            ahead=ahead,
            noted=noted,
        )

    # --- before an encounter ----------------------------------------------------------------------------------------

    def _present(self, round: int, members: tuple[str, ...], events: list[Event]) -> tuple[str, ...]:
        """Return those who can take part; the others sit out, and all do if nobody is left to meet."""
        refusal = self._game.refusal
        if refusal is not None and frozenset(members) in self._parted:
            self._sit_out(round, members, members, "parted", events, units=refusal.instead)
            return ()
        excluded = tuple([member for member in members if self._excluded.get(member, 0) >= round])
        if not excluded:
            return members
        self._sit_out(round, excluded, members, "excluded", events)
        return self._enough(round, tuple([one for one in members if one not in excluded]), members, events)

    def _enough(
        self, round: int, present: tuple[str, ...], members: tuple[str, ...], events: list[Event]
    ) -> tuple[str, ...]:
        """Return those who are present, unless it is one alone, who sits out."""
        if len(present) > 1:
            return present
        self._sit_out(round, present, members, "alone", events, units=self._game.alone)
        return ()

    def _go_on_before(self, running: _Open, events: list[Event], requests: list[Request]) -> None:
        """Ask the next stage before an encounter, or let it begin."""
        members = running.encounter.members
        if running.ahead and running.ahead[0] == EXCLUDE and len(members) < 3:
            running.ahead = running.ahead[1:]
        if running.ahead:
            stage, *ahead = running.ahead
            running.ahead = tuple(ahead)
            self._ask(running, Stage(stage, asked(stage, members)), requests)
        elif self._game.talk is not None:
            self._ask_to_talk(running, requests)
        else:
            self._go_on(running, events, requests)

    def _take(
        self, running: _Open, stage: str, said: Mapping[str, str | None], events: list[Event], requests: list[Request]
    ) -> None:
        """Let those meet who do so by the answers to a stage before an encounter."""
        for part in self._parts(running, stage, said, events):
            self._go_on_before(part, events, requests)

    def _parts(
        self, running: _Open, stage: str, said: Mapping[str, str | None], events: list[Event]
    ) -> Iterator[_Open]:
        round, members, ahead = running.encounter.round, running.encounter.members, running.ahead
        if stage == CHOOSE:
            order = sorted(members, key=lambda one: self._chance("choice", round, *born_and_index(one)))
            for pair in matched(members, said, order):
                yield self._opened(round, pair, ahead=ahead, after=running)
        elif stage == JOIN:
            unread = tuple([one for one in members if said[one] is None])
            self._sit_out(round, unread, members, "missing", events)
            for institution in (WITH, WITHOUT):
                joined = tuple([one for one in members if said[one] == institution])
                if joined and self._enough(round, joined, members, events):
                    noted = tuple([TraceItem(round, one, None, institution, None) for one in joined])
                    yield self._opened(round, joined, ahead=ahead, after=running, institution=institution, noted=noted)
        elif stage == EXCLUDE:
            assert self._game.ostracism is not None
            out = voted_out(members, said, share=self._game.ostracism.share)
            if out is None:
                yield running
                return
            self._excluded[out] = round + self._game.ostracism.rounds - 1
            noted = (TraceItem(round, out, None, VOTED_OUT, None),)
            self._sit_out(round, (out,), members, "excluded", events, noted=(*running.noted, *noted))
            staying = tuple([one for one in members if one != out])
            yield self._opened(round, staying, ahead=ahead, after=running, noted=noted)
        else:
            yield from self._willing(running, said, events)

    def _willing(self, running: _Open, said: Mapping[str, str | None], events: list[Event]) -> Iterator[_Open]:
        """Yield the encounter of those who do not refuse, if it takes place."""
        refusal, encounter = self._game.refusal, running.encounter
        assert refusal is not None
        round, members = encounter.round, encounter.members
        if None in said.values():
            self._sit_out(round, members, members, "missing", events)
            return
        refusing = tuple([one for one in members if said[one] == REFUSE])
        if not refusing:
            yield running
            return
        willing = tuple([one for one in members if one not in refusing])
        noted = tuple(
            TraceItem(round, one, next(o for o in members if o != one) if len(members) == 2 else None, REFUSE, None)
            for one in refusing
        )
        if refusal.known == "all":
            for item in noted:
                self._history[item.donor].append(item)
        if refusal.ends == "game":
            self._parted.add(frozenset(members))
        remembered = (*running.noted, *noted)
        costs = {"units": refusal.instead, "cost": refusal.cost}
        self._sit_out(round, refusing, members, "refused", events, noted=remembered, **costs)
        if self._game.takes_fewer and len(willing) > 1:
            yield self._opened(round, willing, ahead=running.ahead, after=running, noted=noted)
        else:
            self._sit_out(round, willing, members, "was_refused", events, noted=remembered, units=refusal.instead)

    def _sit_out(
        self,
        round: int,
        agents: Sequence[str],
        members: Sequence[str],
        reason: Literal["refused", "was_refused", "parted", "excluded", "alone", "missing"],
        events: list[Event],
        *,
        noted: Sequence[TraceItem] = (),
        units: float = 0.0,
        cost: float = 0.0,
    ) -> None:
        """Let agents go on to their next meeting without this one."""
        for agent in agents:
            held = self.resources[agent]
            after = held + units - min(cost, max(held + units, 0.0))
            self.resources[agent] = after
            others = tuple(other for other in members if other != agent)
            events.append(
                SatOut(
                    generation=self._generation,
                    game=self.number,
                    round=round,
                    agent=agent,
                    others=others,
                    reason=reason,
                    before=held,
                    after=after,
                )
            )
            if self._remembers and noted:
                self._past[agent].append(Past(round, others, tuple(noted), after - held))
        self._leave(agents)

    # --- talk -------------------------------------------------------------------------------------------------------

    def _ask_to_talk(self, running: _Open, requests: list[Request]) -> None:
        assert self._game.talk is not None
        running.order += 1
        running.turn += 1
        running.waiting = len(running.encounter.members)
        for member in running.encounter.members:
            key = str(TalkKey(self._key(running.encounter.round, member), running.turn))
            self._talking[key] = running, member
            view = MessageView(self._view(running, member, stage="talk"), running.turn)
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
                turn=running.turn,
                author=author,
                to=tuple(member for member in members if member != author),
                text=answer.text,
                is_cut=answer.is_cut,
                problem=answer.problem,
                attempts=answer.attempts,
            )
        )
        if answer.text is not None:
            running.messages.append(Message(author, running.turn, answer.text))
        running.waiting -= 1
        if running.waiting:
            return
        running.messages.sort(key=lambda message: (message.turn, members.index(message.author)))
        if running.turn < self._game.n_talks:
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
        self._ask(running, following, requests)

    def _ask(self, running: _Open, stage: Stage, requests: list[Request]) -> None:
        running.stage = stage
        running.waiting = len(stage.asked)
        running.order += 1
        for member, spec in stage.asked:
            decision = self._key(running.encounter.round, member)
            key = str(decision if stage.name == self._first_stage else StageKey(decision, stage.name))
            self._open[key] = running, member, spec
            requests.append(Request(key, member, self._view(running, member, stage=stage.name), spec))

    def _decide(self, key: str, answer: Answer, events: list[Event], requests: list[Request]) -> None:
        running, member, spec = self._open.pop(key)
        stage, game, encounter = running.stage, self._game, running.encounter
        assert stage is not None
        move = game.move_of(answer, spec, key=key, stage=stage.name)
        intended = None
        is_before = stage.name in self._before
        if move is not None and answer.is_valid and self._may_fail and not is_before:
            purpose = "error" if stage.name == self._first_stage else f"error/{stage.name}"
            number = self._chance(purpose, encounter.round, *born_and_index(member))
            if (instead := game.failed(move, spec, number)) is not None:
                move, intended = instead, move
        said = Said(key, member, stage.name, spec, answer, move, intended)
        running.answered[member] = move
        role = self._role(encounter.members, encounter.members.index(member))
        if is_before:
            events.append(game.said_before(running.place, role, said))
        else:
            running.said.append(said)
            if (fact := game.moved(running.place, role, said)) is not None:
                events.append(fact)
        running.waiting -= 1
        if running.waiting:
            return
        if is_before:
            options = {agent: None if made is None else made.option for agent, made in running.answered.items()}
            running.answered = {}
            self._take(running, stage.name, options, events, requests)
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
        self._end(encounter, acts, outcome.changes, noted=running.noted)

    def _end(
        self,
        encounter: Encounter,
        acts: Sequence[TraceItem],
        changes: Sequence[float],
        *,
        noted: Sequence[TraceItem] = (),
    ) -> None:
        """Let an encounter be over."""
        members = encounter.members
        for act in acts:
            self._history[act.donor].append(act)
        if self._remembers:
            for member, change in zip(members, changes, strict=True):
                others = tuple(other for other in members if other != member)
                self._past[member].append(Past(encounter.round, others, (*noted, *acts), change))
        self._leave(members)

    def _leave(self, members: Sequence[str]) -> None:
        """Let agents go on from their meeting; those meetings that are next for all of their members now are ready."""
        self._n_left -= len(members)
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

    def _role(self, members: Sequence[str], place: int) -> str:
        """Return a member's role; those who are drawn together have none before they have chosen whom they meet."""
        return self._roles[place] if len(members) <= len(self._roles) else "member"

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
            role=self._role(encounter.members, place),
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
        members = encounter.members
        for place, (other, held) in enumerate(zip(members, encounter.holdings, strict=True)):
            if other == member:
                continue
            role = self._role(members, place)
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
        members = running.encounter.members
        roles = {member: self._role(members, place) for place, member in enumerate(members)}
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
