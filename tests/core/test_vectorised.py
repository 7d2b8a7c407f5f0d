"""Many societies at once are the same societies: every number is compared with the ordinary path's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.core.answers import Answer
from agentsim.core.facts import Donated, Event, GameEnded, GenerationEnded, StrategyFormed, born_and_index
from agentsim.core.games import DictatorGame, DonorGame, Punishment
from agentsim.core.gifts import FixedGift, UnitGift
from agentsim.core.groups import Groups
from agentsim.core.observation import Assessment, Gossip, ImageScore, Nothing, OwnActs, Standing, Trace
from agentsim.core.pairing import Alternating, RandomMatching, Released
from agentsim.core.policies import (
    AllGive,
    AllKeep,
    ConstantShare,
    Discriminator,
    Draw,
    Policy,
    RandomShare,
    ScriptedPlayer,
    Traits,
)
from agentsim.core.requests import DecisionView
from agentsim.core.rng import stream, uniform
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import (
    BirthDeath,
    DeathBirth,
    Drift,
    Nobody,
    Proportional,
    SelectionRule,
    Staggered,
    Top,
    Tournament,
)
from agentsim.core.society import Society
from agentsim.core.transmission import Advice, Copy, NoStrategy, OneParent, SomeParents, TransmissionRule
from agentsim.core.vectorised import ManySocieties, games, play_many, societies, without_twin
from agentsim.core.vectorised.streams import first_numbers
from agentsim.errors import AgentsimError, ScenarioError
from tests.core.test_closed_forms import MEANS, SHARES
from tests.core.test_rules import RULES as EVERY
from tests.core.test_rules import members

MIXED: list[ScriptedPlayer] = [
    Discriminator(share=0.7),
    AllKeep(),
    RandomShare(),
    ConstantShare(share=0.3),
    Discriminator(),
    AllGive(),
]


def ordinary(
    rules: SocietyRules, players: Sequence[ScriptedPlayer], *, seed: int
) -> tuple[list[Event], dict[str, ScriptedPlayer]]:
    """Return the facts of one society played by `Society`, and who played each agent."""
    different = list(dict.fromkeys(players))
    society = Society(rules, labels=[f"scripted/{different.index(each)}" for each in players], seed=seed)
    facts, waiting = society.start()
    while waiting:
        request = waiting.pop()
        view, answer = request.view, Answer(text="as before")
        if isinstance(view, DecisionView):
            generation, game, round, donor = request.key.split("/")
            place = int(generation[1:]), int(game[4:]), int(round[1:]), *born_and_index(donor)
            own = different[int(society.label_of(donor).removeprefix("scripted/"))]
            share = own.decide(view, partial(uniform, "policy", seed, *place))
            answer = Answer(act="give", amount=view.rules.donor_game.gift.amount(share, view.resources))
        step = society.answer(request, answer)
        facts.extend(step.events)
        waiting.extend(step.asked)
    formed = [fact.agent for fact in facts if isinstance(fact, StrategyFormed)]
    return facts, {agent.id: different[int(agent.label.removeprefix("scripted/"))] for agent in formed}


FROM: tuple[Literal["vacancy", "parent", "share"], ...] = ("vacancy", "parent", "share")


def names(many: ManySocieties, society: int, generation: int) -> list[str]:
    both = zip(many.born[society, generation], many.index[society, generation], strict=True)
    return [f"{born}_{index}" for born, index in both]


def assert_same(rules: SocietyRules, players: Sequence[ScriptedPlayer], seeds: Sequence[int]) -> None:
    """Every number of every society is the ordinary path's, bit by bit; means are to twelve digits."""
    many = play_many(rules, players, seeds=seeds, keeps_encounters=True)
    for society, seed in enumerate(seeds):
        facts, player = ordinary(rules, players, seed=seed)
        slots = {
            (generation, name): slot
            for generation in range(rules.generations)
            for slot, name in enumerate(names(many, society, generation))
        }
        parents = {fact.agent.id: " ".join(fact.agent.parents) for fact in facts if isinstance(fact, StrategyFormed)}
        fractions: dict[int, list[float]] = {}
        n_met = 0
        for fact in facts:
            row = fact.generation - 1
            if isinstance(fact, GenerationEnded):
                own = names(many, society, row)
                assert own == sorted(fact.scores)
                assert many.scores[society, row].tolist() == [fact.scores[name] for name in own]
                assert [many.players[number] for number in many.player[society, row]] == [player[name] for name in own]
                if row and rules.transmission.copies:
                    before = names(many, society, row - 1)
                    found_parents = [before[slot] for slot in many.parent[society, row]]
                    assert found_parents == [name if name in before else parents[name] for name in own]
                mean = many.mean_final_resources[society, row]
                assert mean == pytest.approx(fact.mean_final_resources, rel=1e-12)
                if row < rules.generations - 1:
                    assert [own[slot] for slot in many.survivors[society, row]] == list(fact.survivors)
            elif isinstance(fact, GameEnded):
                resources = many.resources[society, row, fact.game - 1].tolist()
                assert resources == [fact.resources[name] for name in names(many, society, row)]
            elif isinstance(fact, Donated):
                n_met += 1
                donor, recipient = slots[row, fact.donor], slots[row, fact.recipient]
                met = {
                    name: values[society, row, fact.game - 1, fact.round - 1]
                    for name, values in many.encounters.items()
                }
                [pair] = np.flatnonzero(met["donor"] == donor)
                assert met["recipient"][pair] == recipient
                found = [met[name][pair] for name in ("donor_before", "recipient_before", "amount")]
                assert found == [fact.donor_before, fact.recipient_before, fact.amount]
                fraction = met["fraction"][pair]
                assert np.isnan(fraction) if fact.fraction is None else fraction == fact.fraction
                # What failed says nothing of what its donor decided.
                decided = [] if fact.fraction is None or fact.intended is not None else [fact.fraction]
                fractions.setdefault(row, []).extend(decided)
        assert n_met == (many.encounters["donor"][society] >= 0).sum() == rules.n_encounters(seed)
        lengths = [rules.game.n_rounds(seed, generation=row + 1) for row in range(rules.generations)]
        assert many.n_rounds[society].tolist() == lengths
        for row, given_ in fractions.items():
            assert many.n_gifts[society, row].sum() == len(given_)
            assert many.mean_fraction[society, row] == pytest.approx(np.mean(given_), rel=1e-12)


