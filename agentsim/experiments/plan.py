"""A study's calls, tokens, time and cost, estimated before the first call as ranges in which they most likely lie.

Without a pilot, the prompts of one scripted society of each condition are rendered and counted. A token is assumed to
be 3 to 5 bytes, an answer to lie between a short sentence and `max_tokens`, and up to a quarter of the questions to be
asked again. With a pilot of the same model, the tokens of its replies are scaled by the length of the prompts, for each
kind of question. In some games it depends on the moves how much is asked: a trustee that was sent nothing is not. So
societies of several levels are played, and the most and the fewest questions counted.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from agentsim.analysis.frames.columns import KEY
from agentsim.core.answers import Answer, TextSpec
from agentsim.core.games import DonorGame
from agentsim.core.keys import ChildKey, NoteKey, ScoreKey, StageKey, StrategyKey, TalkKey, parse
from agentsim.core.requests import DecisionView, MessageView, Request, StrategyView
from agentsim.core.society import Society
from agentsim.orchestrator.critical_path import CriticalPath
from agentsim.play.questions import first_prompt
from agentsim.play.rehearsal import prompt_set
from agentsim.providers.base import n_bytes
from agentsim.providers.catalogue import Catalogue
from agentsim.providers.prices import MILLION, Price
from agentsim.providers.settings import ProviderSettings
from agentsim.scenario.conditions import Condition, Scenario
from agentsim.scenario.names import by_stem, condition_of
from agentsim.scenario.players import ModelPlayer
from agentsim.scenario.runs import runs
from agentsim.scenario.user_settings import with_own

if TYPE_CHECKING:
    from agentsim.analysis.frames.study import Study

__all__ = ["ConditionPlan", "Questions", "Range", "kind_of", "plan", "plan_of", "stand_in"]

BYTES_A_TOKEN: Final = (3.0, 5.0)
"""The range of bytes in a token of English, with the tokenizers in use; fewer bytes mean more tokens."""
ASKED_AGAIN: Final = 0.25
"""The largest share of questions that are asked once more, if no pilot says how many are."""
SHORT_STRATEGY: Final = 60
"""Tokens of a short answer to the question for a strategy."""
SHORT_ANSWER: Final = 15
"""Tokens of a short answer to any other question."""
LEVELS: Final = (0.5, 0.0, 1.0)
"""The levels of the societies whose questions are counted, where their number depends on the moves."""
LONG_ANSWER: Final = 512
"""Tokens of a long answer if no `max_tokens` bounds it."""
LATENCY_S: Final = (0.8, 4.0)
"""The mean seconds of a call, if no pilot says."""
STRATEGY_WORDS: Final = 60
"""Words of the placeholder strategies with which prompts are counted."""
NOTE: Final = "Gave me half of what it had, as one may expect of somebody who reciprocates; a fair partner."
"""The placeholder note with which prompts are counted."""
MESSAGE: Final = "I suggest that all of us do what is best for everyone in this round; if you do so, I shall too."
"""The placeholder for what agents say to each other before deciding."""
SLOWER_CHAIN: Final = 1.35
"""How much slower than others the longest chain's calls are, at most: it waits for the slowest call of each round."""


class Range(NamedTuple):
    """The range in which a number most likely lies."""

    low: float
    high: float

    def times(self, other: Range | float) -> Range:
        """Return the product with another range or with a number; both positive."""
        low, high = other if isinstance(other, Range) else (other, other)
        return Range(self.low * low, self.high * high)

    def plus(self, other: Range) -> Range:
        """Return the sum."""
        return Range(self.low + other.low, self.high + other.high)

    def beside(self, other: Range) -> Range:
        """Return the larger of both ends: the duration of two things that happen at the same time."""
        return Range(max(self.low, other.low), max(self.high, other.high))


NOTHING: Final = Range(0, 0)
AROUND: Final = Range(0.85, 1.15)
"""How closely a pilot's means hold for another study, at best."""


