from __future__ import annotations

import re
from itertools import permutations
from random import Random
from typing import Any

import pytest

from agentsim.core.answers import Answer
from agentsim.core.facts import Observed, TraceItem
from agentsim.core.games import DonorGame
from agentsim.core.observation import (
    Assessment,
    Chance,
    Gossip,
    History,
    ImageScore,
    Nothing,
    ObservationRule,
    OwnActs,
    Standing,
    Trace,
    as_standing,
)
from agentsim.core.pairing import RandomMatching, Released
from agentsim.core.policies import Discriminator
from agentsim.core.requests import DecisionView, NoteView, Request
from agentsim.core.rng import stream, uniform
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society
from agentsim.prompts.sets import load_prompt_set
from tests.core.playing import Policy, constant, play
from tests.core.test_rules import members


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
        expected: str | None = view.recipient
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


def turn(round: int, donor: str, recipient: str | None, fraction: float | None, act: str | None = "give") -> TraceItem:
    return TraceItem(round, donor, recipient, act, fraction)


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


PERCEPTIONS: list[dict[str, Any]] = [
    {},
    {"noise": 0.5},
    {"noise": 0.5, "audience": "private"},
    {"delay": 2},
    {"known": 0.5},
    {"noise": 0.3, "audience": "private", "delay": 1, "known": 0.7},
]


def perceived(kind: Any, settings: dict[str, Any]) -> Any:
    """Return the rule with those of the settings that it has."""
    refused = ("noise", "audience") if kind is Gossip else ()
    return kind(
        **{name: value for name, value in settings.items() if name in kind.model_fields and name not in refused}
    )


def chance_of(seed: int) -> Chance:
    return lambda what, *place: uniform(what, seed, 1, 1, *place)


def random_history(draw: Random) -> dict[str, list[TraceItem]]:
    agents = ["1_1", "1_2", "1_3", "1_4"]
    history: dict[str, list[TraceItem]] = {agent: [] for agent in agents}
    for round in range(1, 9):
        one, other, *_ = draw.sample(agents, 4)
        history[one].append(turn(round, one, other, draw.choice([0.0, 0.1, 0.5, 1.0])))
    return history


def with_notes(history: dict[str, list[TraceItem]]) -> dict[str, list[TraceItem]]:
    return {
        agent: [item._replace(note=f"note {item.round}" if item.round % 3 else None) for item in turns]
        for agent, turns in history.items()
    }


@pytest.mark.parametrize("settings", PERCEPTIONS)
@pytest.mark.parametrize("kind", members(ObservationRule))
def test_what_a_rule_does_not_grant_changes_nothing(kind: Any, settings: dict[str, Any]) -> None:
    """Random histories, and the same with all that is hidden made different."""
    rule = perceived(kind, settings)
    n_changed = 0
    for seed in range(100):
        history = random_history(Random(seed))
        if rule.max_note_chars is not None:
            history = with_notes(history)
        look: dict[str, Any] = {"recipient": "1_1", "round": 7, "observer": "1_2", "chance": chance_of(seed)}
        seen = rule.observe(history, **look)
        places = {(item.round, item.donor) for item in seen.trace}
        written = {(note.round, note.about): note.text for note in seen.notes}
        hidden = {
            agent: [
                item
                if (item.round, agent) in places
                else _otherwise(item, rule, is_known=seen.reputation is not None)._replace(
                    note=written.get((item.round, agent), item.note and "other words"),
                )
                for item in turns
            ]
            for agent, turns in history.items()
        }
        n_changed += hidden != history
        assert rule.observe(hidden, **look) == seen
    assert n_changed == 100


def _otherwise(item: TraceItem, rule: Any, *, is_known: bool) -> TraceItem:
    """Return a turn that differs in what the rule must not show: all of it, or only the amount, or what is to come."""
    if item.round >= 7 - rule.model_dump().get("delay", 0) or not is_known:
        return turn(item.round, item.donor, item.recipient, 0.77)
    if rule.judges_from is None:  # the reputation may tell all of it
        return item
    assert item.fraction is not None
    return turn(item.round, item.donor, item.recipient, 0.8 if item.fraction >= rule.judges_from else 0.01)


# --- noise, delay, knowing ------------------------------------------------------------------------------------------


def n_misperceived(rule: Any, *, observer: str = "1_9", n: int = 3000) -> int:
    """Return in how many games a single gift of everything is not seen as one."""
    history = {"1_1": [turn(1, "1_1", "1_2", 1.0)], "1_2": []}
    plain = type(rule)().observe(history, recipient="1_1", round=2)
    look: dict[str, Any] = {"recipient": "1_1", "round": 2, "observer": observer}
    return sum(rule.observe(history, **look, chance=chance_of(seed)) != plain for seed in range(n))


@pytest.mark.parametrize("kind", [Trace, OwnActs, ImageScore, Standing])
def test_acts_are_misperceived_as_often_as_the_noise_says(kind: Any) -> None:
    assert n_misperceived(kind(noise=0.2)) == pytest.approx(600, abs=75)
    assert n_misperceived(kind()) == 0


