"""What every rule, policy and provider must do, whichever it is: for the tests of those who write one.

    import pytest
    from agentsim.testing import conformance

    @pytest.mark.parametrize("check", conformance.checks(Neighbours()), ids=str)
    def test_it_does_what_every_pairing_does(check):
        check()

What ships is held to the same checks. Each raises an `AssertionError` that says what is wrong.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal, TypeVar

from agentsim.core.answers import ActSpec, Answer, Move, MoveSpec, TextSpec
from agentsim.core.facts import Agent, Encounter, Event, Frozen, Observed, Settled, TraceItem
from agentsim.core.games import Encounter as Encountered
from agentsim.core.games import Game, Outcome, Stage
from agentsim.core.observation import Observation, as_score, as_standing
from agentsim.core.pairing import Pairing
from agentsim.core.policies import Policy, Traits
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rng import stream
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import Selection
from agentsim.core.society import Society
from agentsim.core.transmission import Transmission
from agentsim.errors import ScenarioError
from agentsim.prompts.sentences import settings_of
from agentsim.prompts.sets import load_prompt_set
from agentsim.providers.base import Completion, Message, Prompt, Sampling
from agentsim.providers.dialects.dialect import Dialect, Opening
from agentsim.scenario.plugins import load_installed

__all__ = ["Check", "checks", "measured_traits"]

T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """One requirement, ready to be checked."""

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Check it.

        Raises:
            AssertionError: it does not hold.
        """
        self.run()

    def __str__(self) -> str:
        return self.name


def checks(thing: Frozen | Dialect) -> list[Check]:
    """Return all that a rule or policy, with its settings, or a provider's dialect must satisfy.

    Raises:
        TypeError: it is none of these.
    """
    load_installed()
    for base, functions in CHECKS:
        if isinstance(thing, base):
            return [Check(function.__name__.replace("_", " "), _bound(function, thing)) for function in functions]
    raise TypeError(f"{thing!r} is no rule, policy or dialect; give one with its settings, as Neighbours()")


def _bound(check: Callable[[Any], None], thing: Any) -> Callable[[], None]:
    return lambda: check(thing)


# --- any rule ------------------------------------------------------------------------------------------------------


def _part(rule: Frozen) -> str:
    bases = {
        "game": Game,
        "pairing": Pairing,
        "observation": Observation,
        "selection": Selection,
        "transmission": Transmission,
    }
    return next(part for part, base in bases.items() if isinstance(rule, base))


def _rules(rule: Frozen, **changes: Any) -> SocietyRules:
    """Return the rules of a small society under the rule."""
    n = rule.n_members if isinstance(rule, Game) else 2
    return SocietyRules.model_validate({"agents": 3 * n, "generations": 3, _part(rule): rule, **changes})


def it_is_written_and_read_as_the_same(rule: Frozen) -> None:
    """The rule survives a log: its settings are written, and read again as the same value."""
    rules = _rules(rule)
    again = SocietyRules.model_validate_json(rules.model_dump_json())
    assert again == rules, f"{rules.model_dump_json()} is read as {again!r}"


def a_society_plays_to_its_end_the_same_in_any_order(rule: Frozen) -> None:
    """Which reply comes first decides nothing, and as many questions are asked as were announced.

    Where a group shares something that may be used up, fewer may be asked.
    """
    n = rule.n_members if isinstance(rule, Game) else 2
    for agents in (2 * n, 3 * n, 5 * n):
        rules = _rules(rule, agents=agents)
        asked, events = _play(rules)
        may_end_early = isinstance(rule, Game) and rule.first_state(n) is not None  # as a commons that is used up
        announced = rules.n_requests(0)
        is_right = len(asked) <= announced if may_end_early else len(asked) == announced
        assert is_right, f"{announced} questions announced, {len(asked)} asked"
        assert sum(isinstance(event, Encounter | Settled) for event in events) == rules.n_encounters(0)
        _, others = _play(rules, order=Random(1))
        one, other = (sorted(event.model_dump_json() for event in facts) for facts in (events, others))
        assert one == other, "the facts depend on the order of the replies"


