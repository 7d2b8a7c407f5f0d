from __future__ import annotations

from random import Random
from typing import Any

import pytest

from agentsim.core.games import DonorGame
from agentsim.core.observation import Assessment, History, ImageScore, Nothing, OwnActs, Standing, Trace
from agentsim.core.pairing import RandomMatching, Released
from agentsim.core.rng import stream
from agentsim.core.society import SocietyRules
from agentsim.core.strategies import Discriminator
from agentsim.core.types import Answer, DecisionView, Request, TraceItem
from tests.core.playing import constant, play


def views(rules: SocietyRules) -> list[DecisionView]:
    asked, _ = play(rules, constant(0.5))
    return [request.view for request in asked if isinstance(request.view, DecisionView)]


def test_a_trace_grows_from_nothing_to_its_depth() -> None:
    lengths: dict[int, set[int]] = {}
    for view in views(SocietyRules(generations=1)):
        lengths.setdefault(view.round, set()).add(len(view.trace))
    assert lengths[1] == {0} and lengths[2] == {1} and lengths[3] == {2}
    assert all(lengths[round] == {3} for round in range(4, 13))


def test_a_trace_is_a_chain_through_partners_newest_first() -> None:
    for view in views(SocietyRules(generations=1)):
        expected = view.recipient
        before = view.round
        for item in view.trace:
            assert item.donor == expected and item.round < before
            expected, before = item.recipient, item.round


def test_depth_0_shows_nothing() -> None:
    assert all(view.trace == () for view in views(SocietyRules(generations=1, observation=Trace(depth=0))))


def test_a_turn_without_a_decision_is_shown_as_such_and_hides_nobody() -> None:
    history = {
        "a": [TraceItem(1, "a", "c", "give", 0.3), TraceItem(3, "a", "b", None, None)],
        "b": [TraceItem(2, "b", "d", "give", 0.7)],
        "d": [],
    }
    trace = Trace(depth=3).observe(history, recipient="a", round=4).trace
    assert [(item.donor, item.act, item.fraction) for item in trace] == [("a", None, None), ("b", "give", 0.7)]


def test_nothing_to_give_is_no_fraction() -> None:
    asked, _ = play(SocietyRules(generations=1, pairing=Released()), constant(1))
    had_nothing = [
        item
        for request in asked
        if isinstance(request.view, DecisionView)
        for item in request.view.trace
        if item.round == 7
    ]
    assert had_nothing and all(item.fraction is None for item in had_nothing)


# --- other rules than the trace -------------------------------------------------------------------------------------


def turn(round: int, donor: str, recipient: str, fraction: float | None, act: str | None = "give") -> TraceItem:
    return TraceItem(round, donor, recipient, act, fraction)  # type: ignore[arg-type]


def reputation(rule: ImageScore | Standing, history: History, *, of: str, round: int) -> object:
    seen = rule.observe(history, recipient=of, round=round)
    assert seen.trace == () and seen.reputation is not None
    return seen.reputation.value


def test_nothing_is_nothing() -> None:
    assert all(view.trace == () and view.reputation is None for view in views(SocietyRules(observation=Nothing())))


def test_a_history_is_of_the_recipients_own_acts_newest_first() -> None:
    for view in views(SocietyRules(generations=1, observation=OwnActs(depth=2))):
        rounds = [item.round for item in view.trace]
        assert all(item.donor == view.recipient for item in view.trace) and len(rounds) <= 2
        assert rounds == sorted(rounds, reverse=True) and all(round < view.round for round in rounds)
    assert max(len(view.trace) for view in views(SocietyRules(generations=1, observation=OwnActs(depth=2)))) == 2


def test_an_image_score_counts_gifts_up_and_all_else_down_within_five() -> None:
    rule = ImageScore(threshold=0.3)
    history = {
        "a": [
            turn(1, "a", "b", 0.3),
            turn(2, "a", "b", 0.29),
            turn(3, "a", "b", 0.9, "punish"),
            turn(4, "a", "b", None),
        ]
    }
    assert [reputation(rule, history, of="a", round=round) for round in (1, 2, 3, 4, 5)] == [0, 1, 0, -1, -1]
    assert reputation(rule, {"a": [turn(n, "a", "b", 1.0) for n in range(1, 20)]}, of="a", round=20) == 5
    fallen = [turn(n, "a", "b", 0.0) for n in range(1, 20)] + [turn(20, "a", "b", 1.0)]
    assert reputation(rule, {"a": fallen}, of="a", round=21) == -4


HISTORY = {
    "miser": [turn(1, "miser", "friend", 0.0)],
    "friend": [turn(2, "friend", "miser", 0.0)],  # keeps from one who is bad
    "saint": [turn(2, "saint", "miser", 1.0)],  # gives to one who is bad
    "traitor": [turn(3, "traitor", "friend", 0.0)],
}