SMALL = SocietyRules(agents=6, generations=3, game=DonorGame(rounds=5))
LEADING = Assessment(give_to_good="good", give_to_bad="bad", keep_from_good="bad", keep_from_bad="good")
THIRD = Assessment(give_to_good="good", give_to_bad="good", keep_from_good="bad", keep_from_bad="bad")
RULES: list[dict[str, Any]] = [
    {},
    {"pairing": Released()},
    {"pairing": RandomMatching()},
    {"agents": 12, "generations": 11, "game": DonorGame(rounds=2), "selection": Top(fraction=0.75)},  # 10_1 < 1_1 < 2_1
    {"game": DonorGame(rounds=7, games=3, multiplier=3, endowment=7.3, punishment=Punishment())},
    {"game": DonorGame(rounds=1, games=1)},
    {"agents": 2},
    {"agents": 7, "pairing": RandomMatching(), "observation": OwnActs()},
    {"game": DonorGame(rounds=5, error=0.3)},
    {"game": DonorGame(rounds=6, error=0.3), "observation": Standing(noise=0.1), "pairing": RandomMatching()},
    {"game": DonorGame(rounds=2, continuation=0.8), "observation": ImageScore()},
    {"game": DonorGame(rounds=3, continuation=0.9, max_rounds=9), "pairing": RandomMatching()},
    {"game": DonorGame(rounds=7, gift=FixedGift())},
    {"game": DonorGame(rounds=9, gift=FixedGift(cost=4, benefit=5), error=0.1), "observation": Standing()},
    {"game": DonorGame(rounds=9, gift=FixedGift(cost=3, benefit=0.5)), "pairing": RandomMatching()},
    {"game": DonorGame(rounds=7, gift=UnitGift(), multiplier=1.7)},
    {"game": DonorGame(rounds=7, gift=UnitGift(step=3), error=0.2), "observation": ImageScore()},
    {"observation": Nothing()},
    {"observation": Trace(depth=0)},
    {"observation": Trace(depth=1), "pairing": RandomMatching()},
    {"observation": OwnActs(depth=2)},
    {"observation": OwnActs(depth=9), "pairing": RandomMatching()},
    {"observation": ImageScore(threshold=0.4), "game": DonorGame(rounds=12)},
    {"observation": ImageScore(), "pairing": RandomMatching()},
    {"observation": Standing()},
    {"observation": Standing(assessment=LEADING), "pairing": RandomMatching()},
    {"observation": Standing(assessment=LEADING, of_bad_donors=THIRD, threshold=0.6), "game": DonorGame(rounds=9)},
    {"selection": Top(score="last_game", fraction=0.34)},
    {"selection": Proportional()},
    {"selection": Tournament(size=3)},
    {"selection": Drift(fraction=0.67)},
    {"selection": Nobody()},
    {"transmission": Advice(scores=False)},
    {"transmission": OneParent()},
    {"transmission": SomeParents(n=2)},
    {"transmission": Copy(), "generations": 4},
    {"transmission": Copy(), "selection": Drift(), "agents": 10},
]