def agents_are_told_the_rule_and_each_setting(rule: Frozen) -> None:
    """There is a sentence in the default prompt set, and it speaks of each setting (in a comment, if not to agents)."""
    prompts = load_prompt_set("default")
    try:
        with_it = prompts.sentences(_rules(rule).told)
    except ScenarioError as error:
        raise AssertionError(str(error)) from error
    text = "\n".join(with_it)
    assert text and "None" not in text and "{" not in text, f"the sentences are {text!r}"
    assert all(line[0].isupper() and line.endswith(".") for line in with_it), f"no sentences: {text!r}"


def each_setting_has_a_default(rule: Frozen) -> None:
    """The rule can be chosen by its name alone."""
    for name in settings_of(type(rule)):
        assert not type(rule).model_fields[name].is_required(), f"{name} has no default"


def _play(
    rules: SocietyRules, *, share: float = 0.3, seed: int = 0, order: Random | None = None
) -> tuple[list[Request], list[Event]]:
    """Return all requests and facts of a society whose agents give a share; `order` picks who answers next."""
    society = Society(rules, labels="scripted/conformance", seed=seed)
    (events, waiting), asked = society.start(), []
    while waiting:
        request = waiting.pop(order.randrange(len(waiting)) if order else 0)
        asked.append(request)
        answer = Answer(text="I give a share.")
        if not isinstance(request.spec, TextSpec):
            assert isinstance(request.view, DecisionView)
            answer = rules.game.answer(request.spec, share, stage=request.view.stage)
        step = society.answer(request, answer)
        events.extend(step.events)
        waiting.extend(step.asked)
    return asked, events


# --- games ---------------------------------------------------------------------------------------------------------


def an_encounter_comes_to_what_was_announced(game: Game) -> None:
    """What members gain lies within `payoffs`, in as many stages and questions as were announced."""
    names = tuple(f"1_{index}" for index in range(game.n_members))
    for levels in itertools.product((0.0, 0.4, 1.0), repeat=min(game.n_members, 4)):
        level = dict(zip(names, itertools.cycle(levels), strict=False))
        encounter = Encountered(1, names, (game.endowments[0],) * len(names), game.first_state(len(names)))
        moves: dict[str, dict[str, Move | None]] = {}
        n_asked = 0
        while isinstance(step := game.after(encounter, moves), Stage):
            assert step.name in game.stages and step.name not in moves, (
                f"the stage {step.name} is none of {game.stages}"
            )
            assert game.after(encounter, moves) == step, "two looks at the same moves see two stages"
            n_asked += len(step.asked)
            moves[step.name] = {agent: _moved(game, spec, level[agent], step.name) for agent, spec in step.asked}
        assert n_asked <= game.n_questions, f"{n_asked} questions, {game.n_questions} announced"
        assert len(step.changes) == len(names), f"{len(step.changes)} changes for {len(names)} members"
        low, high = game.payoffs
        assert all(low - 1e-9 <= change <= high + 1e-9 for change in step.changes), f"{step.changes}: {low} to {high}"


def _moved(game: Game, spec: ActSpec | MoveSpec, level: float, stage: str) -> Move | None:
    """Return the move at a level; its own level must be one, and nearer to a higher level for a higher one."""
    made = game.move_of(game.answer(spec, level, stage=stage), spec, key="conformance", stage=stage)
    assert made is not None, f"the answer at level {level} of {stage} is no move"
    if isinstance(spec, MoveSpec):
        played_level = game.level(made, spec, stage=stage)
        assert played_level is None or 0 <= played_level <= 1, f"{made} has the level {played_level}"
        assert played_level is None or level not in (0.0, 1.0) or played_level == level, (
            f"level {level} is played as {played_level}"
        )
    return made


def a_move_that_could_not_be_read_moves_nothing(game: Game) -> None:
    """Where a move of the first stage is missing, the encounter counts as missing, or goes on without it."""
    names = tuple(f"1_{index}" for index in range(game.n_members))
    encounter = Encountered(1, names, (game.endowments[0],) * len(names), game.first_state(len(names)))
    step = game.after(encounter, {})
    assert isinstance(step, Stage), "nobody is asked"
    missing = game.after(encounter, {step.name: dict.fromkeys((agent for agent, _ in step.asked), None)})
    if isinstance(missing, Outcome):
        assert missing.is_missing, f"without any move that could be read, the encounter came to {missing.changes}"


# --- pairing -------------------------------------------------------------------------------------------------------