@dataclass(frozen=True)
class ConditionPlan:
    """What all runs of one condition will take together."""

    name: str
    model: str
    n_runs: int
    n_questions: int
    """The number of questions if every first answer is readable; in some games fewer, if the moves leave nothing to
    ask."""
    n_least: int = 0
    """The fewest questions if every first answer is readable."""
    calls: Range = NOTHING
    input_tokens: Range = NOTHING
    output_tokens: Range = NOTHING
    """Includes hidden reasoning, as far as a pilot has seen it."""
    usd: Range | None = NOTHING
    """`None` if the price is not known; 0 for a scripted player."""
    wall_s: Range = NOTHING
    """Seconds under the account's limits, if no other condition were played: all runs at the same time."""
    is_piloted: bool = False


class Questions(NamedTuple):
    """The questions of one kind that one run asks."""

    n: int
    """The most, where it depends on the moves."""
    mean_bytes: float
    """The mean length of their prompts."""
    n_least: int | None = None
    """The fewest; `None`: the number depends on nothing."""

    @property
    def span(self) -> Range:
        """The fewest and the most."""
        return Range(self.n if self.n_least is None else self.n_least, self.n)


class _Counted(NamedTuple):
    """What one run of a condition asks."""

    questions: dict[str, dict[str, Questions]]
    """By player and kind."""
    least: float
    """The fewest questions of one run, as a share of the most."""
    shortest: float
    """The shortest chain of calls that have to wait for each other, as a share of the longest."""


class _Asked(NamedTuple):
    """A question of a society, and who is asked."""

    label: str
    persona: str | None
    request: Request


class _Took(NamedTuple):
    """What a pilot's questions of one kind took on average."""

    askings: float
    tokens_a_byte: float
    output: float
    """Tokens of a reply."""


class _Pilot(NamedTuple):
    """What a pilot's replies of one model took, by kind of question; empty if it has none."""

    took: dict[str, _Took]
    latency_s: Range


NO_PILOT: Final = _Pilot({}, Range(*LATENCY_S))


def plan(scenario: Scenario, *, pilot: Study | None = None) -> list[ConditionPlan]:
    """Return what each condition of the scenario will take.

    Args:
        scenario: the scenario to be played.
        pilot: a study with runs of the same models; it need not be finished.

    Raises:
        ScenarioError: an account or a prompt set is wrong.
    """
    catalogue = Catalogue(with_own(scenario.providers), environ=os.environ)
    conditions = {condition_of(spec.name): spec.condition for spec in runs(scenario)}
    models = {player.model for condition in conditions.values() for player in condition.model_players.values()}
    pilots = {model: NO_PILOT if pilot is None else _pilot(pilot, model) for model in models}
    return [
        _condition(name, condition, scenario.seeds, catalogue=catalogue, pilots=pilots)
        for name, condition in conditions.items()
    ]


def _condition(
    name: str, condition: Condition, seeds: Sequence[int], *, catalogue: Catalogue, pilots: Mapping[str, _Pilot]
) -> ConditionPlan:
    n_runs, n_questions = len(seeds), sum(condition.n_requests(seed) for seed in seeds)
    counted = _counted(condition) if condition.model_players else _Counted({}, 1, 1)
    n_least = round(n_questions * counted.least)
    estimate = ConditionPlan(name, condition.joint_label, n_runs, n_questions, n_least)
    # Prompts are counted in the run of seed 0; runs of other seeds may have more rounds or fewer.
    length = sum(condition.n_encounters(seed) for seed in seeds) / condition.n_encounters(0)
    longest = max(sum(condition.chains(seed)) for seed in seeds)
    depth, through = Range(longest * counted.shortest, longest), dict[str, Range]()
    for label, player in condition.model_players.items():
        pilot = pilots[player.model]
        load = _load(player, counted.questions.get(label, {}), n_runs=n_runs, length=length, pilot=pilot)
        estimate = _loaded(estimate, player, load, depth=depth, catalogue=catalogue, pilot=pilot)
        limits = _through(catalogue.settings(player.model), load, pilot.latency_s)
        through[player.account] = through.get(player.account, NOTHING).plus(limits)
    for seconds in through.values():
        estimate = replace(estimate, wall_s=estimate.wall_s.beside(seconds))
    return estimate


