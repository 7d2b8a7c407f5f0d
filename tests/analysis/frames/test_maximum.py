"""The highest mean final resources of a schedule, against all that donors could do in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.analysis.frames.maximum import highest_mean_of_first
from agentsim.analysis.frames.study import Study
from agentsim.core.answers import Answer
from agentsim.core.facts import Donated
from agentsim.core.gifts import FixedGift
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society
from tests.orchestrator.test_study import Fake, play


def rules(gift: dict[str, Any], **game: Any) -> SocietyRules:
    setting = {"kind": "donor", "gift": gift, "rounds": 3, "games": 1, "endowment": 3, **game}
    return SocietyRules.model_validate({"agents": 4, "generations": 1, "pairing": {"kind": "random"}, "game": setting})


def best_of_all(rules: SocietyRules, *, seed: int) -> float:
    """Return the highest mean over all gifts that the donors of the schedule could make, found by trying them all."""
    society = Society(rules, labels="scripted/all-keep", seed=seed)
    waiting, met = society.start().asked, []
    while waiting:
        step = society.answer(waiting.pop(), Answer(act="give", amount=0.0))
        waiting.extend(step.asked)
        met += [event for event in step.events if isinstance(event, Donated)]
    schedule = [(event.donor, event.recipient) for event in sorted(met, key=lambda event: event.round)]
    game = rules.donor_game
    assert game.one_endowment is not None

    def amounts(held: float) -> Iterator[float]:
        if isinstance(game.gift, FixedGift):
            yield from (0.0, game.gift.cost)[: 2 if held >= game.gift.cost else 1]
        else:
            yield from (float(amount) for amount in range(int(held) + 1))

    def best(held: dict[str, float], at: int) -> float:
        if at == len(schedule):
            return sum(held.values())
        donor, recipient = schedule[at]
        return max(
            best({**held, donor: held[donor] - one, recipient: held[recipient] + game.received(one)}, at + 1)
            for one in amounts(held[donor])
        )

    agents = {agent for pair in schedule for agent in pair}
    return best(dict.fromkeys(agents, game.one_endowment), 0) / rules.agents


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("gift", "game"),
    [
        ({"kind": "fixed", "cost": 1, "benefit": 3}, {}),
        ({"kind": "fixed", "cost": 1, "benefit": 1.5}, {"rounds": 4, "endowment": 4}),
        ({"kind": "fixed", "cost": 2, "benefit": 1}, {}),
        ({"kind": "units", "step": 1}, {"endowment": 2}),
        ({"kind": "units", "step": 1}, {"endowment": 1, "multiplier": 3}),
        ({"kind": "units", "step": 1}, {"multiplier": 0.5}),
    ],
)
def test_no_gifts_that_donors_could_make_earn_more(gift: dict[str, Any], game: dict[str, Any], seed: int) -> None:
    own = rules(gift, **game)
    assert highest_mean_of_first(own, seed=seed) == pytest.approx(best_of_all(own, seed=seed))


def test_where_holdings_could_run_out_the_maximum_of_fixed_gifts_is_not_known() -> None:
    """Giving always may then be impossible, and to know the most one would have to try all."""
    own = rules({"kind": "fixed", "cost": 2, "benefit": 3})
    found = [(highest_mean_of_first(own, seed=seed), best_of_all(own, seed=seed)) for seed in range(20)]
    bound = 3 + 6 * (3 - 2) / 4
    assert {most for most, best in found if best < bound} == {None}
    assert {most for most, _ in found} == {None, bound}
    assert all(most is None or most == best for most, best in found)


def test_a_donor_that_holds_the_cost_exactly_can_give_and_one_that_holds_less_by_a_rounding_cannot() -> None:
    pair = {"agents": 2, "generations": 1, "pairing": {"kind": "random"}}
    for endowment, most in ((0.3, None), (0.1, 0.1 + 0.1 / 2)):  # 0.3 - 0.1 - 0.1 is a little less than 0.1
        rounds = 3 if most is None else 1
        game = {"kind": "donor", "gift": {"kind": "fixed", "cost": 0.1, "benefit": 0.2}, "games": 1}
        own = SocietyRules.model_validate({**pair, "game": {**game, "endowment": endowment, "rounds": rounds}})
        found = [highest_mean_of_first(own, seed=seed) for seed in range(40)]
        assert (None in found) == (most is None)
        assert most is None or found == pytest.approx([most] * 40)


@pytest.mark.parametrize(
    ("gift", "game"),
    [
        ({"kind": "units", "step": 1}, {"multiplier": 1.5}),  # 1.5 units of 1 cannot be passed on whole
        ({"kind": "units", "step": 2}, {}),  # 3 units are no whole steps
    ],
)
def test_of_units_that_break_the_maximum_is_not_known(gift: dict[str, Any], game: dict[str, Any]) -> None:
    assert highest_mean_of_first(rules(gift, **game), seed=0) is None


def played(tmp_path: Path, players: Any, **game: Any) -> Study:
    setting = {
        "kind": "donor",
        "rounds": 6,
        "endowment": 20,
        "gift": {"kind": "fixed", "cost": 1, "benefit": 3},
        **game,
    }
    name = str(players).encode().hex()[-12:]
    return agentsim.load(
        play(
            tmp_path / name, Fake(), agents=4, generations=3, players=players, game=setting, pairing={"kind": "random"}
        ).folder
    )


def test_the_efficiency_of_fixed_gifts_is_the_share_of_encounters_with_a_gift(tmp_path: Path) -> None:
    some = [{"model": "scripted/all-give", "agents": 3}, {"model": "scripted/all-keep", "agents": 1}]
    for players in ({"model": "scripted/all-give"}, {"model": "scripted/all-keep"}, some):
        study = played(tmp_path, players)
        # 12 encounters of each of two games add 3 - 1 units, shared by four agents
        assert study.generations["maximum"].tolist() == [20 + 12 * 2 / 4] * 3
        assert study.generations["minimum"].tolist() == [20] * 3
        found = agentsim.measures.efficiency(study.generations, study.runs)["efficiency"]
        given = study.encounters.groupby("generation")["fraction"].mean()
        assert found.tolist() == pytest.approx(given.tolist())
        [risen] = agentsim.measures.take_off(study.generations, study.runs).to_dict("records")
        assert risen["efficiency"] == found.iloc[-1] and risen["took_off"] == (found.iloc[-1] >= 0.7)
        assert agentsim.summary(study)["efficiency"].tolist() == [found.iloc[-1]]


def test_failed_acts_are_encounters_without_a_gift(tmp_path: Path) -> None:
    study = played(tmp_path, {"model": "scripted/all-give"}, error=0.3)
    found = agentsim.measures.efficiency(study.generations, study.runs)["efficiency"]
    failed = (study.encounters["amount"] == 0).groupby(study.encounters["generation"]).mean()
    assert failed.gt(0).any() and found.tolist() == pytest.approx((1 - failed).tolist())


def test_the_efficiency_is_missing_where_the_maximum_is_not_known_or_nothing_can_be_gained(tmp_path: Path) -> None:
    poor = played(tmp_path / "poor", {"model": "scripted/all-give"}, endowment=1)
    assert poor.generations["maximum"].isna().all() and poor.runs["maximum"].isna().all()
    dear = played(tmp_path / "dear", {"model": "scripted/all-give"}, gift={"kind": "fixed", "cost": 2, "benefit": 1})
    assert dear.generations["maximum"].tolist() == [20] * 3
    for study in (poor, dear):
        assert agentsim.measures.efficiency(study.generations, study.runs)["efficiency"].isna().all()
        assert agentsim.measures.take_off(study.generations, study.runs)["took_off"].isna().all()


def test_whole_units_that_stay_whole_multiply_as_shares_do(tmp_path: Path) -> None:
    study = played(tmp_path, {"model": "scripted/all-give"}, gift={"kind": "units"}, endowment=10)
    shares = played(tmp_path / "shares", {"model": "scripted/all-give"}, gift={"kind": "share"}, endowment=10)
    assert study.runs["gift"].tolist() == ["units"] and shares.runs["gift"].tolist() == ["share"]
    assert study.generations["maximum"].tolist() == shares.generations["maximum"].tolist()
    both = [agentsim.measures.efficiency(one.generations, one.runs)["efficiency"].tolist() for one in (study, shares)]
    assert both[0] == both[1] and both[0][0] > 0


def test_a_mixed_society_has_a_summary_by_model(tmp_path: Path) -> None:
    some = [{"model": "scripted/all-give", "agents": 2}, {"model": "scripted/all-keep", "agents": 2}]
    study = played(tmp_path, some)
    parts = agentsim.summary(agentsim.players_apart(study))
    parts = parts.set_index(parts["run"].str.split(": ").str[1])
    scores = study.agents[study.agents["generation"] == 3].groupby("model")["score"].mean()
    assert parts["efficiency"].to_dict() == pytest.approx(((scores - 20) / 6).to_dict())
