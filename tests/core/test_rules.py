"""What every rule must do, whichever it is: new members of the unions are tested here without being named."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import BaseModel
from scipy.stats import binomtest

import agentsim
from agentsim.core.answers import Answer
from agentsim.core.facts import Agent, Encounter, GenerationEnded, StrategyFormed
from agentsim.core.games import DonorGame
from agentsim.core.observation import ObservationRule
from agentsim.core.pairing import PairingRule, RandomMatching
from agentsim.core.policies import ConstantShare, Policy, ScriptedPlayer
from agentsim.core.registry import Among
from agentsim.core.requests import DecisionView, Request, StrategyView
from agentsim.core.rng import stream
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import (
    BirthDeath,
    DeathBirth,
    Drift,
    Nobody,
    Proportional,
    SelectionRule,
    Top,
    Tournament,
)
from agentsim.core.transmission import Advice, Copy, Imitate, OneParent, SomeParents, TransmissionRule
from agentsim.core.vectorised import play_many
from tests.core.playing import constant, play


def members(union: Any) -> list[type[BaseModel]]:
    """Return the classes of a union, or those that a field may take by their names."""
    for mark in get_args(union):
        if isinstance(mark, Among):
            return mark.classes
    if isinstance(union, type):
        return [union] if issubclass(union, BaseModel) else []
    return [kind for part in get_args(union) for kind in members(part)]


def test_the_rules_are_found() -> None:
    assert len(members(PairingRule)) >= 3 and len(members(SelectionRule)) >= 5
    assert (
        len(members(TransmissionRule)) >= 4 and len(members(ObservationRule)) >= 5 and len(members(ScriptedPlayer)) >= 5
    )


def test_every_rule_is_in_the_docs() -> None:
    docs = (Path(agentsim.__file__).parent.parent / "docs" / "rules.md").read_text()
    for union in (PairingRule, ObservationRule, SelectionRule, TransmissionRule):
        for kind in members(union):
            assert f"| `{kind.model_fields['kind'].default}` |" in docs, kind


def test_every_policy_is_in_the_docs_with_the_traits_it_has_by_default() -> None:
    docs = (Path(agentsim.__file__).parent.parent / "docs" / "rules.md").read_text()
    for kind in members(ScriptedPlayer):
        [row] = [line for line in docs.splitlines() if line.startswith(f"| `{kind.model_fields['model'].default}`")]
        traits = kind().traits  # type: ignore[attr-defined]
        words = [word for word in ("nice", "forgiving", "stochastic", "graded") if getattr(traits, f"is_{word}")]
        assert f"| {traits.order} | {', '.join(words)} |".replace("|  |", "| |") in row, row
        own = {field for field in kind.model_fields if field not in ("model", *Policy.model_fields)}
        assert all(f"`{field}" in row for field in own), row


RULES = [
    pytest.param({field: kind()}, id=f"{field}-{kind.__name__}")
    for field, union in (
        ("pairing", PairingRule),
        ("observation", ObservationRule),
        ("selection", SelectionRule),
        ("transmission", TransmissionRule),
    )
    for kind in members(union)
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("agents", [4, 6, 10])
def test_a_society_under_every_rule_plays_to_its_end_the_same_in_any_order(rule: dict[str, Any], agents: int) -> None:
    rules = SocietyRules(agents=agents, generations=3, **rule)
    asked, events = play(rules, constant(0.3))
    assert sum(isinstance(event, Encounter) for event in events) == 3 * 2 * 12 * agents // 2
    n_survivors = [len(event.survivors) for event in events if isinstance(event, GenerationEnded)]
    born = sum(isinstance(event, StrategyFormed) for event in events)
    assert born == agents + sum(agents - n for n in n_survivors[:-1])
    assert len(asked) == len({request.key for request in asked}) == rules.n_requests(0)
    _, shuffled = play(rules, constant(0.3), order=Random(1))
    assert sorted(event.model_dump_json() for event in shuffled) == sorted(event.model_dump_json() for event in events)


@pytest.mark.parametrize("agents", [2, 3, 5, 13, 50])
def test_a_society_of_any_size_plays_to_its_end_the_same_in_any_order(agents: int) -> None:
    rules = SocietyRules(agents=agents, generations=3, pairing=RandomMatching())
    asked, events = play(rules, constant(0.3))
    met = [event for event in events if isinstance(event, Encounter)]
    assert len(met) == 3 * 2 * 12 * (agents // 2) and len(asked) == rules.n_requests(0)
    assert len({(event.generation, event.game, event.round, event.donor) for event in met}) == len(met)
    _, shuffled = play(rules, constant(0.3), order=Random(1))
    assert sorted(event.model_dump_json() for event in shuffled) == sorted(event.model_dump_json() for event in events)


def test_an_odd_number_of_agents_is_refused_where_all_are_paired() -> None:
    with pytest.raises(ValueError, match=r"agents: 7 cannot be paired; use an even number, or pairing: {kind: random}"):
        SocietyRules(agents=7)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_survives_writing_and_reading(rule: dict[str, Any]) -> None:
    rules = SocietyRules(**rule)
    assert SocietyRules.model_validate_json(rules.model_dump_json()) == rules


@pytest.mark.parametrize("kind", members(SelectionRule))
def test_every_selection_keeps_agents_that_exist_once_each_and_never_all(kind: Any) -> None:
    rule = kind()
    for seed in range(20):
        scores = {f"1_{index}": float(Random(seed).randrange(3)) for index in range(8)}
        kept = rule.survivors(scores, stream(seed, "selection", 1))
        assert 0 < len(kept) == len(set(kept)) == rule.n_survivors(8) and set(kept) <= set(scores)
        assert len(kept) < 8 or rule.may_keep_all
        assert [scores[agent] for agent in kept] == sorted((scores[agent] for agent in kept), reverse=True)


@pytest.mark.parametrize("kind", members(TransmissionRule))
def test_every_transmission_shows_survivors_only(kind: Any) -> None:
    survivors = [Agent(id=f"1_{index}", born=1, label="m", strategy=f"strategy {index}") for index in range(3)]
    shown = kind().advice(survivors, {agent.id: 1.0 for agent in survivors}, stream(0, "transmission", 2))
    assert {item.agent for item in shown} <= {agent.id for agent in survivors}


@pytest.mark.parametrize("kind", members(ObservationRule))
def test_every_observation_shows_the_past_only(kind: Any) -> None:
    asked, _ = play(SocietyRules(generations=1, observation=kind()), constant(0.3))
    views = [request.view for request in asked if isinstance(request.view, DecisionView)]
    assert all(item.round < view.round for view in views for item in view.trace)
    assert all(not view.trace for view in views if view.round == 1)


@pytest.mark.parametrize("kind", members(ScriptedPlayer))
def test_every_policy_gives_a_share_that_depends_on_its_view_and_its_number_alone(kind: Any) -> None:
    asked, _ = play(SocietyRules(generations=1), constant(0.3))
    for request in asked:
        if isinstance(request.view, StrategyView):
            continue
        shares = {kind().decide(request.view, lambda: 0.3) for _ in range(2)}
        assert len(shares) == 1 and 0 <= shares.pop() <= 1


# --- what tells the rules apart -------------------------------------------------------------------------------------

SCORES = {f"1_{index}": float(index) for index in range(1, 9)}


def kept(rule: Any, n: int = 4000) -> dict[str, float]:
    """Return how often each agent survives."""
    counts = dict.fromkeys(SCORES, 0)
    for seed in range(n):
        for agent in rule.survivors(SCORES, stream(seed, "selection", 1)):
            counts[agent] += 1
    return {agent: count / n for agent, count in counts.items()}


def test_drift_keeps_everyone_equally_often() -> None:
    assert all(share == pytest.approx(0.5, abs=0.04) for share in kept(Drift()).values())


def test_proportional_selection_draws_in_proportion_to_scores() -> None:
    first = kept(Proportional(fraction=0.125))  # one survivor: its chances are its share of all scores
    assert all(first[agent] == pytest.approx(score / 36, abs=0.02) for agent, score in SCORES.items())
    zero = dict.fromkeys(SCORES, 0.0)
    assert len(Proportional().survivors(zero, stream(0, "selection", 1))) == 4


def test_a_tournament_of_one_is_drift_and_of_all_is_top() -> None:
    assert all(share == pytest.approx(0.5, abs=0.04) for share in kept(Tournament(size=1)).values())
    for seed in range(20):
        rng = stream(seed, "selection", 1)
        assert set(Tournament(size=8).survivors(SCORES, rng)) == {"1_5", "1_6", "1_7", "1_8"}
    best = kept(Tournament(fraction=0.125, size=2))["1_8"]
    assert best == pytest.approx(2 / 8, abs=0.02)  # in every pair it is drawn into


@pytest.mark.parametrize(
    ("agents", "fraction", "n"),
    [(5, 0.5, 3), (7, 0.5, 4), (9, 0.5, 5), (12, 0.5, 6), (5, 0.3, 2), (50, 0.29, 15), (3, 0.1, 0), (10, 0.24, 2)],
)
def test_halves_of_survivors_are_rounded_up(agents: int, fraction: float, n: int) -> None:
    assert Top(fraction=fraction).n_survivors(agents) == n
    if n:
        scores = {f"1_{index}": float(index) for index in range(agents)}
        assert len(Top(fraction=fraction).survivors(scores, stream(0, "selection", 1))) == n


@pytest.mark.parametrize(
    ("selection", "better", "worse"),
    [(BirthDeath(), 0.5079, 0.0159), (DeathBirth(), 0.4301, 0.0269)],
    ids=lambda each: getattr(each, "kind", ""),
)
def test_constant_fitness_fixes_as_often_as_the_closed_form_says(selection: Any, better: float, worse: float) -> None:
    """N = 6 and r = 2 or 1/2: (1 - 1/r) / (1 - 1/r^N), by Moran 1958 with selection; where the dead do not compete,
    (1 - 1/N) (1 - 1/r) / (1 - 1/r^(N-1)) (Kaveh, Komarova & Kohandel 2015, R. Soc. Open Sci. 2).

    Who keeps all ends with 10 units and who gives half with 5, as what is given comes to nothing.
    """
    game = DonorGame(rounds=2, games=1, multiplier=1e-300)
    rules = SocietyRules(
        agents=6, generations=100, game=game, selection=selection, transmission=Copy(chances="by_score")
    )
    keeps, gives = ConstantShare(share=0.0), ConstantShare(share=0.5)
    for invader, resident, chance in ((keeps, gives, better), (gives, keeps, worse)):
        many = play_many(rules, [invader, *[resident] * 5], seeds=range(600))
        assert set(np.unique(many.scores)) == {5.0, 10.0}
        n_fixed = int((many.share_of(many.players.index(invader))[:, -1] == 1).sum())
        assert binomtest(n_fixed, 600, chance).pvalue > 0.01


def test_pairwise_comparison_fixes_as_often_as_the_closed_form_says() -> None:
    """N = 4 and a difference of scores of 5 at a strength of 1/5: (1 - e^-1) / (1 - e^-4), and (1 - e) / (1 - e^4) of
    the worse one (Traulsen, Nowak & Pacheco 2006)."""
    game = DonorGame(rounds=2, games=1, multiplier=1e-300)
    rules = SocietyRules(agents=4, generations=40, game=game, selection=BirthDeath(), transmission=Imitate(beta=0.2))
    keeps, gives = ConstantShare(share=0.0), ConstantShare(share=0.5)
    for invader, resident, chance in ((keeps, gives, 0.6439), (gives, keeps, 0.0321)):
        many = play_many(rules, [invader, *[resident] * 3], seeds=range(150))
        n_fixed = int((many.share_of(many.players.index(invader))[:, -1] == 1).sum())
        assert binomtest(n_fixed, 150, chance).pvalue > 0.01


def test_who_compares_takes_the_better_strategy_at_a_high_strength_and_either_at_none() -> None:
    own, other = (Agent(id=f"1_{index}", born=1, label="m", strategy=None) for index in (1, 2))
    numbers = [(index + 0.5) / 1000 for index in range(1000)]

    def share(beta: float, scores: tuple[float, float]) -> float:
        earned = dict(zip(("1_1", "1_2"), scores, strict=True))
        adopted = [Imitate(beta=beta).adopted(own, [own, other], earned, drawn=0.7, number=one) for one in numbers]
        return adopted.count(other) / len(numbers)

    assert share(1e6, (1, 2)) == 1 and share(1e6, (2, 1)) == 0 and share(0, (1, 9)) == 0.5
    assert share(1, (1, 2)) == pytest.approx(0.731, abs=0.001)
    assert Imitate().adopted(own, [own], {"1_1": 1.0}, drawn=0.5, number=0.0) == own


def test_under_birth_and_death_one_who_leaves_may_have_a_child() -> None:
    rules = SocietyRules(agents=4, generations=60, selection=BirthDeath(), transmission=Copy(chances="by_score"))
    _, events = play(rules, constant(0.3))
    kept = {event.generation + 1: event.survivors for event in events if isinstance(event, GenerationEnded)}
    born = [event for event in events if isinstance(event, StrategyFormed) and event.generation > 1]
    assert len(born) == 59
    orphans = [event for event in born if event.agent.parents[0] not in kept[event.generation]]
    assert len(orphans) / 59 == pytest.approx(1 / 4, abs=0.2) and orphans


def test_where_nobody_is_selected_all_play_on_and_nobody_is_born() -> None:
    asked, events = play(SocietyRules(agents=4, generations=3, selection=Nobody()), constant(0.3))
    ended = [event for event in events if isinstance(event, GenerationEnded)]
    assert len(ended) == 3 and set(ended[0].survivors) == {"1_1", "1_2", "1_3", "1_4"}
    assert sum(isinstance(request.view, StrategyView) for request in asked) == 4


def test_a_copy_has_its_parents_words_and_is_not_asked() -> None:
    rules = SocietyRules(agents=6, generations=3, transmission=Copy())
    asked, events = play(rules, _own_words)
    assert {request.view.generation for request in asked if isinstance(request.view, StrategyView)} == {1}
    by_id = {event.agent.id: event for event in events if isinstance(event, StrategyFormed)}
    copies = [event for event in by_id.values() if event.generation > 1]
    assert len(copies) == 6 and all(event.attempts == 0 for event in copies)
    for event in copies:
        [parent] = event.agent.parents
        assert event.agent.strategy == by_id[parent].agent.strategy


def _own_words(request: Request) -> Answer:
    if isinstance(request.view, DecisionView):
        return Answer(act="give", amount=0.3 * request.view.resources)
    return Answer(text=f"the words of {request.agent}")


@pytest.mark.parametrize(("rule", "n"), [(Advice(), 3), (OneParent(), 1), (SomeParents(n=2), 2), (SomeParents(n=9), 3)])
def test_newborns_are_shown_as_many_survivors_as_the_rule_says_and_those_are_their_parents(rule: Any, n: int) -> None:
    _, events = play(SocietyRules(agents=6, generations=2, transmission=rule), constant(0.3))
    born = [event.agent for event in events if isinstance(event, StrategyFormed) and event.generation == 2]
    assert born and all(len(agent.parents) == n for agent in born)