def plan_of(
    name: str, player: ModelPlayer, *, questions: Mapping[str, Questions], depth: int, catalogue: Catalogue
) -> ConditionPlan:
    """Return what these questions to one player will take; the longest chain of them has `depth` questions."""
    fewest, most = (round(sum(of_kind.span[end] for of_kind in questions.values())) for end in (0, 1))
    plain = ConditionPlan(name, player.model, 1, most, fewest)
    load = _load(player, questions, n_runs=1, length=1, pilot=NO_PILOT)
    estimate = _loaded(plain, player, load, depth=Range(depth, depth), catalogue=catalogue, pilot=NO_PILOT)
    limits = _through(catalogue.settings(player.model), load, NO_PILOT.latency_s)
    return replace(estimate, wall_s=estimate.wall_s.beside(limits))


class _Load(NamedTuple):
    """What one player's questions take in all runs of a condition."""

    calls: Range
    tokens_in: Range
    tokens_out: Range


def _loaded(
    estimate: ConditionPlan, player: ModelPlayer, load: _Load, *, depth: Range, catalogue: Catalogue, pilot: _Pilot
) -> ConditionPlan:
    """Add to a plan what a player takes, without the time that its account's limits need."""
    price = catalogue.price(player.model)
    usd = None if price is None else _usd(price, load.tokens_in, load.tokens_out)
    return replace(
        estimate,
        calls=estimate.calls.plus(load.calls),
        input_tokens=estimate.input_tokens.plus(load.tokens_in),
        output_tokens=estimate.output_tokens.plus(load.tokens_out),
        usd=None if usd is None or estimate.usd is None else estimate.usd.plus(usd),
        wall_s=estimate.wall_s.beside(_chain(depth, pilot.latency_s)),
        is_piloted=estimate.is_piloted or bool(pilot.took),
    )


def _load(
    player: ModelPlayer, questions: Mapping[str, Questions], *, n_runs: int, length: float, pilot: _Pilot
) -> _Load:
    """Return a player's load; `length` is the encounters of all runs over those of the run of seed 0."""
    calls = tokens_in = tokens_out = NOTHING
    longest = LONG_ANSWER if player.max_tokens is None else player.max_tokens
    for kind, of_kind in questions.items():
        if took := pilot.took.get(kind):
            askings = AROUND.times(took.askings).beside(Range(1, 1))
            mean_in = AROUND.times(took.tokens_a_byte * of_kind.mean_bytes)
            mean_out = AROUND.times(took.output)
        else:
            askings = Range(1, 1 + ASKED_AGAIN)
            mean_in = Range(of_kind.mean_bytes / BYTES_A_TOKEN[1], of_kind.mean_bytes / BYTES_A_TOKEN[0])
            mean_out = Range(min(SHORT_STRATEGY if kind == "strategy" else SHORT_ANSWER, longest), longest)
        asked = askings.times(of_kind.span).times(n_runs if kind == "strategy" else length)
        calls = calls.plus(asked)
        tokens_in = tokens_in.plus(mean_in.times(asked))
        tokens_out = tokens_out.plus(mean_out.times(asked))
    return _Load(calls, tokens_in, tokens_out)


def _usd(price: Price, tokens_in: Range, tokens_out: Range) -> Range:
    cheapest = price.input if price.cached is None else min(price.cached, price.input)
    low = cheapest * tokens_in.low + price.output * tokens_out.low
    high = price.input * tokens_in.high + price.output * tokens_out.high
    return Range(low / MILLION, high / MILLION)


def _chain(depth: Range, latency_s: Range) -> Range:
    """Return the seconds of a chain of `depth` calls, which are slower than others."""
    return latency_s.times(Range(depth.low, depth.high * SLOWER_CHAIN))


def _through(settings: ProviderSettings, load: _Load, latency_s: Range) -> Range:
    """Return the seconds that the account's limits need to let all calls through, without retries."""
    calls, tokens = load.calls, load.tokens_in.plus(load.tokens_out)
    seconds = calls.times(latency_s).times(1 / (settings.concurrency * settings.n_limited))
    for limit, amount in ((settings.requests_per_minute, calls), (settings.tokens_per_minute, tokens)):
        if limit is not None:
            seconds = seconds.beside(amount.times(60 / (limit * settings.n_limited)))
    return seconds


def kind_of(key: str) -> str:
    """Return what kind of question a key names: `strategy`, `decision`, `message`, `note`, or a later stage."""
    match parse(key):
        case ScoreKey(question=None) | ChildKey() | StrategyKey():
            return "strategy"
        case ScoreKey(question=question):
            return kind_of(str(question))
        case NoteKey():
            return "note"
        case TalkKey():
            return "message"
        case StageKey(stage=stage):
            return f"decision/{stage}"
    return "decision"