@pytest.mark.parametrize("kind", [Trace, OwnActs])
def test_what_is_seen_instead_of_an_act_is_a_gift_of_any_share_with_equal_chances(kind: Any) -> None:
    history = {"1_1": [turn(1, "1_1", "1_2", 0.4, "punish")], "1_2": []}
    shares = []
    for seed in range(4000):
        [item] = kind(noise=0.5).observe(history, recipient="1_1", round=2, chance=chance_of(seed)).trace
        if item.act == "give":
            assert (item.round, item.donor, item.recipient) == (1, "1_1", "1_2") and item.fraction is not None
            shares.append(item.fraction)
    assert len(shares) == pytest.approx(2000, abs=150)
    for low in (0.0, 0.25, 0.5, 0.75):
        assert sum(low <= share < low + 0.25 for share in shares) == pytest.approx(len(shares) / 4, abs=90)


@pytest.mark.parametrize("kind", [Trace, OwnActs, ImageScore, Standing])
def test_turns_without_an_act_are_not_misperceived(kind: Any) -> None:
    history = {"1_1": [turn(1, "1_1", "1_2", None, None), turn(2, "1_1", "1_2", None)], "1_2": []}
    noisy = kind(noise=0.99)
    for seed in range(50):
        seen = noisy.observe(history, recipient="1_1", round=3, chance=chance_of(seed))
        assert seen == kind().observe(history, recipient="1_1", round=3)


@pytest.mark.parametrize("kind", [Trace, OwnActs, ImageScore, Standing])
def test_in_public_all_misperceive_alike_and_in_private_each_for_itself(kind: Any) -> None:
    history = {"1_1": [turn(1, "1_1", "1_2", 1.0)], "1_2": []}

    def views(rule: Any, seed: int) -> set[Observed]:
        look: dict[str, Any] = {"recipient": "1_1", "round": 2, "chance": chance_of(seed)}
        return {rule.observe(history, **look, observer=f"1_{index}") for index in range(3, 9)}

    assert all(len(views(kind(noise=0.5), seed)) == 1 for seed in range(50))
    assert sum(len(views(kind(noise=0.5, audience="private"), seed)) > 1 for seed in range(50)) > 40


@pytest.mark.parametrize("kind", [Trace, OwnActs, ImageScore, Standing])
def test_one_act_is_misperceived_in_the_same_way_in_every_later_round(kind: Any) -> None:
    history = {"1_1": [turn(1, "1_1", "1_2", 1.0)], "1_2": []}
    rule = kind(noise=0.5, audience="private")
    for seed in range(50):
        look: dict[str, Any] = {"recipient": "1_1", "observer": "1_3", "chance": chance_of(seed)}
        assert len({rule.observe(history, **look, round=round) for round in range(2, 9)}) == 1


def test_a_standing_is_judged_by_what_the_same_observer_saw_of_others() -> None:
    """Keeping from a miser is just, unless the miser was seen to give."""
    history = {"1_1": [turn(2, "1_1", "1_2", 0.0)], "1_2": [turn(1, "1_2", "1_3", 0.0)], "1_3": []}
    rule, places = Standing(noise=0.5, audience="private"), []

    def chance(what: str, *place: int) -> float:
        places.append(place)
        return 0.0 if place[:3] == (1, 1, 2) else 0.9  # the miser's act alone is misperceived

    seen = rule.observe(history, recipient="1_1", round=3, observer="1_7", chance=chance)
    assert seen.reputation == as_standing("bad")
    assert places and all(place[3:] == (1, 7) for place in places)
    assert Standing().observe(history, recipient="1_1", round=3).reputation == as_standing("good")


@pytest.mark.parametrize("settings", PERCEPTIONS)
def test_judgements_that_are_kept_are_those_that_are_made_anew(settings: dict[str, Any]) -> None:
    rule = Standing(of_bad_donors=Assessment(give_to_bad="bad"), **settings)
    for seed in range(30):
        history, judged, chance = random_history(Random(seed)), {}, chance_of(seed)  # type: ignore[var-annotated]
        for round in range(1, 10):
            for recipient, observer in permutations(history, 2):
                look: dict[str, Any] = {"recipient": recipient, "round": round, "observer": observer, "chance": chance}
                assert rule.observe(history, **look, judged=judged) == rule.observe(history, **look)


def test_a_chain_of_judgements_may_be_as_long_as_a_game() -> None:
    history: dict[str, list[TraceItem]] = {"1_1": [], "1_2": []}
    for round in range(1, 10_001):
        donor, recipient = ("1_1", "1_2") if round % 2 else ("1_2", "1_1")
        history[donor].append(turn(round, donor, recipient, 1.0))
    assert reputation(Standing(), history, of="1_1", round=10_001) == "good"


