"""Plans, looks, equivalence and whole courses: what they promise, against known answers and small simulations."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.stats import norm

import agentsim
from agentsim.analysis.compare import compare
from agentsim.analysis.equivalence import equivalence, equivalences, least_equivalence_p
from agentsim.analysis.families import Look, look_of
from agentsim.analysis.frames.study import Study
from agentsim.analysis.lines import COURSE
from agentsim.analysis.measures import courses
from agentsim.analysis.measures.course import logrank_scores
from agentsim.analysis.planned_power import planned_power
from agentsim.analysis.power import Drawn, Pilot
from agentsim.analysis.preregistration import AS_PLANNED, Prereg, read_prereg
from agentsim.analysis.spending import boundaries, crossing, levels, looked_p
from agentsim.analysis.statistics import permutation_test, simulated_p
from agentsim.errors import AgentsimError
from agentsim.experiments.prereg import prereg, write_prereg
from agentsim.scenario.conditions import Scenario
from tests.analysis.test_compare import study
from tests.commands import run_command

Floats = npt.NDArray[np.float64]
MARGIN = float(np.log(1.25))


# --- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        ("obrien-fleming", (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)),
        ("pocock", (2.4380, 2.4268, 2.4101, 2.3966, 2.3859)),
    ],
)
def test_boundaries_are_those_published_for_five_looks(spending: Any, published: tuple[float, ...]) -> None:
    """Reboussin, DeMets, Kim & Lan 2000, two-sided at 5 %."""
    assert boundaries((0.2, 0.4, 0.6, 0.8, 1.0), spending=spending) == pytest.approx(published, abs=2e-4)


@pytest.mark.parametrize(
    ("n", "of_brien_fleming", "of_pocock"), [(2, 1.977, 2.178), (3, 2.004, 2.289), (5, 2.040, 2.413)]
)
def test_published_constants_of_classical_designs_err_in_five_per_cent(
    n: int, of_brien_fleming: float, of_pocock: float
) -> None:
    """Jennison & Turnbull 2000, tables 2.1 and 2.3."""
    fractions = [(look + 1) / n for look in range(n)]
    assert crossing(fractions, [of_brien_fleming * f**-0.5 for f in fractions]) == pytest.approx(0.05, abs=1e-4)
    assert crossing(fractions, [of_pocock] * n) == pytest.approx(0.05, abs=1e-4)


def test_five_uncorrected_looks_err_in_fourteen_per_cent() -> None:
    assert crossing([0.2, 0.4, 0.6, 0.8, 1.0], [1.96] * 5) == pytest.approx(0.142, abs=5e-4)  # Armitage et al. 1969


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_a_looked_p_is_below_five_per_cent_if_and_only_if_the_look_stops(spending: Any) -> None:
    looks = (5, 10, 15)
    for look, level in enumerate(levels(looks, spending=spending), start=1):
        below, above = (looked_p(level * factor, look=look, looks=looks, spending=spending) for factor in (0.99, 1.01))
        assert below < 0.05 <= above
    assert looked_p(0.9, look=1, looks=looks, spending=spending) == 1


@pytest.mark.parametrize("is_paired", [False, True])
def test_levels_are_held_to_few_runs_and_never_raised(is_paired: bool) -> None:
    many, few = (4, 8, 12, 16, 20), tuple(range(4, 21))
    for looks in (many, few, (5, 10, 15)):
        for spending in ("obrien-fleming", "pocock"):
            normal = [
                2 * norm.sf(limit) for limit in boundaries(tuple(n / looks[-1] for n in looks), spending=spending)
            ]
            held = levels(looks, spending=spending, is_paired=is_paired)
            assert all(a <= b * 1.0001 for a, b in zip(held, normal, strict=True)) and held[-1] > 0.9 * normal[-1]
    assert levels(few, is_paired=is_paired)[-1] < 0.99 * 2 * norm.sf(boundaries(tuple(n / 20 for n in few))[-1])
    assert levels((50, 100))[-1] == pytest.approx(2 * norm.sf(boundaries((0.5, 1.0))[-1]), rel=0.02)


def _stops(n_studies: int, looks: tuple[int, ...], limits: tuple[float, ...]) -> float:
    """The share of null studies that say "differ" at one look or more."""
    rng = np.random.default_rng(5)
    first, second = (rng.normal(size=(n_studies, looks[-1])) for _ in range(2))
    stopped = np.zeros(n_studies, dtype=bool)
    for n, limit in zip(looks, limits, strict=True):
        stopped |= simulated_p(first[:, :n], second[:, :n], n_arrangements=999) < limit
    return float(stopped.mean())


def test_looking_as_planned_keeps_the_error_and_looking_at_each_seed_does_not() -> None:
    looks = (5, 10, 15)
    assert _stops(600, looks, levels(looks)) <= 0.05 + 3 * 0.009
    assert _stops(300, tuple(range(4, 21)), (0.05,) * 17) > 0.1


def test_a_look_is_one_of_a_stated_number() -> None:
    assert look_of("2/3").looks == (1, 2, 3) and not look_of("2/3").is_last
    for text in ("3", "0/3", "4/3", "a/b", "2/", "-1/3", "1/1000"):
        with pytest.raises(AgentsimError, match="state which of how many"):
            look_of(text)


A = dict(enumerate([100.0, 120.0, 90.0, 150.0, 110.0]))
B = {seed: score * 1.6 for seed, score in A.items()}


def test_an_early_look_demands_more_and_its_interval_agrees() -> None:
    last = compare(study({"a": A, "b": B}), look=Look(3, (1, 2, 3))).lines.iloc[0]
    early = compare(study({"a": A, "b": B}), look=Look(1, (1, 2, 3))).lines.iloc[0]
    assert early["p"] == last["p"] < 0.05 and last["verdict"] == "differ"
    assert early["verdict"] == "not yet: 2 more to look at" and pd.isna(early["low"])  # no p of five runs is so small
    assert last["high"] < 1


# --- equivalence -----------------------------------------------------------------------------------------------------


def test_both_one_sided_tests_count_all_arrangements() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(0, 0.1, 4), rng.normal(0.05, 0.1, 5)

    def p(shift: float, sign: int) -> float:
        pooled = np.concatenate([x - shift, y])
        every = [sign * (pooled[list(c)].mean() - np.delete(pooled, list(c)).mean()) for c in combinations(range(9), 4)]
        return float(np.mean([one >= every[0] - 1e-12 for one in every]))

    found = equivalence(x, y, margin=MARGIN)
    assert found.p == pytest.approx(max(p(-MARGIN, 1), p(MARGIN, -1)))
    assert p(found.low - 1e-6, 1) < 0.05 <= p(found.low + 1e-6, 1)
    assert p(found.high + 1e-6, -1) < 0.05 <= p(found.high - 1e-6, -1)


def test_differences_of_pairs_count_all_signs() -> None:
    gaps = np.array([0.02, -0.05, 0.07, 0.01, -0.03])
    signs = [np.array(one) for one in product((1, -1), repeat=5)]
    up = np.mean([np.mean((gaps + MARGIN) * one) >= np.mean(gaps + MARGIN) - 1e-12 for one in signs])
    down = np.mean([np.mean((gaps - MARGIN) * one) <= np.mean(gaps - MARGIN) + 1e-12 for one in signs])
    assert equivalence(gaps, margin=MARGIN).p == max(up, down) == 1 / 32
    assert least_equivalence_p(4) == 1 / 16 and least_equivalence_p(3, 3) == 1 / 20


@pytest.mark.parametrize("n", [(5, 5), (5, 10)])
def test_at_the_margin_equivalence_is_claimed_in_five_per_cent(n: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.normal(0, 0.1, (1000, size)) for size in n)
    at_margin = (equivalences(first + MARGIN, second, margin=MARGIN)[0] < 0.05).mean()
    assert 0.03 < at_margin <= 0.05 + 3 * 0.007
    assert (equivalences(first, second, margin=MARGIN)[0] < 0.05).mean() > 0.8
    p, low, high = equivalences(first + 0.1, second, margin=MARGIN)
    assert ((p < 0.05) == ((low > -MARGIN) & (high < MARGIN))).all()


def test_no_difference_shown_is_not_equivalence() -> None:
    near = {seed: 100.0 + seed for seed in range(5)}
    wide = dict(enumerate([20.0, 400.0, 90.0, 30.0, 250.0]))
    close = compare(study({"a": near, "b": {s: v * 1.01 for s, v in near.items()}}), equivalence=1.25).lines.iloc[0]
    loose = compare(study({"a": wide, "b": {s: v * 1.01 for s, v in wide.items()}}), equivalence=1.25).lines.iloc[0]
    assert close["equivalence"] == "equivalent within 1.25" and 0.8 < close["equivalent_low"] < close["equivalent_high"]
    assert loose["verdict"] == "no difference shown" and loose["equivalence"] == "not shown"
    few = dict.fromkeys(range(2), 100.0)
    assert compare(study({"a": few, "b": few}), equivalence=1.25).lines["equivalence"][0] == "cannot say: too few runs"
    with pytest.raises(AgentsimError, match="state a ratio above 1"):
        compare(study({"a": near, "b": wide}), equivalence=0.8)


# --- the whole course ------------------------------------------------------------------------------------------------


def with_courses(logs: dict[str, Floats], *, maximum: float = 1000) -> Study:
    """A study whose runs have these log scores, (runs, generations), by model."""
    whole = study(
        {model: {seed: float(np.exp(c[-1])) for seed, c in enumerate(own)} for model, own in logs.items()},
        maximum=maximum,
    )
    rows = [
        {"run": f"{model}--seed-{seed}", "generation": g, "mean_final_resources": float(np.exp(v)), "maximum": maximum}
        for model, own in logs.items()
        for seed, course in enumerate(own)
        for g, v in enumerate(course, start=1)
    ]
    frame = pd.DataFrame(rows).assign(study="s").reindex(columns=whole.generations.columns)
    return replace(whole, generations=frame.astype(whole.generations.dtypes.to_dict()))


def test_a_planted_course_is_recovered() -> None:
    rng = np.random.default_rng(1)
    steps = np.arange(10)
    end = 6.0
    slow = end - 0.3 * steps[::-1] + rng.normal(0, 0.05, (8, 10))  # both end at the same height
    fast = end - 0.1 * steps[::-1] + rng.normal(0, 0.05, (8, 10))
    found: Any = compare(with_courses({"fast": fast, "slow": slow}), course=True).lines.set_index("outcome")
    assert found.loc["final", "verdict"] == "no difference shown"
    assert list(found.index) == ["final", *COURSE]
    assert found.loc["slope", "effect"] == pytest.approx(np.exp(0.1 - 0.3), rel=0.02)
    assert found.loc["area", "effect"] == pytest.approx(np.exp(0.2 * 4.5), rel=0.05)
    assert all(found.loc[outcome, "verdict"] == "differ" for outcome in COURSE)
    assert (found["p_holm"] >= found["p"]).all() and found.loc["area", "p_holm"] == pytest.approx(
        4 * found.loc["area", "p"]
    )
    assert found.loc["slope", "low"] < np.exp(-0.2) < found.loc["slope", "high"]


def test_a_time_that_is_not_reached_is_censored_at_the_end() -> None:
    logs = np.log(np.array([[10.0, 400, 300, 200], [10, 20, 30, 900], [10, 20, 30, 40]]))
    whole = with_courses({"a": logs})
    found: Any = courses(whole.generations, whole.runs, threshold=0.7)
    assert list(found["time"]) == [2, 4, 4] and list(found["reached"]) == [True, True, False]
    assert found["area"][2] == pytest.approx(np.log([10, 20, 30, 40]).mean())


def test_logrank_scores_sum_to_observed_minus_expected() -> None:
    times, reached = np.array([2.0, 4, 4, 3, 5, 5]), np.array([True, True, False, True, True, False])
    is_first = np.array([True, False, True, False, True, False])
    expected = sum(
        (reached & (times == step)).sum() * (is_first & (times >= step)).sum() / (times >= step).sum()
        for step in np.unique(times[reached])
    )
    observed = (reached & is_first).sum()
    scores = logrank_scores(times, reached)
    assert scores[is_first].sum() == pytest.approx(observed - expected) and scores.sum() == pytest.approx(0)


def test_the_course_of_equal_groups_is_found_to_differ_as_often_as_stated() -> None:
    rng = np.random.default_rng(7)
    n_false = 0
    for _ in range(200):
        walks = 3 + np.cumsum(rng.normal(0.2, 0.3, (10, 6)), axis=1)  # errors of one generation stay in the next
        scores = {"area": walks.mean(axis=1), "slope": walks @ (np.arange(6) - 2.5)}
        p = [permutation_test(values[:5], values[5:]).p for values in scores.values()]
        reached = (walks > 4).any(axis=1)
        times = np.where(reached, (walks > 4).argmax(axis=1) + 1, 6)
        of_times = logrank_scores(times, reached)
        p.append(permutation_test(of_times[:5], of_times[5:]).p)
        n_false += min(p) * 3 < 0.05
    assert n_false / 200 <= 0.05 + 3 * 0.0154


# --- plans -----------------------------------------------------------------------------------------------------------

PLAYERS: list[dict[str, Any]] = [
    {"model": "scripted/random"},
    {"model": "scripted/constant-share", "share": 0.6},
    {"model": "scripted/all-keep"},
]


def scenario(**changed: Any) -> Scenario:
    rules = {
        "name": "planned",
        "agents": 4,
        "generations": 2,
        "game": {"kind": "donor", "rounds": 4},
        "seeds": [0, 1, 2, 3, 4, 5],
    }
    return agentsim.scenario_from({**rules, "vary": {"players": PLAYERS}, **changed})


def marked(said: pd.Series[Any]) -> int:
    """How many lines are as planned."""
    return sum(one == AS_PLANNED for one in said)


def played(tmp_path: Path, name: str = "results", **changed: Any) -> Study:
    return agentsim.load(agentsim.run(scenario(**changed), results=tmp_path / name).folder)


def planned(**stated: Any) -> Prereg:
    return prereg(scenario(), contrasts=[("scripted/random", "scripted/all-keep")], **stated)


def reasons(study: Study, plan: Prereg, **stated: Any) -> dict[tuple[str, str, str], str]:
    lines = compare(study, plan=plan, **stated).lines
    return {(row["first"], row["second"], row["outcome"]): row["planned"] for row in lines.to_dict("records")}


OF_PLAN = ("scripted/all-keep", "scripted/random", "final")


def test_lines_of_a_plan_are_one_family_and_all_others_exploratory(tmp_path: Path) -> None:
    plan, study = planned(), played(tmp_path)
    lines: Any = compare(study, plan=plan).lines.set_index(["first", "second", "outcome"])
    assert lines.loc[OF_PLAN, "planned"] == AS_PLANNED
    assert lines.loc[OF_PLAN, "p_holm"] == lines.loc[OF_PLAN, "p"]  # one planned line: nothing to correct for
    others = lines.drop(OF_PLAN)
    assert len(others) == 2 and (others["planned"] == "exploratory: not a planned contrast").all()
    assert (others["p_holm"] > others["p"]).any()


def test_what_deviates_is_named(tmp_path: Path) -> None:
    plan = planned()
    fewer = played(tmp_path, "fewer", seeds=[0, 1, 2, 3, 4])
    assert "planned runs that are not complete: all-keep--seed-5, random--seed-5" in reasons(fewer, plan)[OF_PLAN]
    other = played(tmp_path, "other", game={"kind": "donor", "rounds": 6})
    assert "game.rounds was planned as '4' and is '6'" in reasons(other, plan)[OF_PLAN]
    study = played(tmp_path)
    assert "the design was planned as unpaired and is paired" in reasons(study, plan, design="paired")[OF_PLAN]
    assert "the take-off threshold was planned as 0.7 and is 0.5" in reasons(study, plan, take_off_at=0.5)[OF_PLAN]
    assert "the planned measure is area, this is final" in reasons(study, planned(measure="area"))[OF_PLAN]
    late = planned()
    assert "begun before the plan was written: all-keep--seed-0" in reasons(study, late)[OF_PLAN]


def test_seeds_beyond_the_plan_do_not_count(tmp_path: Path) -> None:
    plan, study = planned(), played(tmp_path, seeds=list(range(9)))
    comparison = compare(study, plan=plan)
    assert set(comparison.lines["n_first"]) == {6} and marked(comparison.lines["planned"]) == 1
    assert any(note.startswith("Seeds 6, 7, 8 were not planned") for note in comparison.notes)


def test_a_plan_with_another_measure_has_its_line_there(tmp_path: Path) -> None:
    plan = planned(measure="area")
    found = reasons(played(tmp_path), plan)
    assert found[(*OF_PLAN[:2], "area")] == AS_PLANNED and sum(said == AS_PLANNED for said in found.values()) == 1


def test_the_look_of_a_plan_is_the_last_whose_runs_are_there(tmp_path: Path) -> None:
    plan = planned(looks=[4, 6])
    comparison = compare(played(tmp_path, seeds=[0, 1, 2, 3, 4]), plan=plan)
    assert any(note.startswith("Look 1 of 2 (obrien-fleming)") for note in comparison.notes)
    assert any(note.startswith("Seeds 4 belong to a later look") for note in comparison.notes)
    [line] = comparison.lines[comparison.lines["planned"] == AS_PLANNED].to_dict("records")
    assert line["n_first"] == 4 and line["verdict"] == "not yet: 1 more to look at"


def test_a_planned_contrast_without_runs_stays_in_the_family(tmp_path: Path) -> None:
    plan = prereg(scenario())
    lines = compare(played(tmp_path, vary={"players": PLAYERS[:2]}), plan=plan).lines
    assert lines["p_holm"].tolist() == pytest.approx([min(1, 3 * lines["p"][0])])


def test_a_plan_is_read_as_it_was_written_and_refused_if_edited(tmp_path: Path) -> None:
    plan, path = planned(equivalence=1.5, looks=[4, 6]), tmp_path / "plan.json"
    write_prereg(plan, path)
    assert read_prereg(path) == plan
    with pytest.raises(AgentsimError, match="a plan is never replaced"):
        write_prereg(plan, path)
    data = json.loads(path.read_text())
    for field, value in (("measure", "slope"), ("seeds", [0, 1, 2]), ("looks", [6]), ("equivalence", 2.0)):
        path.write_text(json.dumps({**data, field: value}))
        with pytest.raises(AgentsimError, match="was edited since it was written"):
            read_prereg(path)
    for text in ("", "[]", "{}", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(AgentsimError, match="name the file"):
            read_prereg(path)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"measure": "mean"}, "measure 'mean': is not known"),
        ({"looks": [3, 5]}, "the last of which is all 6"),
        ({"by": "player"}, "have no plan yet"),
        ({"by": "colour"}, "runs have no such column"),
        ({"equivalence": 1.0}, "state a ratio above 1"),
        ({"contrasts": [("a", "b")]}, "there is no group 'a' by 'model'"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(AgentsimError, match=message):
        prereg(scenario(), **stated)
    with pytest.raises(AgentsimError, match="no result would say that groups differ"):
        prereg(scenario(seeds=[0, 1, 2]))


def test_a_plan_tells_its_power_with_its_looks_and_its_margin() -> None:
    whole, looked = planned(equivalence=3.0), planned(looks=[4, 5, 6])
    found = planned_power(looked, 0.5, effect=4, n_studies=1000)
    once = planned_power(whole, 0.5, effect=4, n_studies=1000)
    assert once.reached[0] == pytest.approx(float((Drawn(0.5, np.log(4), "unpaired", 0).p(6, 1000) < 0.05).mean()))
    assert list(found.reached) == sorted(found.reached) and found.reached[-1] == pytest.approx(
        once.reached[0], abs=0.05
    )
    assert 4 < found.expected < 6 == once.expected and found.levels == levels((4, 5, 6))
    assert found.equivalent is None and once.equivalent is not None and once.equivalent > 0.8
    several = planned_power(prereg(scenario()), 0.5, effect=4, n_studies=1000)
    assert several.n_contrasts == 3 and several.levels[0] == pytest.approx(0.05 / 3, rel=1e-3)
    assert several.reached[-1] < once.reached[-1]
    with pytest.raises(AgentsimError, match="the plan's measure is area"):
        planned_power(planned(measure="area"), 0.5, effect=4)
    with pytest.raises(AgentsimError, match="the plan is paired and the pilot unpaired"):
        planned_power(planned(design="paired"), Pilot(np.array([0.1, -0.1]), 1), effect=4)


def test_from_plan_to_comparison_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "planned.yaml"
    file.write_text(
        "name: planned\nagents: 4\ngenerations: 2\ngame: {kind: donor, rounds: 4}\nseeds: 0-5\n"
        "vary: {players.model: [scripted/random, scripted/all-keep]}\n"
    )
    done = run_command("prereg", file, "--looks", "4,6", "--equivalence", "1.25", cwd=tmp_path)
    assert done.returncode == 0 and "planned.prereg.json" in done.stdout
    done = run_command("power", "--spread", "1.5", "--effect", "3", "--prereg", "planned.prereg.json", cwd=tmp_path)
    assert done.returncode == 0 and "The plan has a power of" in " ".join(done.stdout.split())
    assert "equivalent within 1.25" in " ".join(done.stdout.split())
    assert run_command("run", file, "--quiet", cwd=tmp_path).returncode == 0
    done = run_command("compare", "results/planned", "--prereg", "planned.prereg.json", cwd=tmp_path)
    assert done.returncode == 0 and "Look 2 of 2" in done.stdout
    lines = pd.read_csv(tmp_path / "results/planned/comparison/lines.csv")
    assert lines["planned"].tolist() == [AS_PLANNED] and lines["equivalence"].notna().all()
    assert run_command("prereg", file, "--looks", "4,x", cwd=tmp_path).returncode == 2
