"""The course of a probe: which questions are open, and what follows from the answers. It asks no model itself.

Questions about situations are independent of each other. A child is first asked for its strategy, and then what all
others are asked. A strategy is scored by one generation of the ordinary `Society`, in which one agent follows the
strategy, word for word, and all others are scripted policies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import fsum

from pydantic import TypeAdapter, ValidationError

from agentsim.core.answers import ActSpec, Answer, MoveSpec, TextSpec
from agentsim.core.facts import (
    Agent,
    Encounter,
    Event,
    GenerationEnded,
    Probed,
    Scored,
    ShownStrategy,
    StrategyFormed,
    born_and_index,
)
from agentsim.core.games import DonorGame
from agentsim.core.keys import ChildKey, DecisionKey, NoteKey, ScoreKey, StrategyKey, parse
from agentsim.core.policies import ScriptedPlayer
from agentsim.core.probe_design import Design, Subject, situation_name
from agentsim.core.probe_design import request as question_of
from agentsim.core.requests import DecisionView, Request, StrategyView
from agentsim.core.rng import stream, uniform
from agentsim.core.society import Society, Step
from agentsim.errors import ScenarioError
from agentsim.play.questions import Question, first_prompt, read_answer
from agentsim.prompts.sets import READER, PromptSet
from agentsim.providers.base import Completion
from agentsim.scenario.conditions import Condition
from agentsim.scenario.players import ModelPlayer, only_player

__all__ = ["FOCAL", "ProbeCourse", "policies"]

FOCAL = "1_1"
"""The agent of a scoring society that follows the strategy. Whom it meets depends on the seed."""


def policies(names: Iterable[str]) -> tuple[ScriptedPlayer, ...]:
    """Return policies with their default settings; names are such as `discriminator`.

    Raises:
        ScenarioError: there is no such policy.
    """
    known: TypeAdapter[ScriptedPlayer] = TypeAdapter(ScriptedPlayer)
    players = []
    for name in names:
        try:
            players.append(known.validate_python({"model": f"scripted/{name.removeprefix('scripted/')}"}))
        except ValidationError:
            raise ScenarioError(
                f"background: no policy is called {name!r}; write names as all-give,all-keep,discriminator"
            ) from None
    return tuple(players)


@dataclass
class _Game:
    """One of the societies in which a strategy is scored."""

    subject: Subject
    number: int
    """The society's number among those of its strategy, from 0."""
    society: Society
    fractions: list[float] = field(default_factory=list)
    """What the strategy gave, in the order of the answers; summed exactly, so that the order does not matter."""
    n_decisions: int = 0
    n_missed: int = 0

    @property
    def key(self) -> ScoreKey:
        """The society's key."""
        return ScoreKey(self.subject.name, self.number)