@pytest.mark.parametrize("changed", RULES, ids=lambda changed: ", ".join(map(str, changed.values())) or "default")
def test_the_same_comes_out_as_one_by_one(changed: dict[str, Any]) -> None:
    rules = SMALL.model_copy(update=changed)
    mixed = [MIXED[place % len(MIXED)] for place in range(rules.agents)]
    assert_same(rules, mixed, seeds=[0, 7, 2**53 - 1])
    alike: list[ScriptedPlayer] = [Discriminator(), RandomShare(), AllGive()]
    for player in alike:
        assert_same(rules, [player] * rules.agents, seeds=[0, 7])


@pytest.mark.parametrize("rule", EVERY)
def test_every_rule_is_the_same_for_every_policy(rule: dict[str, Any]) -> None:
    """New rules and policies are found in the registry."""
    rules = SMALL.model_copy(update=rule)
    policies: list[Any] = [kind() for kind in members(ScriptedPlayer)]
    for start in range(0, len(policies), 3):
        some = (policies[start : start + 3] * 6)[:6]
        assert_same(rules, some, seeds=[start, 77])


LEARNING: list[TransmissionRule] = [
    *(kind(model_from=source) for kind in (Advice, OneParent, SomeParents, Copy, NoStrategy) for source in FROM),
    Advice(scores=False, model_from="parent"),
    Advice(rewrite=True),
    Copy(chances="by_score"),
    NoStrategy(chances="by_score", model_from="parent"),
    OneParent(chances="by_score", model_from="parent"),
    SomeParents(n=2, chances="by_score", model_from="parent", scores=False),
]


@pytest.mark.parametrize(
    "selection",
    [
        Top(fraction=0.4),
        DeathBirth(),
        DeathBirth(replaced=3),
        BirthDeath(),
        BirthDeath(replaced=4),
        Staggered(replaced=2),
        Drift(),
        Proportional(fraction=0.7),
    ],
    ids=str,
)
@pytest.mark.parametrize("transmission", LEARNING, ids=str)
def test_newborns_have_the_same_players(selection: SelectionRule, transmission: TransmissionRule) -> None:
    game = DonorGame(rounds=3)
    rules = SocietyRules(agents=10, generations=4, selection=selection, transmission=transmission, game=game)
    assert_same(rules, (MIXED * 2)[:10], seeds=[0, 9])


BADLY_KNOWN: list[dict[str, Any]] = [
    {"noise": 0.3},
    {"noise": 0.3, "audience": "private"},
    {"delay": 2},
    {"known": 0.6},
    {"noise": 0.2, "delay": 1, "known": 0.7, "audience": "private"},
]


@pytest.mark.parametrize("known", BADLY_KNOWN, ids=str)
@pytest.mark.parametrize("pairing", [Alternating(), RandomMatching()], ids=["alternating", "random"])
@pytest.mark.parametrize("kind", [Trace, OwnActs, ImageScore, Standing])
def test_what_is_known_badly_is_known_as_badly(kind: Any, pairing: Any, known: dict[str, Any]) -> None:
    rules = SMALL.model_copy(
        update={"observation": kind(**known), "pairing": pairing, "game": DonorGame(rounds=8), "generations": 2}
    )
    mixed: list[ScriptedPlayer] = [Discriminator(), Discriminator(threshold=0.5), *MIXED[:4]]
    assert_same(rules, mixed, seeds=[0, 7, 11])
    exact = play_many(rules.model_copy(update={"observation": kind()}), mixed, seeds=range(20))
    assert (play_many(rules, mixed, seeds=range(20)).resources != exact.resources).any()


@pytest.mark.parametrize("known", [{}, {"noise": 0.3, "audience": "private", "delay": 1, "known": 0.8}], ids=str)
@pytest.mark.parametrize("pairing", [Alternating(), RandomMatching()], ids=["alternating", "random"])
@pytest.mark.parametrize("kind", [ImageScore, Standing])
def test_policies_know_as_much_of_themselves(kind: Any, pairing: Any, known: dict[str, Any]) -> None:
    policies: list[Any] = [each() for each in members(ScriptedPlayer)]
    rules = SocietyRules(
        agents=12, generations=2, observation=kind(shows_own=True, **known), pairing=pairing, game=DonorGame(error=0.1)
    )
    assert_same(rules, (policies * 2)[:12], seeds=[0, 5])