@pytest.mark.parametrize("kind", [Trace, OwnActs, ImageScore, Standing])
def test_with_a_delay_is_shown_what_was_shown_so_many_rounds_before(kind: Any) -> None:
    for seed in range(50):
        history = random_history(Random(seed))
        for round in range(1, 10):
            late = kind(delay=3).observe(history, recipient="1_1", round=round)
            assert late == kind().observe(history, recipient="1_1", round=max(round - 3, 1))


@pytest.mark.parametrize("kind", [Trace, OwnActs, ImageScore, Standing])
def test_recipients_are_known_as_often_as_the_rule_says_anew_in_each_encounter(kind: Any) -> None:
    history = {"1_1": [turn(1, "1_1", "1_2", 1.0)], "1_2": []}
    rule, seen = kind(known=0.7), []
    for seed in range(500):
        for round in (2, 3, 4, 5):
            look: dict[str, Any] = {"recipient": "1_1", "round": round, "observer": "1_3", "chance": chance_of(seed)}
            seen.append(rule.observe(history, **look))
    assert seen.count(Observed()) == pytest.approx(600, abs=70)
    assert set(seen) == {Observed(), kind().observe(history, recipient="1_1", round=2)}
    by_game = {seen[start : start + 4].count(Observed()) for start in range(0, len(seen), 4)}
    assert len(by_game) > 2


NO_EFFECT: dict[str, Any] = {"noise": 0.0, "delay": 0, "known": 1.0, "audience": "public"}


@pytest.mark.parametrize("settings", PERCEPTIONS)
@pytest.mark.parametrize("kind", members(ObservationRule))
def test_agents_are_told_of_noise_delay_and_gaps_where_there_are_any(kind: Any, settings: dict[str, Any]) -> None:
    rule = perceived(kind, settings)
    told = rules_text(rule)
    settings_of_rule = rule.model_dump()
    has = {name: settings_of_rule.get(name, NO_EFFECT[name]) for name in NO_EFFECT}
    assert ("may be wrong" in told) == (has["noise"] > 0)
    assert ("rounds late" in told or "round late" in told) == (has["delay"] > 0)
    assert ("told nothing about the recipient's past" in told) == (has["known"] < 1)
    assert ("something different about the same act" in told) == (has["noise"] > 0 and has["audience"] == "private")
    if has == NO_EFFECT:
        assert told == rules_text(kind())


def rules_text(rule: Any) -> str:
    [first, *_] = Society(SocietyRules(observation=rule), labels="test", seed=0).start().asked
    return load_prompt_set("default").messages(first)[0].content


@pytest.mark.parametrize("kind", [Trace, OwnActs, ImageScore, Standing])
def test_a_donor_that_knows_nothing_is_told_so(kind: Any) -> None:
    asked, _ = play(SocietyRules(generations=1, observation=kind(known=0)), constant(0.5))
    decisions = [request for request in asked if isinstance(request.view, DecisionView)]
    prompts = load_prompt_set("default")
    assert all("Nothing is known about what" in prompts.messages(request)[1].content for request in decisions)


@pytest.mark.parametrize("settings", PERCEPTIONS)
@pytest.mark.parametrize("kind", members(ObservationRule))
def test_no_prompt_holds_what_is_hidden(kind: Any, settings: dict[str, Any]) -> None:
    """Societies whose acts differ from a round on differ in no prompt from before these may be known, but in what
    agents hold."""
    rules = SocietyRules(agents=6, generations=1, observation=perceived(kind, settings))
    prompts = load_prompt_set("default")
    since = 8

    def policy(share: float) -> Policy:
        def answer(request: Request) -> Answer:
            if isinstance(request.view, NoteView):
                return Answer(text=f"gave {request.view.fraction}")
            if not isinstance(request.view, DecisionView):
                return Answer(text="-")
            own = share if request.view.round >= since else 0.5
            return Answer(act="give", amount=own * request.view.resources)

        return answer

    def shown(share: float) -> dict[str, str]:
        asked, _ = play(rules, policy(share))
        return {
            request.key: _without_resources(prompts.messages(request)[1].content)
            for request in asked
            if isinstance(request.view, DecisionView)
            and request.view.round <= since + rules.observation.model_dump().get("delay", 0)
        }

    one, other = shown(0.0), shown(0.9)
    assert one == other and len(one) > 20


def _without_resources(text: str) -> str:
    """Return a prompt without what anyone holds, which every donor is told of itself and its recipient."""
    return re.sub(r"(holds?|between 0 and) [\d.]+", r"\1 N", text)


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
        assert {view.rules.observation.model_dump()["shows_own"] for view in shown} == {is_shown}
        if not is_shown:
            continue
        first = [view.own_reputation for view in shown if view.round == 1]
        assert {own.value for own in first if own} <= {0, "good"}
        givers = [view.own_reputation for view in shown if view.round == 12 and int(view.name[-1]) % 2]
        misers = [view.own_reputation for view in shown if view.round == 12 and not int(view.name[-1]) % 2]
        assert all(own and own.value in ("good", 5) for own in givers)
        assert any(own and own.value in ("bad", -5) for own in misers)
