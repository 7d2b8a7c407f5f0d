"""Power: against the t test's, against its own size, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower  # type: ignore[import-untyped]

from agentsim.analysis.compare import Design
from agentsim.analysis.power import BOUNDARIES, pilot_of, pilot_of_scores, power
from agentsim.analysis.published import curves
from agentsim.errors import AgentsimError
from tests.analysis.test_compare import A, B, study

CLAUDE = curves().query("model.str.startswith('claude') and not punishment and generation == 10")


def test_many_seeds_have_the_power_of_the_t_test() -> None:
    found = power(1.0, effect=np.exp(0.5), n_studies=600)
    assert found.seeds is not None
    wanted = TTestIndPower().solve_power(effect_size=0.5, alpha=0.05, power=0.8)
    assert found.seeds == pytest.approx(wanted, rel=0.1)


def test_many_pairs_have_the_power_of_the_paired_t_test() -> None:
    found = power(1.0, effect=np.exp(0.5), design="paired", n_studies=600)
    assert found.seeds is not None
    wanted = TTestPower().solve_power(effect_size=0.5, alpha=0.05, power=0.8)
    assert found.seeds == pytest.approx(wanted, rel=0.15)


def test_nothing_to_find_is_found_as_often_as_chance_allows() -> None:
    found = power(1.0, effect=1 + 1e-9, target=0.02, n_studies=1000)
    assert found.table["power"].iloc[0] == pytest.approx(2 / 70, abs=0.015)  # the only significant outcomes of 4 + 4


@pytest.mark.parametrize(("design", "least"), [("unpaired", 4), ("paired", 6)])
def test_fewer_seeds_than_can_reach_p_are_never_enough(design: Design, least: int) -> None:
    found = power(0.01, effect=100, design=design, n_studies=200)
    assert (found.seeds, found.table["seeds"].tolist()) == (least, [least])
    assert any(f"{least} " in note and "are the fewest that can reach p < 0.05" in note for note in found.notes)


def test_a_paired_pilot_has_the_spread_of_its_differences() -> None:
    pilot = pilot_of(study({"a": A, "b": B}), design="paired")
    differences = np.log([A[seed] / B[seed] for seed in A])
    assert pilot.design == "paired" and pilot.freedom == 5
    assert pilot.spread == pytest.approx(np.std(differences, ddof=1))


def test_the_spread_of_runs_is_widened_once() -> None:
    pilot = pilot_of(study({"a": A}))
    assert pilot.design == "unpaired" and pilot.freedom == 5
    assert pilot.spread == pytest.approx(np.std(np.log(list(A.values())), ddof=1), rel=1e-9)


def test_the_published_runs_of_claude_need_38_seeds_for_a_doubling() -> None:
    pilot = pilot_of_scores(CLAUDE["mean_final_resources"].to_numpy(dtype=float))
    found = power(pilot, effect=2)
    assert found.seeds == 38
    wanted = TTestIndPower().solve_power(effect_size=np.log(2) / pilot.spread, alpha=0.05, power=0.8)
    assert found.seeds == pytest.approx(wanted, abs=1.5)
    assert found.fewest is not None and found.most is not None
    assert found.fewest < 20 and found.most > 250  # five runs say little of their spread
    assert [len(each.looks) for each in found.sequential] == [2, 3]
    for each in found.sequential:
        assert 38 <= each.looks[-1] <= 42 and each.expected < 36
        assert each.power == pytest.approx(0.8, abs=0.02)


def test_looks_at_too_few_seeds_to_stop_are_not_offered() -> None:
    assert power(0.5, effect=8, n_studies=200).sequential == ()  # 2 seeds of 4 cannot reach p < 0.0052


def test_the_boundaries_of_looks_err_in_five_of_a_hundred_studies() -> None:
    rng = np.random.default_rng(0)
    for n_looks, constant in BOUNDARIES.items():
        sums = rng.normal(size=(400_000, n_looks)).cumsum(axis=1)
        looks = np.arange(1, n_looks + 1)
        crossed = np.abs(sums / np.sqrt(looks)) >= constant * np.sqrt(n_looks / looks)
        assert crossed.any(axis=1).mean() == pytest.approx(0.05, abs=0.0015)


def test_calls_and_money_are_those_of_both_models() -> None:
    pilot_study = study({"a": A, "b": B})
    pilot_study.runs["n_replies"] = 100
    pilot_study.runs["cost_usd"] = 0.5
    found = power(pilot_of(pilot_study), effect=50, n_studies=200)
    assert found.table[["calls", "cost_usd"]].iloc[0].tolist() == [4 * 200, 4 * 1.0]
    pilot_study.runs.loc[0, "cost_usd"] = None
    assert power(pilot_of(pilot_study), effect=50, n_studies=200).table["cost_usd"].isna().all()  # unpriced is not 0


@pytest.mark.parametrize(
    ("effect", "target", "what"), [(1, 0.8, "ratio above 0"), (-2, 0.8, "ratio above 0"), (2, 1, "share above 0")]
)
def test_what_makes_no_sense_is_refused(effect: float, target: float, what: str) -> None:
    with pytest.raises(AgentsimError, match=what):
        power(1.0, effect=effect, target=target)


def test_pilots_that_say_nothing_are_refused() -> None:
    with pytest.raises(AgentsimError, match="needs at least 3 complete runs"):
        pilot_of(study({"a": {0: 1.0, 1: 2.0}}))
    with pytest.raises(AgentsimError, match="ended at 0 units"):
        pilot_of(study({"a": A | {9: 0.0}}))
    with pytest.raises(AgentsimError, match="do not vary"):
        power(pilot_of(study({"a": dict.fromkeys(A, 5.0)})), effect=2)


def test_the_published_runs_are_whole() -> None:
    frame = curves()
    assert len(frame) == 300 and not frame.isna().any(axis=None)
    last = frame[(frame["generation"] == 10) & ~frame["punishment"]]
    means = last.groupby("model")["mean_final_resources"].mean()
    order = [str(model) for model in means.sort_values().index]
    assert order[0].startswith("gpt-4o") and order[-1].startswith("claude-3-5-sonnet")


def test_one_seed_twice_in_a_group_is_no_pilot() -> None:
    twice = study({"a": A, "b": B})
    twice.runs["model"] = "a"
    with pytest.raises(AgentsimError, match="more than once"):
        pilot_of(twice)