def every_round_is_a_matching(rule: Pairing) -> None:
    """Each agent is in exactly one encounter a round; where their number is odd and that is taken, one sits out.

    More may sit out where the rule says that it leaves agents out, though never all.
    """
    for n, rounds in itertools.product((2, 3, 4, 6, 7, 10, 12), (1, 2, 7)):
        if n % 2 and not rule.takes_odd:
            continue
        agents = [f"1_{index}" for index in range(n)]
        schedule = rule.schedule(agents, rounds, stream(3, "pairing", n))
        assert len(schedule) == rounds, f"{len(schedule)} rounds for {rounds}"
        for pairs in schedule:
            met = [agent for pair in pairs for agent in pair]
            fewest = 1 if rule.leaves_out else n // 2
            assert fewest <= len(pairs) <= n // 2 and len(set(met)) == len(met) and set(met) <= set(agents), (
                f"{n} agents: {pairs}"
            )


def a_schedule_depends_on_its_random_numbers_alone(rule: Pairing) -> None:
    """The same numbers give the same schedule."""
    agents = [f"1_{index}" for index in range(8)]
    one, other = (rule.schedule(agents, 9, stream(5, "pairing", 1)) for _ in range(2))
    assert one == other, "two schedules from the same random numbers differ"


# --- selection -----------------------------------------------------------------------------------------------------


def the_right_number_survives_best_first(rule: Selection) -> None:
    """As many survive as were announced, once each, and never all unless that is said."""
    for n, seed in itertools.product((4, 8, 13), range(10)):
        scores = {f"1_{index}": float(Random(seed).randrange(3)) for index in range(n)}
        kept = rule.survivors(scores, stream(seed, "selection", 1))
        assert 0 < len(kept) == len(set(kept)) == rule.n_survivors(n), f"{kept} of {n}, announced {rule.n_survivors(n)}"
        assert set(kept) <= set(scores), f"{kept} are not all among {sorted(scores)}"
        assert len(kept) < n or rule.may_keep_all, "all survive, and `may_keep_all` is false"
        assert [scores[agent] for agent in kept] == sorted((scores[agent] for agent in kept), reverse=True), kept


def survivors_depend_on_scores_and_random_numbers_alone(rule: Selection) -> None:
    """The same give the same, in whatever order the scores come; without `looks_at_scores`, scores change nobody."""
    scores = {f"{1 + index % 2}_{index}": float(index) for index in range(8)}
    kept = rule.survivors(scores, stream(2, "selection", 1))
    turned = rule.survivors(dict(reversed(scores.items())), stream(2, "selection", 1))
    assert kept == turned, "the survivors depend on the order in which the scores come"
    if not rule.looks_at_scores:
        other = rule.survivors({agent: -score for agent, score in scores.items()}, stream(2, "selection", 1))
        assert set(other) == set(kept), "the survivors depend on scores, and `looks_at_scores` is false"


# --- transmission --------------------------------------------------------------------------------------------------

_SURVIVORS: Final = [Agent(id=f"1_{index}", born=1, label="m", strategy=f"strategy {index}") for index in range(3)]
_EARNED: Final = {agent.id: float(index) for index, agent in enumerate(_SURVIVORS)}


def newborns_are_shown_those_who_survive_alone(rule: Transmission) -> None:
    """Shown are strategies of those given, each once, with scores if the rule shows them; none where none exist."""
    shown = rule.advice(_SURVIVORS, _EARNED, stream(0, "transmission", 2))
    names = [item.agent for item in shown]
    assert bool(names) == rule.has_strategies, f"{names} are shown, and `has_strategies` is {rule.has_strategies}"
    assert len(set(names)) == len(names) and set(names) <= set(_EARNED), f"{names} of {sorted(_EARNED)}"
    for item in shown:
        assert item.score == (_EARNED[item.agent] if rule.scores else None), f"{item}, and `scores` is {rule.scores}"
    assert len(names) == len(_SURVIVORS) or not rule.shows_all, "`shows_all` is true, and not all are shown"


def what_is_learned_depends_on_its_random_numbers_alone(rule: Transmission) -> None:
    """The same numbers give the same; a rule that draws a parent has one for each number."""
    one, other = (rule.advice(_SURVIVORS, _EARNED, stream(1, "transmission", 2)) for _ in range(2))
    assert one == other, "the same random numbers show other strategies"
    for number in (0.0, 0.5, 0.999) if rule.draws_parent else ():
        assert rule.parent(_SURVIVORS, _EARNED, number) in _SURVIVORS, f"{number} selects nobody"


# --- observation ---------------------------------------------------------------------------------------------------