@pytest.mark.parametrize(
    ("rule", "standings"),
    [
        (Standing(), {"miser": "bad", "friend": "good", "saint": "good", "traitor": "bad"}),
        (  # image scoring's judgement: who keeps is bad, from whomever
            Standing(assessment=Assessment(keep_from_bad="bad")),
            {"miser": "bad", "friend": "bad", "saint": "good", "traitor": "bad"},
        ),
        (  # stern judging (Pacheco, Santos & Chalub 2006): who gives to the bad is bad
            Standing(assessment=Assessment(give_to_bad="bad")),
            {"miser": "bad", "friend": "good", "saint": "bad", "traitor": "bad"},
        ),
    ],
)
def test_standing_hangs_on_whom_an_act_was_done_to(rule: Standing, standings: dict[str, str]) -> None:
    assert {agent: reputation(rule, HISTORY, of=agent, round=4) for agent in HISTORY} == standings
    assert {reputation(rule, HISTORY, of=agent, round=1) for agent in HISTORY} == {"good"}


def test_donors_who_are_bad_may_be_judged_by_a_table_of_their_own() -> None:
    history = {"a": [turn(1, "a", "b", 0.0), turn(2, "a", "b", 1.0)], "b": []}
    assert reputation(Standing(), history, of="a", round=3) == "good"
    for_ever = Standing(of_bad_donors=Assessment(give_to_good="bad", give_to_bad="bad", keep_from_bad="bad"))
    assert reputation(for_ever, history, of="a", round=3) == "bad"


@pytest.mark.parametrize("rule", [Nothing(), OwnActs(depth=2), ImageScore(), Standing(), Trace(depth=2)])
def test_what_a_rule_does_not_grant_changes_nothing(rule: Any) -> None:
    """Random histories, and the same with all that is hidden made different."""
    for seed in range(200):
        draw = Random(seed)
        agents = "abcd"
        history: dict[str, list[TraceItem]] = {agent: [] for agent in agents}
        for round in range(1, 9):
            one, other, *_ = draw.sample(agents, 4)
            history[one].append(turn(round, one, other, draw.choice([0.0, 0.1, 0.5, 1.0])))
        seen = rule.observe(history, recipient="a", round=7)
        shown = set(seen.trace)
        hidden = {
            agent: [item if item in shown else _otherwise(item, rule) for item in turns]
            for agent, turns in history.items()
        }
        assert rule.observe(hidden, recipient="a", round=7) == seen


def _otherwise(item: TraceItem, rule: Any) -> TraceItem:
    """Return a turn that differs in what the rule must not show: all of it, or only the amount, or what is to come."""
    if item.round >= 7 or rule.kind in ("none", "history", "trace"):
        return turn(item.round, item.donor, item.recipient, 0.77)
    assert item.fraction is not None
    return turn(item.round, item.donor, item.recipient, 0.8 if item.fraction >= rule.threshold else 0.01)


def giving(observation: ImageScore | Standing, *, error: float) -> float:
    """Return the share of gifts in the last third of long games among discriminators who sometimes fail to give."""
    donor, acts = Discriminator(share=0.5), []

    def policy(request: Request) -> Answer:
        view = request.view
        if not isinstance(view, DecisionView):
            return Answer(text="-")
        rng = stream(3, "act", request.key)
        share = 0.0 if rng.random() < error else donor.decide(view, rng.random)
        if view.round > 60:
            acts.append(share > 0)
        return Answer(act="give", amount=share * view.resources)

    game = DonorGame(rounds=90, multiplier=1.0, games=2)
    play(SocietyRules(generations=3, game=game, pairing=RandomMatching(), observation=observation), policy)
    return sum(acts) / len(acts)


def test_image_scoring_unravels_under_errors_where_standing_does_not() -> None:
    """Panchanathan & Boyd 2003, J. Theor. Biol. 224: keeping from the bad costs a discriminator its own good image."""
    scoring = Standing(assessment=Assessment(keep_from_bad="bad"))  # the last act alone, whoever met it
    assert giving(scoring, error=0.0) == giving(Standing(), error=0.0) == 1.0
    standing, image = giving(Standing(), error=0.1), giving(scoring, error=0.1)
    assert standing > 0.7 and image < 0.6 * standing, (standing, image)


@pytest.mark.parametrize("kind", [ImageScore, Standing])
def test_donors_are_shown_their_own_reputation_where_the_rule_says_so_and_nowhere_else(kind: Any) -> None:
    def policy(request: Request) -> Answer:
        view = request.view
        if not isinstance(view, DecisionView):
            return Answer(text="-")
        share = 0.5 if int(view.name[-1]) % 2 else 0.0
        return Answer(act="give", amount=share * view.resources)

    for observation, is_shown in ((kind(shows_own=True), True), (kind(), False)):
        asked, _ = play(SocietyRules(agents=6, generations=1, observation=observation), policy)
        shown = [request.view for request in asked if isinstance(request.view, DecisionView)]
        assert {view.own_reputation is not None for view in shown} == {is_shown}
        assert {view.rules.shows_own for view in shown} == {is_shown}
        if not is_shown:
            continue
        first = [view.own_reputation for view in shown if view.round == 1]
        assert {own.value for own in first if own} <= {0, "good"}
        givers = [view.own_reputation for view in shown if view.round == 12 and int(view.name[-1]) % 2]
        misers = [view.own_reputation for view in shown if view.round == 12 and not int(view.name[-1]) % 2]
        assert all(own and own.value in ("good", 5) for own in givers)
        assert any(own and own.value in ("bad", -5) for own in misers)
    assert SocietyRules(observation=Trace()).told.shows_own is False