def _counted(condition: Condition) -> _Counted:
    """Count the prompts of each player's agents, by kind, and what follows on what, in one society."""
    prompts, players = prompt_set(condition), condition.model_players
    societies = [
        _asked(condition, level)
        for level in (LEVELS[:1] if isinstance(condition.game, DonorGame) and not condition.game.before else LEVELS)
    ]
    counts = [_by_kind(asked, players) for asked, _ in societies]
    largest = max(range(len(societies)), key=lambda place: len(societies[place][0]))
    sizes: dict[str, dict[str, list[int]]] = {}
    for label, persona, request in societies[largest][0]:
        if label in players:
            prompt = first_prompt(request, players[label], prompts, seed=0, persona=persona)
            sizes.setdefault(label, {}).setdefault(kind_of(request.key), []).append(n_bytes(prompt.messages))
    questions = {
        label: {
            kind: Questions(
                len(lengths),
                sum(lengths) / len(lengths),
                min(count[label, kind] for count in counts),
            )
            for kind, lengths in kinds.items()
        }
        for label, kinds in sizes.items()
    }
    numbers, chains = [len(asked) for asked, _ in societies], [chain for _, chain in societies]
    return _Counted(questions, min(numbers) / max(numbers), min(chains) / max(chains))


def _by_kind(asked: Sequence[_Asked], players: Mapping[str, ModelPlayer]) -> Counter[tuple[str, str]]:
    return Counter((label, kind_of(request.key)) for label, _, request in asked if label in players)


def _asked(condition: Condition, level: float) -> tuple[list[_Asked], float]:
    """Return the questions of a society in which all act at a level, with who is asked, and the longest chain of them.

    The society is that of seed 0.
    """
    society = Society(
        condition,
        labels=condition.labels,
        seed=0,
        strategies=condition.given_strategies,
        personas=condition.personas,
    )
    asked: list[_Asked] = []
    path = CriticalPath()
    events, waiting = society.start()
    queue = deque(waiting)
    while True:
        for event in events:
            path.follow(event)
        if not queue:
            return asked, path.longest
        request = queue.popleft()
        asked.append(_Asked(society.label_of(request.agent), society.persona_of(request.agent), request))
        path.spent[request.key] = 1.0
        events, waiting = society.answer(request, stand_in(request, level=level))
        queue.extend(waiting)


def stand_in(request: Request, *, level: float = 0.5) -> Answer:
    """Return the placeholder answer with which prompts are counted: text of usual length, or an act at a level."""
    if isinstance(request.view, DecisionView):
        assert not isinstance(request.spec, TextSpec)
        return request.view.rules.game.answer(request.spec, level, stage=request.view.stage)
    if isinstance(request.view, StrategyView):
        return Answer(text=" ".join(["reciprocate"] * STRATEGY_WORDS))
    text, spec = MESSAGE if isinstance(request.view, MessageView) else NOTE, request.spec
    return Answer(text=text[: spec.max_chars] if isinstance(spec, TextSpec) else text)


def _pilot(pilot: Study, model: str) -> _Pilot:
    """Return what the pilot's replies of a model took; its prompts are counted in the same way as the plan's."""
    of_model = pilot.runs.loc[pilot.runs["model"].isin((model, by_stem(model))), KEY]
    replies = pilot.replies.merge(of_model, on=KEY)
    started = [pilot.started[key] for key in of_model.itertuples(index=False, name=None) if key in pilot.started]
    if replies.empty or not started:
        return NO_PILOT
    condition = Condition.model_validate(started[0].condition)
    questions = _counted(condition).questions[model]
    took = {}
    for kind, of_kind in replies.groupby([kind_of(str(key)) for key in replies["key"]]):
        if str(kind) in questions and of_kind["input_tokens"].notna().any() and of_kind["output_tokens"].notna().any():
            took[str(kind)] = _Took(
                askings=len(of_kind) / len(of_kind[[*KEY, "key"]].drop_duplicates()),
                tokens_a_byte=float(of_kind["input_tokens"].mean()) / questions[str(kind)].mean_bytes,
                output=float(of_kind["output_tokens"].mean()),
            )
    return _Pilot(took, AROUND.times(float(replies["latency_s"].mean())))