def only_the_past_is_shown(rule: Observation) -> None:
    """A donor sees acts and notes of earlier rounds, and in the first round nothing."""
    asked, _ = _play(_rules(rule, generations=1), order=Random(2))
    views = [request.view for request in asked if isinstance(request.view, DecisionView)]
    for view in views:
        for round in (*(item.round for item in view.trace), *(note.round for note in view.notes)):
            assert round < view.round, f"round {view.round} shows round {round}"
        assert view.round > 1 or not (view.trace or view.notes), "round 1 shows a past"
    seen = any(view.trace or view.notes or view.reputation for view in views)
    assert rule.shows_anything or not seen, "something is shown, and `shows_anything` is false"
    assert rule.n_acts or not any(view.trace for view in views), "acts are shown, and `n_acts` is 0"


def later_acts_change_nothing_that_is_seen(rule: Observation) -> None:
    """What is shown before a round is the same whether or not later rounds have been played."""
    history = _history()
    for round, (observer, recipient) in itertools.product((1, 3, 5), itertools.permutations(("1_0", "1_1", "1_2"), 2)):
        past = {agent: [turn for turn in turns if turn.round < round] for agent, turns in history.items()}
        whole, known = (
            _observed(rule, turns_by_agent, recipient, round, observer) for turns_by_agent in (history, past)
        )
        assert whole == known, f"before round {round}, later acts are seen: {whole} instead of {known}"


def _observed(
    rule: Observation, history: Mapping[str, Sequence[TraceItem]], recipient: str, round: int, observer: str
) -> Observed:
    def chance(what: str, *place: int) -> float:
        return stream(0, what, *place).random()

    return rule.observe(history, recipient=recipient, round=round, observer=observer, chance=chance)


def _history() -> dict[str, list[TraceItem]]:
    agents, rng = ("1_0", "1_1", "1_2", "1_3"), Random(4)
    history: dict[str, list[TraceItem]] = {agent: [] for agent in agents}
    for round in range(1, 7):
        donor, recipient = rng.sample(agents, 2)
        history[donor].append(TraceItem(round, donor, recipient, "give", rng.choice((0.0, 0.5, 1.0))))
    return history


# --- policies ------------------------------------------------------------------------------------------------------

_SHARES: Final = (0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.8, 1.0)
_NUMBERS: Final = (0.0, 0.05, 0.2, 0.5, 0.8, 0.999)
_Act = tuple[Literal["give", "punish"] | None, float | None]
_ACTS: Final[tuple[_Act, ...]] = ((None, None), ("punish", 0.5), *(("give", share) for share in _SHARES))
_WORST: Final[tuple[_Act, ...]] = (("punish", 0.5),) * 10
_REMEMBERED: Final[tuple[_Act, ...]] = (("punish", 0.5), ("give", 0.0), ("give", 1.0))
_N_REMEMBERED: Final = 4
"""Encounters remembered: more than any policy looks back on that does not look at all."""


def it_is_named_and_read_as_the_same(policy: Policy) -> None:
    """The policy survives a scenario: its settings are written, and read again as the same value."""
    again = type(policy).model_validate_json(policy.model_dump_json())
    assert again == policy and policy.model.startswith("scripted/"), f"{policy!r} is read as {again!r}"


def it_gives_a_share_that_depends_on_its_view_and_its_number_alone(policy: Policy) -> None:
    """A decision is a number from 0 to 1, and the same where the same is known."""
    for view in _views():
        for number in _NUMBERS:
            shares = [policy.decide(view, lambda number=number: number) for _ in range(2)]  # type: ignore[misc]
            assert shares[0] == shares[1], f"{shares} in the same situation: {view}"
            assert 0 <= shares[0] <= 1, f"{shares[0]} is no share: {view}"


def one_decision_and_many_at_once_are_the_same(policy: Policy) -> None:
    """`decide_many` equals `decide` bit for bit, if the policy has it."""
    if not policy.decides_many:
        return
    import numpy as np

    from agentsim.testing.views import KINDS, as_arrays, random_view

    rng = Random(7)
    for kind in KINDS:
        views = [random_view(kind, rng) for _ in range(60)]
        for has_own in (True, False):
            group = [view for view in views if (view.own_reputation is not None) is has_own]
            if not group:
                continue
            numbers = np.array([rng.random() for _ in group])
            at_once = policy.decide_many(as_arrays(group, kind=kind), lambda numbers=numbers: numbers)  # type: ignore[misc]
            pairs = zip(group, numbers.tolist(), strict=True)
            one_by_one = [policy.decide(view, lambda number=number: number) for view, number in pairs]  # type: ignore[misc]
            assert at_once.tolist() == one_by_one, f"under {kind}: {at_once.tolist()} instead of {one_by_one}"


