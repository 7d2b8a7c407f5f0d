"""The course of a society: strategies, games, scores, selection, generation after generation.

A `Society` is a state machine with a frontier. It says which requests are open; each answer yields facts and perhaps
new requests. It waits for nothing, knows no model, and only the answers decide what happens next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from agentsim.core.answers import Answer, TextSpec
from agentsim.core.facts import (
    Agent,
    Connected,
    Event,
    GameEnded,
    GenerationEnded,
    Grouped,
    ShownStrategy,
    StrategyFormed,
    born_and_index,
    total,
)
from agentsim.core.keys import StrategyKey
from agentsim.core.observation import Chance
from agentsim.core.play import Play
from agentsim.core.requests import Request, StrategyView
from agentsim.core.rng import shuffled, stream, uniform
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import ranked

__all__ = ["Society", "Step"]

Asked = TypeVar("Asked")
"""What is asked: requests of a society, or questions made of them."""


class Step(NamedTuple, Generic[Asked]):
    """What follows from one answer: facts, and what is asked because of it."""

    events: list[Event]
    """Facts, in the order in which they became true."""
    asked: list[Asked]
    """What is open from now on."""


class _Place(NamedTuple):
    """A place in a society, as the agent that leaves it leaves it to a newborn."""

    label: str
    persona: str | None
    number: int
    """From 0."""
    agent: Agent | None = None
    """The agent that has left it."""


class Society:
    """One society's history, from its first question to its last fact."""

    def __init__(
        self,
        rules: SocietyRules,
        *,
        labels: str | Sequence[str],
        seed: int,
        strategies: Mapping[str, str] | None = None,
        personas: Sequence[str | None] | None = None,
    ) -> None:
        """Prepare a society.

        Args:
            rules: what is played.
            labels: the label of one player for all agents, or one label for each agent of the first generation.
            seed: decides everything that is left to chance.
            strategies: by label, the strategy of that player's agents in the first generation; they are not asked.
            personas: the persona of each agent of the first generation; by default nobody has one.
        """
        self.is_finished = False
        self.generation = 1
        """The generation now living."""
        self._rules = rules
        self._told = rules.told
        self._first_labels = (labels,) * rules.agents if isinstance(labels, str) else tuple(labels)
        if len(self._first_labels) != rules.agents:
            raise ValueError(f"{len(self._first_labels)} labels for {rules.agents} agents; give one for each")
        self._given = strategies or {}
        if personas is not None and len(personas) != rules.agents:
            raise ValueError(f"{len(personas)} personas for {rules.agents} agents; give one for each, or None")
        self._first_personas = (None,) * rules.agents if personas is None else tuple(personas)
        self._seed = seed
        self._agents: dict[str, Agent] = {}
        """The living agents by name; newborns as soon as they have a strategy."""
        self._labels: dict[str, str] = {}
        """The label of each agent's player in this generation, including newborns without a strategy."""
        self._personas: dict[str, str | None] = {}
        """The persona of each of these agents."""
        self._pairings = rules.pairings(seed)
        self._pairing = rules.drawn_pairing(seed)
        """The rule of the last game that has begun."""
        self._places: dict[str, int] = {}
        """The place of each of these agents: newborns take those of the agents that left."""
        self._n_unformed = 0
        self._survivors: tuple[Agent, ...] = ()
        self._parents: tuple[Agent, ...] = ()
        """The agents whose strategies newborns may learn, best first."""
        self._scores: dict[str, float] = {}
        """What selection compared."""
        self._earned: dict[str, float] = {}
        """The agents' own scores, which newborns are shown."""
        self._near: dict[int, set[int]] = {}
        """By place, the places beside it in the network of the last game that has begun."""
        self._places_before: dict[str, int] = {}
        """The places in the generation that has ended."""
        self._groups_before: dict[str, int] = {}
        """The groups of the generation that has ended."""
        self._plays: list[Play] = []
        self._play_of: dict[str, Play] = {}
        """By key, the game of each open question."""

    def label_of(self, agent: str) -> str:
        """Return the label of the player of an agent in the generation now living."""
        return self._labels[agent]

    def persona_of(self, agent: str) -> str | None:
        """Return the persona of an agent in the generation now living, if it has one."""
        return self._personas[agent]

    def start(self) -> Step[Request]:
        """Return the first generation's requests for a strategy, and the facts of those who have one already."""
        numbers = list(range(self._rules.agents))
        if self._rules.groups is not None and self._rules.groups.seats == "at_random":
            numbers = shuffled(numbers, stream(self._seed, "groups"))
        places = zip(self._first_labels, self._first_personas, numbers, strict=True)
        return self._begin_generation([_Place(*place) for place in places])

    def answer(self, request: Request, answer: Answer) -> Step[Request]:
        """Take the answer to an open request; return what follows."""
        if isinstance(request.view, StrategyView):
            return self._form_strategy(request, answer)
        play = self._play_of.pop(request.key)
        events, opened = play.answer(request.key, answer)
        for one in opened:
            self._play_of[one.key] = play
        if play.is_finished:
            events.append(GameEnded(generation=self.generation, game=play.number, resources=dict(play.resources)))
            if all(other.is_finished for other in self._plays):
                ended, opened = self._end_generation()
                events.extend(ended)
        return Step(events, opened)

    def _begin_generation(self, vacancies: Sequence[_Place]) -> Step[Request]:
        """Fill the vacancies; ask for the strategies needed."""
        learning = self._rules.transmission
        kept = {agent.id: agent for agent in self._survivors}
        parents = {agent.id: agent for agent in self._parents}
        self._labels = {name: agent.label for name, agent in kept.items()}
        self._personas = {name: agent.persona for name, agent in kept.items()}
        self._places = {name: self._places[name] for name in kept}
        self._agents = {} if learning.rewrite else dict(kept)
        formed: list[Event] = []
        requests = [
            self._ask_strategy(name, own=agent, others=[one for one in self._survivors if one.id != name])
            for name, agent in kept.items()
            if learning.rewrite
        ]
        for index, vacancy in enumerate(vacancies, start=1):
            name = f"{self.generation}_{index}"
            pool = self._teachers(vacancy)
            if kept and self._mutates(index):
                label = self._mutant_label(index)
                self._settle(name, index, vacancy._replace(label=label), [])
                if label in self._given:
                    formed.append(self._form(name, Answer(text=self._given[label], attempts=0), parents=()))
                else:
                    requests.append(self._ask_strategy(name, own=None, others=[]))
            elif kept and learning.draws_parent:
                number = uniform("parent", self._seed, self.generation, index)
                adopts = uniform("adopts", self._seed, self.generation, index)
                assert vacancy.agent is not None  # some are kept, so others have left
                parent = learning.adopted(vacancy.agent, pool, self._scores, drawn=number, number=adopts)
                self._settle(name, index, vacancy, [parent])
                formed.append(self._form(name, Answer(text=parent.strategy, attempts=0), parents=(parent.id,)))
            elif not learning.has_strategies:
                self._settle(name, index, vacancy, [])
                formed.append(self._form(name, Answer(attempts=0), parents=()))
            elif not kept and vacancy.label in self._given:
                self._settle(name, index, vacancy, [])
                formed.append(self._form(name, Answer(text=self._given[vacancy.label], attempts=0), parents=()))
            else:
                request = self._ask_strategy(name, own=None, others=pool)
                self._settle(name, index, vacancy, [parents[one] for one in _shown(request)])
                requests.append(request)
        self._n_unformed = len(requests)
        if requests:
            return Step(formed, requests)
        events, opened = self._start_games()
        return Step([*formed, *events], opened)

    def _mutates(self, index: int) -> bool:
        """Return whether the newborn with that number takes over nobody's strategy."""
        return self._rules.mutates(self._seed, generation=self.generation, index=index)

    def _mutant_label(self, index: int) -> str:
        """Return whose player a mutant has: one of the different ones of the first generation."""
        labels = tuple(dict.fromkeys(self._first_labels))
        return labels[int(uniform("mutant", self._seed, self.generation, index) * len(labels))]

    def _settle(self, name: str, index: int, vacancy: _Place, parents: Sequence[Agent]) -> None:
        """Give the newborn with that number its player and its persona, as the transmission rule says."""
        learning, number = self._rules.transmission, uniform("model", self._seed, self.generation, index)
        parent = parents[int(number * len(parents))] if parents else None
        self._labels[name], self._personas[name], self._places[name], _ = vacancy
        if learning.model_from == "parent" and parent is not None:
            self._labels[name] = parent.label
        elif (
            learning.model_from == "share" and self._survivors and not self._mutates(index)
        ):  # the first generation is as the scenario says
            self._labels[name] = self._first_labels[int(number * len(self._first_labels))]
        if learning.persona_from == "parent" and parent is not None:
            self._personas[name] = parent.persona

    def _teachers(self, vacancy: _Place) -> Sequence[Agent]:
        """Return the agents whose strategies the newborn in a place may learn, best first."""
        groups = self._rules.groups
        if self._pairing.learns_nearby:
            near = self._near.get(vacancy.number, set())
            return tuple(one for one in self._parents if self._places_before[one.id] in near) or self._parents
        if groups is None or not self._parents:
            return self._parents
        group = self._group_at(vacancy.number)
        number = uniform("founders", self._seed, self.generation, group)
        return groups.teachers(self._parents, self._groups_before, group=group, number=number)

    def _group_at(self, place: int) -> int:
        return place // self._rules.group_size + 1

    def _ask_strategy(self, name: str, *, own: Agent | None, others: Sequence[Agent]) -> Request:
        rules = self._rules
        rng = stream(self._seed, "transmission", name, *([] if own is None else [self.generation]))
        view = StrategyView(
            name=name,
            generation=self.generation,
            rules=self._told,
            advice=self._as_earned(rules.transmission.advice(others, self._scores, rng)) if others else (),
            is_survivor=own is not None,
            own=None if own is None else own.strategy,
        )
        return Request(str(StrategyKey(self.generation, name)), name, view, TextSpec(rules.transmission.max_chars))

    def _as_earned(self, shown: tuple[ShownStrategy, ...]) -> tuple[ShownStrategy, ...]:
        """Return strategies with the agents' own scores, where scores are shown: selection may have compared others."""
        return tuple(item if item.score is None else item._replace(score=self._earned[item.agent]) for item in shown)

    def _form_strategy(self, request: Request, answer: Answer) -> Step[Request]:
        shown = _shown(request)
        parents = tuple(agent.id for agent in self._parents if agent.id in shown)
        event = self._form(request.agent, answer, parents=parents)
        self._n_unformed -= 1
        if self._n_unformed:
            return Step([event], [])
        events, opened = self._start_games()
        return Step([event, *events], opened)

    def _form(self, name: str, answer: Answer, *, parents: tuple[str, ...]) -> StrategyFormed:
        """Return the fact that an agent has its strategy, and let it live."""
        earlier = next((agent for agent in self._survivors if agent.id == name), None)
        if earlier is None:
            agent = Agent(
                id=name,
                born=self.generation,
                label=self._labels[name],
                strategy=answer.text,
                parents=parents,
                persona=self._personas[name],
            )
        else:  # it keeps what it had where it said nothing that could be read
            agent = earlier if answer.text is None else earlier.model_copy(update={"strategy": answer.text})
        self._agents[name] = agent
        return StrategyFormed(
            key=str(StrategyKey(self.generation, name)),
            generation=self.generation,
            agent=agent,
            is_cut=answer.is_cut,
            problem=answer.problem,
            attempts=answer.attempts,
        )

    def _start_games(self) -> tuple[list[Event], list[Request]]:
        rules = self._rules
        # Sorted by name, so that the schedule depends on the seed and who lives, not on who scored best.
        names = sorted(self._agents)
        self._migrate()
        placed = sorted(names, key=self._places.__getitem__)
        self._plays = []
        n_rounds = rules.game.n_rounds(self._seed, generation=self.generation)
        endowments = rules.game.dealt(names, stream(self._seed, "endowment", self.generation))
        pairings = next(self._pairings)
        self._pairing = pairings[-1]
        for number, pairing in enumerate(pairings, start=1):
            self._near = _neighbours(pairing.connected)
            schedule = rules.schedule(
                pairing,
                placed if pairing.by_place or rules.groups is not None else names,
                n_rounds,
                seed=self._seed,
                generation=self.generation,
                game=number,
            )
            self._plays.append(
                Play(
                    rules.game,
                    schedule,
                    agents=[self._agents[name] for name in self._labels],
                    observation=rules.observation,
                    rules=self._told,
                    generation=self.generation,
                    number=number,
                    chance=self._chance_of(number),
                    endowments=endowments,
                    near={placed[at]: frozenset(placed[one] for one in beside) for at, beside in self._near.items()},
                )
            )
        begun = [(play, *play.start()) for play in self._plays]
        self._play_of = {one.key: play for play, _, opened in begun for one in opened}
        known: list[Event] = []
        is_each = self._pairing.changes == "games" and len(pairings) > 1
        for number, pairing in enumerate(pairings if is_each else pairings[:1], start=1):
            edges = tuple((placed[a], placed[b]) for a, b in pairing.connected)
            if edges:
                known.append(Connected(generation=self.generation, game=number if is_each else None, edges=edges))
        if rules.groups is not None:
            groups = {name: self._group_at(self._places[name]) for name in names}
            known.append(Grouped(generation=self.generation, groups=groups))
        known += [event for _, events, _ in begun for event in events]
        return known, [one for _, _, opened in begun for one in opened]

    def _migrate(self) -> None:
        """Let some agents exchange their places, and so their groups."""
        groups = self._rules.groups
        if groups is None or not groups.migration or self.generation == 1:
            return
        moving = [
            name
            for name in sorted(self._agents)
            if uniform("migrates", self._seed, self.generation, *born_and_index(name)) < groups.migration
        ]
        places = shuffled([self._places[name] for name in moving], stream(self._seed, "migration", self.generation))
        self._places.update(zip(moving, places, strict=True))

    def _chance_of(self, game: int) -> Chance:
        """Return the random numbers of one game of the living generation, by purpose and place in the game."""
        place = (self._seed, self.generation, game)
        return lambda what, *within: uniform(what, *place, *within)

    def _end_generation(self) -> Step[Request]:
        rules = self._rules
        finals = [play.resources for play in self._plays]
        scores = self._earned = rules.selection.scores(finals)
        self._places_before = dict(self._places)
        if rules.groups is not None:
            self._groups_before = {name: self._group_at(place) for name, place in self._places.items()}
            scores = rules.groups.compared(self._earned, self._groups_before)
        is_last = self.generation == rules.generations
        rng = stream(self._seed, "selection", self.generation)
        survivors = () if is_last else rules.selection.survivors(scores, rng)
        ended = GenerationEnded(
            generation=self.generation,
            mean_final_resources=total(total(final.values()) for final in finals) / len(finals) / rules.agents,
            scores=scores,
            survivors=survivors,
        )
        if is_last:
            self.is_finished = True
            return Step([ended], [])
        gone = [self._agents[name] for name in sorted(set(self._agents) - set(survivors), key=born_and_index)]
        self._survivors = tuple(self._agents[name] for name in survivors)
        everyone = tuple(self._agents[name] for name in ranked(scores))
        self._parents = everyone if rules.learns_from_everyone else self._survivors
        self._scores = scores
        self.generation += 1
        events, requests = self._begin_generation(
            [_Place(agent.label, agent.persona, self._places[agent.id], agent) for agent in gone]
        )
        return Step([ended, *events], requests)


def _neighbours(connected: Sequence[tuple[int, int]]) -> dict[int, set[int]]:
    """Return, by place, the places beside it in a network."""
    found: dict[int, set[int]] = {}
    for a, b in connected:
        found.setdefault(a, set()).add(b)
        found.setdefault(b, set()).add(a)
    return found


def _shown(request: Request) -> list[str]:
    """Return the survivors whose strategies an agent is shown, as they are listed."""
    return [item.agent for item in request.view.advice] if isinstance(request.view, StrategyView) else []
