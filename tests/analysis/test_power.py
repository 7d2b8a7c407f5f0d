"""Power: against the t test's, against its own size, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower  # type: ignore[import-untyped]

from agentsim.analysis.power import pilot_of, power
from agentsim.analysis.published import published
from agentsim.errors import AgentsimError
from tests.analysis.test_compare import A, B, study


def test_many_seeds_have_the_power_of_the_t_test() -> None:
    found = power(1.0, effect=np.exp(0.5), n_studies=1500)
    assert found.seeds is not None
    wanted = TTestPower().solve_power(effect_size=0.5, alpha=0.05, power=0.8)
    assert found.seeds == pytest.approx(wanted, rel=0.15)


def test_nothing_to_find_is_found_as_often_as_chance_allows() -> None:
    found = power(1.0, effect=1 + 1e-9, target=0.06, n_studies=1000)
    assert found.table["power"].iloc[0] == pytest.approx(0.03125, abs=0.02)  # the only significant outcome of 6 seeds


def test_fewer_than_six_seeds_are_never_enough() -> None:
    found = power(0.01, effect=100)
    assert (found.seeds, found.table["seeds"].tolist()) == (6, [6])


def test_a_paired_pilot_has_the_spread_of_its_differences() -> None:
    pilot = pilot_of(study({"a": A, "b": B}))
    differences = np.log([A[seed] / B[seed] for seed in A])
    assert pilot.is_paired and pilot.n == 6
    assert pilot.spread == pytest.approx(np.std(differences, ddof=1))


def test_a_single_model_has_the_spread_of_two_independent_runs() -> None:
    pilot = pilot_of(study({"a": A}))
    assert not pilot.is_paired
    expected = np.sqrt(2) * np.std(np.log(list(A.values())), ddof=1)
    assert pilot.spread == pytest.approx(expected * np.sqrt(len(A) / (len(A) - 1)), rel=1e-9)
    assert any("pairing by seed is taken to gain nothing" in note for note in power(pilot, effect=8).notes)


def test_calls_and_money_are_those_of_both_models() -> None:
    pilot_study = study({"a": A, "b": B})
    pilot_study.runs["n_replies"] = 100
    pilot_study.runs["cost_usd"] = 0.5
    found = power(pilot_of(pilot_study), effect=50)
    assert found.table[["calls", "cost_usd"]].iloc[0].tolist() == [6 * 200, 6 * 1.0]
    pilot_study.runs.loc[0, "cost_usd"] = None
    assert power(pilot_of(pilot_study), effect=50).table["cost_usd"].isna().all()  # unpriced is not 0


@pytest.mark.parametrize(
    ("effect", "target", "what"), [(1, 0.8, "ratio above 0"), (-2, 0.8, "ratio above 0"), (2, 1, "share above 0")]
)
def test_what_makes_no_sense_is_refused(effect: float, target: float, what: str) -> None:
    with pytest.raises(AgentsimError, match=what):
        power(1.0, effect=effect, target=target)


def test_pilots_that_say_nothing_are_refused() -> None:
    with pytest.raises(AgentsimError, match="needs 3 complete runs"):
        pilot_of(study({"a": {0: 1.0, 1: 2.0}}))
    with pytest.raises(AgentsimError, match="ended at 0 units"):
        pilot_of(study({"a": A | {9: 0.0}}))
    with pytest.raises(AgentsimError, match="do not vary"):
        power(pilot_of(study({"a": dict.fromkeys(A, 5.0)})), effect=2)


def test_the_published_runs_are_whole() -> None:
    frame = published()
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