def it_has_the_traits_that_it_declares(policy: Policy) -> None:
    """What it says of itself is what its decisions show."""
    measured = measured_traits(policy)
    assert measured == policy.traits, f"declared {policy.traits}, measured {measured}"


def measured_traits(policy: Policy) -> Traits:
    """Return the traits that a policy's decisions have in a few hundred situations.

    Raises:
        AssertionError: it means one thing by the worst score and another by the worst acts, or remembers with gaps.
    """
    from agentsim.testing.views import met, turns, view_of

    def shares(view: DecisionView) -> list[float]:
        return [policy.decide(view, lambda number=number: number) for number in _NUMBERS]  # type: ignore[misc]

    def differs(views: Sequence[DecisionView]) -> bool:
        return len({tuple(shares(view)) for view in views}) > 1

    scores, standings = [as_score(value) for value in range(-5, 6)], [as_standing("good"), as_standing("bad")]
    acts = [view_of(*turns(act, is_chain=True)) for act in _ACTS]
    told = [view_of(reputation=said) for said in (*scores, *standings)]
    # The recipient's own act stays as it is; only what was done before, by others, changes.
    of_others = [
        [view_of(*turns(first, *[act] * n, is_chain=True)) for act in _ACTS] for first in _ACTS for n in range(1, 9)
    ]
    of_own_standing = [[view_of(reputation=said, own=mine) for mine in (None, *standings)] for said in standings]
    histories = [view_of(*turns(act, *[act] * 9, is_chain=False)) for act in _ACTS]
    uses = (
        differs(told) or differs(acts) or differs(histories),
        any(differs(views) for views in of_others),
        any(differs(views) for views in of_own_standing),
    )
    worst = {
        max(shares(view)) > 0 for view in (view_of(reputation=scores[0]), view_of(*turns(*_WORST, is_chain=False)))
    }
    assert len(worst) == 1, "it must mean the same by the worst score and the worst acts"
    graded = {policy.decide(view, lambda: 0.999) for view in acts if view.trace[0].act == "give"}
    everything = [
        *acts,
        *told,
        *histories,
        *(view for views in (*of_others, *of_own_standing) for view in views),
        view_of(),
    ]
    orders: tuple[Literal[0, 1, 2, 3], ...] = (0, 1, 2, 3)
    used = {place for place, groups in _memories().items() if any(differs(views) for views in groups)}
    looks_back = _looks_back({place for place, _ in used})
    if looks_back:
        worst_met = met(*[(_REMEMBERED[0], _REMEMBERED[-1])] * 10)
        assert (max(shares(view_of(memory=worst_met))) > 0) in worst, "the worst that it remembers must mean the same"
        assert shares(view_of(memory=[])) == shares(view_of()), "without a past it must do the same with a memory"
    return Traits(
        order=max(order for order, is_used in zip(orders, (True, *uses), strict=True) if is_used),
        is_nice=max(shares(view_of())) > 0,
        is_forgiving=worst.pop(),
        is_stochastic=any(len(set(shares(view))) > 1 for view in everything),
        is_graded=len(graded) > 2,
        looks_back=looks_back,
        minds_own_acts=any(is_own for _, is_own in used),
    )


def _looks_back(places: Collection[int]) -> Literal[0, 1, 2, "all"]:
    assert set(places) == set(range(len(places))), "it looks at older encounters and not at newer ones"
    trait_by_depth: dict[int, Literal[0, 1, 2, "all"]] = {0: 0, 1: 1, 2: 2, _N_REMEMBERED: "all"}
    assert len(places) in trait_by_depth, f"it looks back {len(places)} encounters; traits know 0, 1, 2, all"
    return trait_by_depth[len(places)]