@given(
    seed=st.integers(0, 2**53 - 1),
    agents=st.sampled_from([2, 4, 8]),
    rounds=st.integers(1, 9),
    games=st.integers(1, 3),
    pairing=st.sampled_from([Alternating(), Released(), RandomMatching()]),
    observation=st.sampled_from([Trace(depth=1), Trace(), OwnActs(), ImageScore(), Standing()]),
    players=st.lists(st.sampled_from(MIXED), min_size=8, max_size=8),
)
@settings(max_examples=30, deadline=None)
def test_any_society_is_the_same_as_by_itself(
    seed: int, agents: int, rounds: int, games: int, pairing: Any, observation: Any, players: list[ScriptedPlayer]
) -> None:
    game = DonorGame(rounds=rounds, games=games)
    rules = SocietyRules(agents=agents, generations=2, game=game, pairing=pairing, observation=observation)
    assert_same(rules, players[:agents], seeds=[seed, seed + 1])


@pytest.mark.parametrize("kind", ["alternating", "released"])
@pytest.mark.parametrize(("share", "index"), [(share, index) for index, share in enumerate(SHARES)])
def test_constant_shares_end_at_the_published_mean(kind: str, share: float, index: int) -> None:
    pairing = {"alternating": Alternating(), "released": Released()}[kind]
    rules = SocietyRules(pairing=pairing, generations=1)
    many = play_many(rules, ConstantShare(share=share), seeds=range(5))
    expected = MEANS[kind][index]
    assert many.mean_final_resources == pytest.approx(expected, abs=0.54 if expected > 400 else 0.051)
    assert many.mean_fraction == pytest.approx(share)


@pytest.mark.parametrize("multiplier", [0.5, 1.5, 3])
def test_resources_are_conserved_but_for_gifts_that_grow(multiplier: float) -> None:
    rules = SMALL.model_copy(update={"game": DonorGame(rounds=6, multiplier=multiplier)})
    many = play_many(rules, MIXED, seeds=range(50), keeps_encounters=True)
    grown = (multiplier - 1) * many.encounters["amount"].sum(axis=(3, 4))
    assert many.resources.min() >= 0
    assert many.resources.sum(axis=3) == pytest.approx(6 * 10 + grown)


@pytest.mark.parametrize("observation", [Trace(), OwnActs(noise=0.2, audience="private"), Standing(noise=0.2)])
def test_games_side_by_side_are_the_games_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, observation: Any
) -> None:
    rules = SMALL.model_copy(
        update={"observation": observation, "game": DonorGame(rounds=5, games=3, continuation=0.5)}
    )
    aside = play_many(rules, MIXED, seeds=range(9), keeps_encounters=True)
    monkeypatch.setattr(games, "FEW", 0)
    assert_same(rules, MIXED, seeds=[0, 5])
    after = play_many(rules, MIXED, seeds=range(9), keeps_encounters=True)
    assert (aside.resources == after.resources).all()
    for name, values in aside.encounters.items():
        assert np.array_equal(np.sort(values, axis=-1), np.sort(after.encounters[name], axis=-1), equal_nan=True)


def test_a_society_is_the_same_whichever_others_are_played_with_it() -> None:
    seeds = [3, 900_000, 12, 3]
    alone = [play_many(SMALL, MIXED, seeds=[seed]) for seed in seeds]
    together = play_many(SMALL, MIXED, seeds=[*seeds, *range(100, 3000)])
    for place, each in enumerate(alone):
        assert (each.resources[0] == together.resources[place]).all()
        assert (each.player[0] == together.player[place]).all()


def test_a_copy_has_its_parents_player_and_a_survivor_is_itself() -> None:
    rules = SMALL.model_copy(update={"transmission": Copy(), "generations": 6})
    many = play_many(rules, MIXED, seeds=range(40))
    for society in range(40):
        for row in range(1, 6):
            for slot, parent in enumerate(many.parent[society, row]):
                assert many.player[society, row, slot] == many.player[society, row - 1, parent]
                assert parent in many.survivors[society, row - 1]
                if many.born[society, row, slot] <= row:
                    assert names(many, society, row)[slot] == names(many, society, row - 1)[parent]
    assert (many.share_of(0) + many.share_of(1) <= 1).all() and (many.share_of(1)[:, -1] > many.share_of(1)[:, 0]).any()


def test_the_first_numbers_of_many_streams_are_those_of_each() -> None:
    every = [f"{seed}/pairing/{generation}/1" for seed in (0, 5, 123, 99_999, 2**53) for generation in range(1, 201)]
    for n in (1, 12, 313):
        found = first_numbers([name.encode() for name in every], n)
        for place in range(0, len(every), 71):
            rng = Random(every[place])
            assert found[:, place].tolist() == [rng.random() for _ in range(n)]
    assert Random("3/selection/2").random() == stream(3, "selection", 2).random()


