"""The course of a society: strategies, games, scores, selection, generation after generation.

A `Society` is a state machine with a frontier. It says which requests are open; each answer yields facts and perhaps
new requests. It waits for nothing, knows no model, and only the answers decide what happens next.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from pydantic import Field, model_validator

from agentsim.core.games import DonorGame, DonorPlay, Game
from agentsim.core.observation import Chance, ObservationRule, Trace
from agentsim.core.pairing import Alternating, PairingRule, swapped
from agentsim.core.rng import stream, uniform
from agentsim.core.selection import SelectionRule, Top
from agentsim.core.transmission import Advice, TransmissionRule
from agentsim.core.types import (
    Agent,
    Answer,
    Event,
    GameEnded,
    GenerationEnded,
    Request,
    Rules,
    StrategyFormed,
    StrategyView,
    TextSpec,
    Value,
    View,
)

__all__ = ["Society", "SocietyRules", "Step"]


class SocietyRules(Value):
    """Everything that decides the course of a society, except who plays."""

    agents: int = Field(default=12, ge=2, le=10_000)
    """Agents a generation; even, as all are paired in each round, unless the pairing lets one sit out."""
    generations: int = Field(default=10, ge=1, le=10_000)
    game: Game = DonorGame()
    pairing: PairingRule = Alternating()
    observation: ObservationRule = Trace()
    selection: SelectionRule = Top()
    transmission: TransmissionRule = Advice()

    @model_validator(mode="after")
    def _can_be_played(self) -> Self:
        if self.agents % 2 and self.pairing.kind != "random":
            raise ValueError(
                f"agents: {self.agents} cannot be paired; use an even number, or pairing: {{kind: random}}, where one"
                " agent sits out each round"
            )
        survivors = self.selection.n_survivors(self.agents)
        if self.selection.kind != "none" and not 0 < survivors < self.agents:
            raise ValueError(
                f"selection.fraction: {self.selection.fraction} of {self.agents} agents leaves {survivors} survivors;"
                f" between 1 and {self.agents - 1} must survive"
            )
        return self

    @property
    def told(self) -> Rules:
        """What agents are told of all this."""
        return Rules(
            endowment=self.game.endowment,
            multiplier=self.game.multiplier,
            punishment_effect=self.game.punishment_effect,
            trace_depth=self.observation.depth,
            survival_fraction=self.selection.fraction,
            selection=self.selection.kind,
            observation=self.observation.kind,
            threshold=getattr(self.observation, "threshold", None),
            error=self.game.error,
            sits_out=self.agents % 2 == 1,
            **self._told_of_perception,
        )

    @property
    def _told_of_perception(self) -> dict[str, Any]:
        rule = self.observation
        if rule.kind == "trace" and not rule.depth:
            return {}  # nothing is shown that could be wrong
        return {name: getattr(rule, name) for name in ("noise", "delay", "known", "audience") if hasattr(rule, name)}

    def n_encounters(self, seed: int) -> int:
        """Return how many encounters one run has."""
        n_rounds = sum(self.game.n_rounds(seed, generation=number) for number in range(1, self.generations + 1))
        return n_rounds * self.game.games * (self.agents // 2)

    def n_requests(self, seed: int) -> int:
        """Return how many questions one run asks when every answer is readable at once."""
        newborns = 0 if self.transmission.copies else self.agents - self.selection.n_survivors(self.agents)
        return self.agents + (self.generations - 1) * newborns + self.n_encounters(seed)


class Step(NamedTuple):
    """What follows from one answer."""

    events: list[Event]
    """Facts, in the order in which they became true."""
    requests: list[Request]
    """Questions that are open from now on."""


class Society:
    """One society's history, from its first question to its last fact."""

    def __init__(self, rules: SocietyRules, *, model: str, seed: int) -> None:
        self.is_finished = False
        self.generation = 1
        """The generation now living."""
        self._rules = rules
        self._model = model
        self._seed = seed
        self._agents: list[Agent] = []
        self._newborns: dict[str, Agent] = {}
        self._expected: list[str] = []
        self._survivors: tuple[Agent, ...] = ()
        self._scores: dict[str, float] = {}
        self._plays: list[DonorPlay] = []

    def start(self) -> list[Request]:
        """Return the first generation's requests for a strategy."""
        return self._ask_strategies(self._rules.agents)

    def answer(self, request: Request, answer: Answer) -> Step:
        """Take the answer to an open request; return what follows."""
        if isinstance(request.spec, TextSpec):
            return self._form_strategy(request, answer)
        play = next(play for play in self._plays if request.key.split("/")[1] == f"game{play.number}")
        event, opened = play.answer(request.key, answer)
        events: list[Event] = [event]
        if play.is_finished:
            events.append(GameEnded(generation=self.generation, game=play.number, resources=dict(play.resources)))
            if all(other.is_finished for other in self._plays):
                ended, opened = self._end_generation()
                events.extend(ended)
        return Step(events, opened)

    def _ask_strategies(self, n_newborns: int) -> list[Request]:
        rules, generation = self._rules, self.generation
        self._expected = [f"{generation}_{index}" for index in range(1, n_newborns + 1)]
        self._newborns = {}
        requests = []
        for agent in self._expected:
            rng = stream(self._seed, "transmission", agent)
            view = StrategyView(
                name=agent,
                generation=generation,
                rules=rules.told,
                advice=rules.transmission.advice(self._survivors, self._scores, rng) if self._survivors else (),
            )
            key = f"g{generation}/strategy/{agent}"
            requests.append(Request(key, agent, view, TextSpec(rules.transmission.max_chars)))
        return requests

    def _form_strategy(self, request: Request, answer: Answer) -> Step:
        event = self._formed(request, answer)
        is_last = len(self._newborns) == len(self._expected)
        return Step([event], self._begin() if is_last else [])

    def _formed(self, request: Request, answer: Answer) -> StrategyFormed:
        """Return the fact that an agent has its strategy, and let it live."""
        agent = Agent(
            id=request.agent,
            born=self.generation,
            model=self._model,
            strategy=answer.text,
            parents=self._parents(request.view),
        )
        self._newborns[agent.id] = agent
        return StrategyFormed(
            key=request.key,
            generation=self.generation,
            agent=agent,
            is_cut=answer.is_cut,
            problem=answer.problem,
            attempts=answer.attempts,
        )

    def _begin(self) -> list[Request]:
        """Let the generation's games begin: every agent has its strategy."""
        self._agents = [*self._survivors, *(self._newborns[name] for name in self._expected)]
        return self._start_games()

    def _start_games(self) -> list[Request]:
        rules = self._rules
        # Sorted by name, so that the schedule hangs on the seed and who lives, not on who scored best.
        names = sorted(agent.id for agent in self._agents)
        self._plays = []
        n_rounds = rules.game.n_rounds(self._seed, generation=self.generation)
        for number in range(1, rules.game.games + 1):
            rng = stream(self._seed, "pairing", self.generation, (number + 1) // 2)
            schedule = rules.pairing.schedule(names, n_rounds, rng)
            self._plays.append(
                DonorPlay(
                    rules.game,
                    swapped(schedule) if number % 2 == 0 else schedule,
                    agents=self._agents,
                    observation=rules.observation,
                    rules=rules.told,
                    generation=self.generation,
                    number=number,
                    chance=self._chance_of(number),
                )
            )
        return [request for play in self._plays for request in play.start()]

    def _chance_of(self, game: int) -> Chance:
        """Return the random numbers of one game of the living generation, by purpose and place in the game."""
        place = (self._seed, self.generation, game)
        return lambda what, *within: uniform(what, *place, *within)

    def _parents(self, view: View) -> tuple[str, ...]:
        """Return the survivors that an agent was shown, best first."""
        shown = {item.agent for item in view.advice} if isinstance(view, StrategyView) else set()
        return tuple(agent.id for agent in self._survivors if agent.id in shown)

    def _end_generation(self) -> tuple[list[Event], list[Request]]:
        rules = self._rules
        finals = [play.resources for play in self._plays]
        scores = rules.selection.scores(finals)
        is_last = self.generation == rules.generations
        rng = stream(self._seed, "selection", self.generation)
        survivors = () if is_last else rules.selection.survivors(scores, rng)
        ended = GenerationEnded(
            generation=self.generation,
            mean_final_resources=sum(sum(final.values()) for final in finals) / len(finals) / rules.agents,
            scores=scores,
            survivors=survivors,
        )
        if is_last:
            self.is_finished = True
            return [ended], []
        by_name = {agent.id: agent for agent in self._agents}
        self._survivors = tuple(by_name[name] for name in survivors)
        self._scores = scores
        self.generation += 1
        requests = self._ask_strategies(rules.agents - len(survivors))
        formed: list[Event] = []
        if rules.transmission.copies:
            by_id = {agent.id: agent for agent in self._survivors}
            for request in requests:
                [parent] = self._parents(request.view)
                formed.append(self._formed(request, Answer(text=by_id[parent].strategy, attempts=0)))
            requests = []
        if len(self._newborns) == len(self._expected):  # there are none, or they have copied
            requests = self._begin()
        return [ended, *formed], requests