@functools.cache
def _memories() -> Mapping[tuple[int, bool], Sequence[Sequence[DecisionView]]]:
    """Return groups of views that differ in one remembered act, by its encounter's place and whether it is its own."""
    from agentsim.testing.views import met, view_of

    groups_by_act: dict[tuple[int, bool], list[list[DecisionView]]] = {}
    for place, is_own in itertools.product(range(_N_REMEMBERED), (False, True)):
        for other, own_act in itertools.product(_REMEMBERED, repeat=2):
            before, after = [(other, own_act)] * place, [(other, own_act)] * (_N_REMEMBERED - place - 1)
            changed = [(other, act) if is_own else (act, own_act) for act in _REMEMBERED]
            views = [view_of(memory=met(*before, one, *after)) for one in changed]
            groups_by_act.setdefault((place, is_own), []).append(views)
    return groups_by_act


def _views() -> Iterator[DecisionView]:
    from agentsim.testing.views import KINDS, random_view

    rng = Random(3)
    for kind in KINDS:
        yield from (random_view(kind, rng) for _ in range(20))


# --- providers -----------------------------------------------------------------------------------------------------


def it_names_an_account_that_needs_no_settings(dialect: Dialect) -> None:
    """`accounts` holds what a scenario can name at once."""
    from agentsim.providers.settings import ProviderSettings

    for name, settings in dialect.accounts.items():
        made = ProviderSettings.model_validate({"dialect": dialect.name, **settings}, strict=True)
        assert made.dialect == dialect.name, f"{name} speaks {made.dialect}"


def it_says_which_sampling_it_cannot_send(dialect: Dialect) -> None:
    """`unsupported` returns names of `players`' settings; of what is not stated, it says nothing."""
    known = {*Sampling.model_fields, "extra"}
    whole = Sampling(temperature=0.5, max_tokens=5, top_p=0.5, seed=1, reasoning_effort="low", extra={"a": 1})
    unsupported = dialect.unsupported(whole)
    assert {name.partition(".")[0] for name in unsupported} <= known, f"{unsupported} are not all settings of players"
    assert dialect.unsupported(Sampling()) == [], "what is not stated cannot be unsupported"


def a_provider_on_this_machine_answers(dialect: Dialect) -> None:
    """A provider that needs neither server nor files answers a plain question with a whole completion."""
    if not dialect.serves_here or dialect.find_model is not None:
        return
    opening = Opening(
        name=dialect.name,
        base_url=None,
        api_key=None,
        timeout_s=30.0,
        model="any",
        slots=1,
        context=None,
        threads=None,
    )
    asyncio.run(_ask(dialect, opening))


async def _ask(dialect: Dialect, opening: Opening) -> None:
    provider, ready = dialect.open(opening)
    try:
        if ready is not None:
            await ready()
        messages = (Message(role="system", content="Answer briefly."), Message(role="user", content="How many?"))
        completion = await provider.complete(Prompt(model="any", messages=messages))
    finally:
        await provider.aclose()
    assert isinstance(completion, Completion) and completion.latency_s >= 0, f"{completion!r} is no completion"


_OF_RULES: Final = (
    it_is_written_and_read_as_the_same,
    a_society_plays_to_its_end_the_same_in_any_order,
    agents_are_told_the_rule_and_each_setting,
    each_setting_has_a_default,
)
CHECKS: Final[Sequence[tuple[type[Any], Sequence[Callable[[Any], None]]]]] = (
    (
        Game,
        (*_OF_RULES, an_encounter_comes_to_what_was_announced, a_move_that_could_not_be_read_moves_nothing),
    ),
    (Pairing, (*_OF_RULES, every_round_is_a_matching, a_schedule_depends_on_its_random_numbers_alone)),
    (Observation, (*_OF_RULES, only_the_past_is_shown, later_acts_change_nothing_that_is_seen)),
    (
        Selection,
        (*_OF_RULES, the_right_number_survives_best_first, survivors_depend_on_scores_and_random_numbers_alone),
    ),
    (
        Transmission,
        (*_OF_RULES, newborns_are_shown_those_who_survive_alone, what_is_learned_depends_on_its_random_numbers_alone),
    ),
    (
        Policy,
        (
            it_is_named_and_read_as_the_same,
            it_gives_a_share_that_depends_on_its_view_and_its_number_alone,
            one_decision_and_many_at_once_are_the_same,
            it_has_the_traits_that_it_declares,
        ),
    ),
    (
        Dialect,
        (
            it_names_an_account_that_needs_no_settings,
            it_says_which_sampling_it_cannot_send,
            a_provider_on_this_machine_answers,
        ),
    ),
)
"""For each base, what all made from it must satisfy."""