class ProbeCourse:
    """A probe with its player: completions go in, facts and further questions come out."""

    def __init__(self, design: Design, condition: Condition, *, seed: int, prompts: PromptSet) -> None:
        self.open: dict[str, Question] = {}
        """The questions that wait for a completion, by key."""
        self.reader = READER
        """The version of the reader that replies are read by."""
        self._design = design
        self._condition = condition
        self._player = only_player(condition.players)
        self._label = condition.joint_label
        self._seed = seed
        self._prompts = prompts
        self._background = policies(design.background)
        # Strategies are frozen: one generation, and nobody is selected after it.
        self._rules = condition.model_copy(update={"generations": 1})
        self._is_started = False
        self._games: dict[ScoreKey, _Game] = {}
        self._asked: dict[str, tuple[Subject, str, int]] = {}
        """What each open question about a situation is about: strategy, situation, repetition."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to ask."""
        return self._is_started and not self.open

    @property
    def n_requests(self) -> int:
        """The number of questions, if every answer is readable at once and every child states a strategy."""
        design, game = self._design, self._condition.game
        played = design.societies * game.games * game.rounds if design.background else 0
        n_per_strategy = design.n * len(design.situations) + -(-played // 2)
        born = design.children * len(design.families) + design.founders
        return born + (len(design.subjects) + born) * n_per_strategy

    def n_after(self, question: Question) -> int:
        """Return the length of the longest chain of questions that must still follow this one."""
        rounds = self._condition.game.rounds if self._design.background else 1
        view = question.request.view
        if isinstance(view, StrategyView):
            return rounds
        return rounds - view.round if isinstance(parse(question.request.key), ScoreKey) else 0

    def start(self) -> Step[Question]:
        """Return what can be asked first, and the facts that scripted policies cause before that."""
        self._is_started = True
        step: Step[Question] = Step([], [])
        for subject in self._design.subjects:
            self._meet(subject, step)
        for birth in self._births():
            self._ask(birth, step, persona=self._condition.personas[0])
        return step

    def receive(self, key: str, completion: Completion) -> Step[Question]:
        """Read the completion of the open question `key`; return what follows.

        Raises:
            AnswerError: it was the last attempt and the scenario says `then: stop`.
        """
        question = self.open.pop(key)
        assert isinstance(self._player, ModelPlayer)  # only models are asked
        answer = read_answer(
            question,
            completion,
            player=self._player,
            on_invalid=self._condition.on_invalid,
            prompts=self._prompts,
            seed=self._seed,
            reader=self.reader,
        )
        if isinstance(answer, Question):
            self.open[key] = answer
            return Step([], [answer])
        return self.answer(question.request, answer)

    def answer(self, request: Request, answer: Answer) -> Step[Question]:
        """Take the answer to a question; return what follows."""
        step: Step[Question] = Step([], [])
        match parse(request.key):
            case ScoreKey(subject, number, question):
                asked = request._replace(key=str(question))
                self._advance(self._games[ScoreKey(subject, number)], [(asked, answer)], step)
            case ChildKey() as child:
                self._born(request, answer, step, child=child)
            case _:
                step.events.append(self._probed(request, answer))
        return step

    def _meet(self, subject: Subject, step: Step[Question]) -> None:
        """Ask everything that the design asks of a strategy."""
        for situation in self._design.situations:
            for repetition in range(1, self._design.n + 1):
                asked = question_of(subject, situation, repetition, rules=self._condition)
                self._asked[asked.key] = subject, situation_name(situation), repetition
                self._ask(asked, step, persona=subject.persona)
        for number in range(self._design.societies if self._background else 0):
            society = Society(self._rules, labels=self._label, seed=self._seed + number)
            game = _Game(subject, number, society)
            self._games[game.key] = game
            self._advance(game, [(request, None) for request in society.start().asked], step)

    def _ask(self, request: Request, step: Step[Question], *, persona: str | None) -> None:
        """Ask the model; a scripted policy answers at once."""
        if isinstance(self._player, ModelPlayer):
            prompt = first_prompt(request, self._player, self._prompts, seed=self._seed, persona=persona)
            question = Question(request, 1, prompt, self._label)
            self.open[request.key] = question
            step.asked.append(question)
            return
        _, situation, repetition = self._asked[request.key]
        index = [situation_name(design_situation) for design_situation in self._design.situations].index(situation)
        view = request.view
        assert isinstance(view, DecisionView)
        fraction = self._player.decide(view, lambda: uniform("probe", self._seed, index, repetition))
        given = view.rules.game.answer(_decided(request), fraction, stage=view.stage)._replace(attempts=0)
        step.events.append(self._probed(request, given))

    def _probed(self, request: Request, answer: Answer) -> Probed:
        subject, situation, repetition = self._asked.pop(request.key)
        view = request.view
        assert isinstance(view, DecisionView)
        # The fallback for an unreadable answer is a move in a game, but no data in a probe.
        act, fraction = _act(request, answer) if answer.is_valid else (None, None)
        return Probed(
            key=request.key,
            generation=view.generation,
            subject=subject.name,
            situation=situation,
            repetition=repetition,
            act=act,
            fraction=fraction,
            reading=answer.reading,
            problem=answer.problem,
            attempts=answer.attempts,
        )

    def _births(self) -> list[Request]:
        """Return the questions for the strategies of children, as a society would ask its newborns."""
        design = self._design
        requests: list[Request] = []
        for parents in design.families:
            scores = {parent.name: parent.score for parent in parents if parent.score is not None}
            transmission = self._condition.transmission
            if len(scores) < len(parents):
                transmission = transmission.model_copy(update={"scores": False})
                scores = dict.fromkeys((parent.name for parent in parents), 0.0)  # all are equally likely to be shown
            agents = [_agent(parent, model=self._label) for parent in parents]
            generation = 1 + max(parent.generation for parent in parents)
            for _ in range(design.children):
                number = len(requests) + 1
                name = f"{generation}_{number}"
                advice = transmission.advice(agents, scores, stream(self._seed, "transmission", name))
                requests.append(self._birth(number, name, generation, advice))
        n_children = len(requests)
        founders = [self._birth(n_children + index, f"1_{index}", 1, ()) for index in range(1, design.founders + 1)]
        return [*requests, *founders]

    def _birth(self, number: int, name: str, generation: int, advice: tuple[ShownStrategy, ...]) -> Request:
        view = StrategyView(name=name, generation=generation, rules=self._condition.told, advice=advice)
        spec = TextSpec(self._condition.transmission.max_chars)
        return Request(str(ChildKey(number)), name, view, spec)

    def _born(self, request: Request, answer: Answer, step: Step[Question], *, child: ChildKey) -> None:
        """Ask a child what its parents are asked, unless it stated no strategy."""
        view = request.view
        assert isinstance(view, StrategyView)
        born = Agent(
            id=request.agent,
            born=view.generation,
            label=self._label,
            strategy=answer.text,
            parents=tuple(item.agent for item in view.advice),
            persona=self._condition.personas[0],
        )
        step.events.append(
            StrategyFormed(
                key=request.key,
                generation=view.generation,
                agent=born,
                is_cut=answer.is_cut,
                problem=answer.problem,
                attempts=answer.attempts,
            )
        )
        if answer.text is not None:
            self._meet(
                Subject(
                    name=child.subject,
                    strategy=answer.text,
                    generation=view.generation,
                    role="founder" if self._design.family_of(child.number) is None else "child",
                    persona=born.persona,
                ),
                step,
            )

    def _advance(self, game: _Game, waiting: Sequence[tuple[Request, Answer | None]], step: Step[Question]) -> None:
        """Let a scoring society go on until only the agent that follows the strategy has open questions."""
        queue = deque(waiting)
        while queue:
            request, answer = queue.popleft()
            if answer is None:
                answer = self._unasked(game, request)
            if answer is None:
                self._ask(request._replace(key=_within(game, request.key)), step, persona=game.subject.persona)
                continue
            played = game.society.answer(request, answer)
            for event in played.events:
                self._follow(game, event, step)
            queue.extend((next_request, None) for next_request in played.asked)

    def _unasked(self, game: _Game, request: Request) -> Answer | None:
        """Return what is known without asking: strategies, which are fixed, and what policies decide."""
        index = born_and_index(request.agent)[1] - 1
        policy = self._background[(index - 1) % len(self._background)]
        view = request.view
        if isinstance(view, StrategyView):
            return Answer(text=game.subject.strategy if request.agent == FOCAL else policy.model, attempts=0)
        if request.agent == FOCAL:
            if isinstance(self._player, ModelPlayer):
                return None
            policy = self._player
        assert isinstance(view, DecisionView)  # a probe is under no rule that asks for notes
        key = parse(request.key)
        assert isinstance(key, DecisionKey)
        place = (self._seed + game.number, 1, key.game, key.round, *born_and_index(request.agent))
        fraction = policy.decide(view, lambda: uniform("policy", *place))
        return view.rules.game.answer(_decided(request), fraction, stage=view.stage)._replace(attempts=0)

    def _follow(self, game: _Game, event: Event, step: Step[Question]) -> None:
        """Keep the strategy's decisions, and state its score at the end."""
        if isinstance(event, Encounter) and event.donor == FOCAL:
            step.events.append(event.model_copy(update={"key": _within(game, event.key)}))
            game.n_decisions += 1
            game.n_missed += event.problem is not None
            fraction = getattr(event, "fraction", None)
            if event.problem is None and fraction is not None:
                game.fractions.append(fraction if event.type == "donated" else 0.0)
        elif isinstance(event, GenerationEnded):
            scored = Scored(
                key=str(game.key),
                generation=game.subject.generation,
                subject=game.subject.name,
                society=game.number,
                score=event.scores[FOCAL],
                mean_fraction=fsum(game.fractions) / len(game.fractions) if game.fractions else None,
                n_decisions=game.n_decisions,
                n_missed=game.n_missed,
            )
            step.events.append(scored)


def _within(game: _Game, key: str) -> str:
    """Return the key of a question of a scoring society as it is logged."""
    question = parse(key)
    assert isinstance(question, StrategyKey | DecisionKey | NoteKey)
    return str(replace(game.key, question=question))


def _act(request: Request, answer: Answer) -> tuple[str | None, float | None]:
    """Return what a readable answer says: the act, and the share given or spent, in other games the level."""
    view, game = request.view, request.view.rules.game
    assert isinstance(view, DecisionView)
    if not isinstance(game, DonorGame):
        assert answer.move is not None
        assert isinstance(request.spec, MoveSpec)
        return answer.move.option, game.level(answer.move, request.spec, stage=view.stage)
    if answer.amount is None or view.resources <= 0:
        return answer.act, None
    if answer.act == "punish":
        return answer.act, answer.amount / view.resources
    return answer.act, game.gift.fraction(answer.amount, view.resources)


def _agent(subject: Subject, *, model: str) -> Agent:
    return Agent(id=subject.name, born=subject.generation, label=model, strategy=subject.strategy)


def _decided(request: Request) -> ActSpec | MoveSpec:
    assert not isinstance(request.spec, TextSpec)
    return request.spec