def test_what_cannot_be_played_is_refused_by_name() -> None:
    with pytest.raises(ScenarioError, match=r"5 for 6 agents"):
        play_many(SMALL, MIXED[:5], seeds=[0])
    rules = SMALL.model_copy(update={"game": DictatorGame(rounds=2)})
    with pytest.raises(ScenarioError, match=r"game.kind: 'dictator': encounters are kept of the donor game alone"):
        play_many(rules, AllGive(), seeds=[0], keeps_encounters=True)


class Drawn(DonorGame):
    """A donor game with a setting that no twin knows."""

    luck: float = 0


class Blurred(Trace):
    """A trace with a setting that no twin knows."""

    blur: float = 0


class Alone(Policy):
    """Gives a share by chance, and has no `decide_many`."""

    model: Literal["scripted/alone"] = "scripted/alone"

    @property
    def traits(self) -> Traits:
        return Traits(order=0, is_nice=True, is_forgiving=True, is_stochastic=True, is_graded=False)

    def decide(self, view: DecisionView, draw: Draw) -> float:
        return draw() / 2


class LastOnes(Top):
    """Scores are those of the last game, doubled."""

    def scores(self, final_resources: Sequence[Mapping[str, float]]) -> dict[str, float]:
        return {agent: 2 * score for agent, score in final_resources[-1].items()}


@pytest.mark.parametrize(
    ("changes", "more", "lacking"),
    [
        ({"observation": Blurred(blur=0.5)}, [], ["observation.blur: 0.5"]),
        ({"observation": Gossip()}, [], ["observation.kind: 'gossip'"]),
        ({"game": Drawn(rounds=3, error=0.2, luck=0.5)}, [], ["game.luck: 0.5"]),
        ({"selection": LastOnes(), "transmission": Copy()}, [], ["selection.kind: 'top'"]),
        ({"pairing": RandomMatching(), "agents": 7}, [Alone()], ["players.model: 'scripted/alone'"]),
    ],
)
def test_what_has_no_twin_is_played_one_by_one_and_comes_to_the_same(
    changes: dict[str, Any], more: list[ScriptedPlayer], lacking: list[str]
) -> None:
    rules = SMALL.model_copy(update={"game": DonorGame(rounds=3, error=0.2, continuation=0.5), **changes})
    players = [*MIXED, *more]
    assert without_twin(rules, players) == lacking
    assert_same(rules, players, seeds=range(3))
    assert not play_many(rules, players, seeds=[0]).encounters
    assert without_twin(SMALL.model_copy(update={"observation": Blurred()}), MIXED) == []


@pytest.mark.parametrize("changes", RULES[:12])
def test_one_by_one_is_what_many_at_once_is(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    rules = SMALL.model_copy(update=changes)
    players = (MIXED * 2)[: rules.agents]
    at_once = play_many(rules, players, seeds=range(3), keeps_encounters=True)
    monkeypatch.setattr(societies, "without_twin", lambda rules, players: ["x"] * bool(players))
    alone = play_many(rules, players, seeds=range(3), keeps_encounters=True)
    for name in (
        "n_rounds",
        "born",
        "index",
        "player",
        "parent",
        "resources",
        "scores",
        "survivors",
        "given",
        "n_gifts",
    ):
        np.testing.assert_array_equal(getattr(alone, name), getattr(at_once, name), err_msg=name)
    for name, values in at_once.encounters.items():
        np.testing.assert_array_equal(np.sort(alone.encounters[name]), np.sort(values), err_msg=name)


def test_no_seeds_are_no_societies() -> None:
    many = play_many(SMALL, MIXED, seeds=[])
    assert many.mean_final_resources.shape == (0, 3) and many.seeds == ()


def test_a_setting_of_societies_is_played_here_or_refused() -> None:
    known = {"agents", "generations", "game", "pairing", "observation", "selection", "transmission"}
    refused = {"groups"}
    assert set(SocietyRules.model_fields) == known | refused
    grouped = SMALL.model_copy(update={"groups": Groups(number=2)})
    assert without_twin(grouped, [AllGive()]) == ["groups.number: 2"]


def test_resources_beyond_counting_are_an_error() -> None:
    with pytest.raises(AgentsimError, match="grow beyond what can be counted"):
        play_many(SMALL.model_copy(update={"game": DonorGame(rounds=900, multiplier=1e3)}), AllGive(), seeds=[0])
