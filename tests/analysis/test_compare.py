"""Comparing groups of runs: what is said, and what is said not to be known."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import agentsim
from agentsim.analysis.compare import compare
from agentsim.analysis.figures import final_resources, forest
from agentsim.analysis.frames.columns import COLUMNS
from agentsim.analysis.frames.study import Study
from agentsim.analysis.frames.summaries import shaped
from agentsim.analysis.measures import take_off
from agentsim.analysis.power import pilot_of
from agentsim.analysis.result_files import write_comparison
from agentsim.cli.tables.comparison import comparison_tables
from agentsim.errors import AgentsimError, LogError
from agentsim.report.content import said


def study(
    scores: Mapping[str, Mapping[int, float]],
    *,
    first: float = 10,
    rules: Sequence[str] = ("r",),
    maximum: float = 1000,
) -> Study:
    """A study as `load` makes it: for each model the score of the last of two generations, by seed."""
    keys = [(model, seed, score) for model, own in scores.items() for seed, score in own.items()]
    rows = [
        {
            "run": f"{model}--seed-{seed}",
            "condition": model,
            "model": model,
            "seed": seed,
            "status": "complete",
            "rules_digest": rules[index % len(rules)],
            "mean_final_resources": score,
            "endowment": 10,
            "game": "donor",
            "gift": "share",
            "n_encounters": 100,
            "n_missed": 0,
            "n_replaced": 0,
        }
        for index, (model, seed, score) in enumerate(keys)
    ]
    ends = [
        {
            "run": f"{model}--seed-{seed}",
            "generation": generation,
            "mean_final_resources": value,
            "maximum": maximum,
        }
        for model, seed, score in keys
        for generation, value in ((1, first), (2, score))
    ]
    frames = {name: shaped(name, {"runs": rows, "generations": ends}.get(name, [])) for name in COLUMNS}
    for frame in frames.values():
        frame.insert(0, "study", pd.Series(["s"] * len(frame), dtype="string"))
    return Study(folders={"s": Path("s")}, started={}, notes=(), further={}, **frames)


A = dict(enumerate([100.0, 200.0, 400.0, 150.0, 300.0, 500.0]))
B = {seed: score / 2 ** (1 + seed % 2) for seed, score in A.items()}


def test_the_effect_is_the_ratio_of_geometric_means_paired_by_seed() -> None:
    row = compare(study({"a": A, "b": B}), design="paired").table.iloc[0]
    assert row["ratio"] == pytest.approx(2**1.5)
    assert 1 < row["low"] < 2**1.5 < row["high"] < 8
    assert (row["design"], row["n_first"], row["p"], row["verdict"]) == ("paired", 6, 0.03125, "differ")
    assert row["test"] == "sign-flip, exact"


FIVE = {seed: A[seed] for seed in range(5)}
FEW = dict(enumerate([1.0, 1.1, 0.9, 1.2, 0.8]))


@pytest.mark.parametrize("shift", [0, 3, 100])
def test_a_verdict_does_not_depend_on_which_numbers_the_seeds_have(shift: int) -> None:
    found = compare(study({"a": {seed + shift: score for seed, score in FIVE.items()}, "b": FEW}))
    row = found.table.iloc[0]
    assert (row["design"], row["test"]) == ("unpaired", "permutation, exact")
    assert (row["p"], row["least_p"], row["verdict"]) == (2 / 252, 2 / 252, "differ")
    assert row["low"] > 1


def test_seeds_in_another_order_change_nothing_where_arrangements_are_random() -> None:
    rng = np.random.default_rng(0)
    a, b = np.exp(rng.normal(1, 1, 15)), np.exp(rng.normal(0, 1, 15))
    found = [compare(study({"a": dict(enumerate(own)), "b": dict(enumerate(b))})).table for own in (a, a[::-1])]
    pd.testing.assert_frame_equal(found[0], found[1])
    assert "9,999 random arrangements of seed 0" in found[0]["test"].iloc[0]


def test_ten_runs_against_five_lose_none() -> None:
    ten = dict(enumerate(np.geomspace(20, 90, 10)))
    row = compare(study({"a": ten, "b": FEW})).table.iloc[0]
    assert (row["n_first"], row["n_second"], row["least_p"]) == (10, 5, 1 / 3003)


def test_a_smaller_and_wider_group_is_noted() -> None:
    wide, narrow = dict(enumerate([1.0, 30.0, 900.0])), dict(enumerate(np.geomspace(20, 30, 9)))
    assert any("the smaller group varies more" in note for note in compare(study({"a": wide, "b": narrow})).notes)
    equal = dict(list(narrow.items())[:3])
    assert not any("varies more" in note for note in compare(study({"a": wide, "b": equal})).notes)


def test_a_run_without_a_match_is_named_where_runs_are_paired() -> None:
    found = compare(study({"a": A | {77: 1.0}, "b": B}), design="paired")
    assert found.table["n_first"].iloc[0] == 6
    assert any("s/a--seed-77" in note for note in found.notes)
    with pytest.raises(LogError, match="no seed in common, so they cannot be paired; compare them unpaired"):
        compare(study({"a": {seed + 100: score for seed, score in A.items()}, "b": B}), design="paired")
    with pytest.raises(AgentsimError, match="design 'twinned': is not known; take unpaired or paired"):
        compare(study({"a": A, "b": B}), design="twinned")  # type: ignore[arg-type]


def test_five_paired_seeds_cannot_say_anything() -> None:
    found = compare(study({"a": FIVE, "b": FEW}), design="paired")
    row = found.table.iloc[0]
    assert (row["p"], row["least_p"], row["verdict"]) == (0.0625, 0.0625, "cannot say: too few runs")
    assert any("5 paired seeds cannot reach p < 0.05" in note and "0.0625" in note for note in found.notes)
    assert pd.isna(row["low"]) and "the least p of 5 pairs is 0.062, so no ratio can be excluded" in row["problem"]


def test_three_runs_against_three_cannot_say_anything_and_have_no_interval() -> None:
    found = compare(study({"a": {0: 900.0, 1: 800.0, 2: 700.0}, "b": {7: 1.0, 8: 2.0, 9: 3.0}}))
    row = found.table.iloc[0]
    assert (row["p"], row["least_p"], row["verdict"]) == (0.1, 0.1, "cannot say: too few runs")
    assert pd.isna(row["low"]) and "the least p of 3 against 3 runs is 0.1" in row["problem"]
    assert any("3 against 3 runs cannot reach p < 0.05" in note for note in found.notes)


def test_what_holms_own_steps_allow_is_said() -> None:
    three, heights = [1.0, 1.1, 1.2], (1.0, 10.0, 100.0)
    runs = {name: {i: h * x for i, x in enumerate(three * 2)} for name, h in zip("abc", heights, strict=True)}
    runs["a"] = dict(list(runs["a"].items())[:3])  # 3 against 6: the least p is 1/84, and 3 x 1/84 < 0.05
    found = compare(study(runs)).table
    assert set(found["verdict"]) == {"differ"}
    runs["a"] = dict(list(runs["a"].items())[:2])  # 2 against 6: 1/28, too much as the first step, but not as the last
    found = compare(study(runs)).table.set_index(["first", "second"])
    assert found.loc[("b", "c"), "verdict"] == "differ"
    assert set(found["verdict"]) == {"differ", "cannot say: too few runs"}
    assert found.loc[("a", "b"), "p_holm"] == pytest.approx(2 / 28)


def test_a_pair_that_is_not_its_clearest_is_no_difference_shown() -> None:
    found = compare(study({"a": A, "b": {seed: score * 1.01 for seed, score in A.items()}})).table
    assert found["verdict"].iloc[0] == "no difference shown"


def test_a_family_of_comparisons_is_corrected() -> None:
    runs = study({"a": A, "b": B, "c": {seed: score * 1.01 for seed, score in A.items()}})
    found = compare(runs, design="paired")
    assert list(found.table["p_holm"]) == pytest.approx([min(1, 3 * p) for p in found.table["p"]])
    assert set(found.table["verdict"]) == {"cannot say: too few runs"}
    assert any("3 comparisons" in note for note in found.notes)
    alone = found.table[found.table["p"] < 0.05]
    assert (alone["low"] > 1).all() or (alone["high"] < 1).any()
    assert sum("uncorrected, and so is the interval" in note for note in found.notes) == len(alone)


def test_zero_has_no_logarithm_and_is_not_dropped() -> None:
    found = compare(study({"a": A, "b": B | {0: 0.0}}))
    row, group = found.table.iloc[0], found.groups.set_index("group").loc["b"]
    assert pd.isna(row["ratio"])
    assert "ranks" in row["test"]
    assert "no logarithm" in row["problem"]
    assert (group["n_zero"], group["n_runs"]) == (1, 6)
    assert pd.isna(group["geometric_mean"])


def test_equal_scores_make_an_honest_table() -> None:
    found = compare(study({"a": dict.fromkeys(range(6), 10.0), "b": dict.fromkeys(range(6), 10.0)}))
    row = found.table.iloc[0]
    assert (row["ratio"], row["p"], row["verdict"]) == (1, 1, "no difference shown")
    assert row["problem"] == "no interval: all runs of a group are equal"
    assert found.groups["problem"].iloc[0] == "no interval: all runs ended alike"


def test_one_seed_only_is_an_illustration() -> None:
    found = compare(study({"a": {0: 5.0}, "b": {0: 9.0}}))
    assert found.table["verdict"].iloc[0] == "cannot say: too few runs"
    assert any("illustration" in note for note in found.notes)


def test_take_off_rates_have_exact_intervals() -> None:
    runs = study({"a": A, "b": dict.fromkeys(range(6), 11.0)})
    found = compare(runs, take_off_at=0.5).groups.set_index("group")
    assert list(found["take_off_rate"]) == [1, 0]
    assert found.loc["b", "take_off_high"] == pytest.approx(1 - 0.025 ** (1 / 6))
    assert compare(runs, take_off_at=0.5).table["p_take_off"].iloc[0] == pytest.approx(2 / 924)
    assert take_off(runs.generations, runs.runs, threshold=0.65)["took_off"].sum() == 4
    with pytest.raises(AgentsimError, match="state an efficiency above 0 and at most 1"):
        compare(runs, take_off_at=4)


def test_take_off_is_of_the_design_and_the_family_of_the_main_test() -> None:
    high, low = dict.fromkeys(range(6), 900.0), {seed: 20.0 + seed for seed in range(6)}
    paired = compare(study({"a": high, "b": low}), design="paired").table.iloc[0]
    assert paired["p_take_off"] == paired["p"] == 0.03125
    unsure = study({"a": {0: 900.0, 1: 1.0}, "b": {0: 20.0, 1: 21.0}})
    row = compare(unsure).table.iloc[0]
    assert row["p_take_off"] >= row["p_holm"]


def test_how_much_rests_on_the_threshold_is_shown() -> None:
    found = compare(study({"a": A, "b": B}), take_off_at=0.55).sensitivity
    assert sorted(set(found["threshold"])) == [0.5, 0.55, 0.6, 0.7, 0.8, 0.9]
    own = found[found["group"] == "a"].set_index("threshold")["n_took_off"]
    heights = np.log(np.array(list(A.values())) / 10) / np.log(100)
    assert own.tolist() == [int((heights >= threshold - 1e-9).sum()) for threshold in own.index]


def test_where_nothing_can_be_gained_nobody_knows_whether_a_run_took_off() -> None:
    found = compare(study({"a": A, "b": B}, maximum=10))
    assert found.groups["take_off_rate"].isna().all()
    assert found.table["p_take_off"].isna().all()


def test_runs_that_are_not_complete_are_named_and_left_out() -> None:
    runs = study({"a": A, "b": B})
    frame = runs.runs.copy()
    frame.loc[frame["run"] == "a--seed-5", "status"] = "unfinished"
    found = compare(replace(runs, runs=frame))
    assert found.groups.set_index("group").loc["a", "n_runs"] == 5
    assert "a--seed-5 (unfinished)" in found.notes[0]


def test_infinite_scores_are_no_scores() -> None:
    with pytest.raises(LogError, match="only 'a' has complete runs"):
        compare(study({"a": A, "b": dict.fromkeys(range(6), np.inf)}))


@pytest.mark.parametrize("by", ["modle", "observation.depth"])
def test_a_column_that_is_not_there_is_named_with_those_that_are(by: str) -> None:
    with pytest.raises(LogError, match=f"no column '{by}'.*model"):
        compare(study({"a": A, "b": B}), by=by)


def test_one_seed_twice_is_refused() -> None:
    runs = study({"a": A, "b": B})
    with pytest.raises(LogError, match="played more than once"):
        compare(replace(runs, runs=runs.runs.assign(seed=pd.array([1] * 12, dtype="Int64"))))


def scripted(tmp_path: Path, **changes: Any) -> Study:
    data = {
        "name": "own",
        "agents": 4,
        "generations": 2,
        "game": {"kind": "donor", "rounds": 4},
        "seeds": list(range(4)),
    }
    return agentsim.load(agentsim.run(agentsim.scenario_from(data | changes), results=tmp_path).folder)


def test_a_group_is_a_player_with_its_settings_not_a_name(tmp_path: Path) -> None:
    players = [{"model": "scripted/constant-share", "share": share} for share in (0.2, 0.9)]
    varied = scripted(tmp_path, players=players[0], vary={"players": [*players, {"model": "scripted/random"}]})
    found = compare(varied)
    assert list(found.groups["group"]) == [
        "scripted/constant-share (share 0.2)",
        "scripted/constant-share (share 0.9)",
        "scripted/random",
    ]
    assert any("differ in share (0.2, 0.9), so they are 2 groups, not one" in note for note in found.notes)


def test_other_seeds_and_other_studies_do_not_hide_other_settings(tmp_path: Path) -> None:
    both = [{"model": "scripted/constant-share"}, {"model": "scripted/random"}]
    folders = []
    for name, share, seeds in (("one", 0.2, [0, 1]), ("two", 0.9, [2, 3])):
        players = [both[0] | {"share": share}, both[1]]
        folders.append(
            scripted(tmp_path, name=name, players=players[0], vary={"players": players}, seeds=seeds).folders[name]
        )
    found = compare(agentsim.load(*folders))
    assert list(found.groups["n_runs"]) == [2, 2, 4]
    both_shares = agentsim.load(*folders)
    only = both_shares.runs[both_shares.runs["model"] == "scripted/constant-share"]
    with pytest.raises(AgentsimError, match="needs at least 3 complete runs"):  # four of one name, but two of each
        pilot_of(replace(both_shares, runs=only))


def test_runs_that_another_snapshot_answered_are_a_group_of_their_own(tmp_path: Path) -> None:
    players = [{"model": "scripted/all-give"}, {"model": "scripted/random"}]
    played = scripted(tmp_path, players=players[0], vary={"players": players})
    answered = pd.Series(["m-05", "m-05", "m-08", "m-08"] + ["n-1"] * 4, dtype="string")
    drifted = replace(played, runs=played.runs.assign(models_answered=answered))
    found = compare(drifted)
    assert list(found.groups["group"])[:2] == [
        "scripted/all-give (answered by m-05)", "scripted/all-give (answered by m-08)"
    ]  # fmt: skip
    assert any("answered by (m-05, m-08)" in note for note in found.notes)
    labels = [text.get_text() for text in final_resources(drifted).legends[0].get_texts()]
    assert any("answered by m-08" in label for label in labels)
    assert any("answered by m-05" in sentence for sentence in said(drifted)[1])


def test_different_rules_are_held_apart_refused_or_said(tmp_path: Path) -> None:
    models = "players.model: [scripted/all-give, scripted/random]"

    def played(name: str, *sets: str) -> Path:
        sets = (f"name={name}", "generations=2", *sets)
        scenario = agentsim.load_scenario("scenarios/scripted-baselines.yaml", sets=sets, seeds="0-2")
        return Path(agentsim.run(scenario, results=tmp_path).folder)

    both = agentsim.load(played("both", f"vary={{{models}, observation.depth: [1, 3]}}"))
    table = compare(both).table
    assert [tuple(pair) for pair in table[["first", "second"]].itertuples(index=False, name=None)] == [
        (f"scripted/all-give (observation.depth {depth})", f"scripted/random (observation.depth {depth})")
        for depth in (1, 3)
    ]
    assert len(compare(both, by="observation.depth").table) == 2
    found = compare(both, by="condition")
    assert any("observation.depth" in note for note in found.notes)
    assert len(found.table) == 6
    one, three = (played(f"depth-{n}", f"vary={{{models}}}", f"observation.depth={n}") for n in (1, 3))
    apart = agentsim.load(one, three)  # neither of them varies it
    with pytest.raises(LogError, match=r"different rules in observation\.depth"):
        compare(apart)


def test_what_is_written_is_whole_and_the_same_again(tmp_path: Path) -> None:
    found = compare(study({"=a": A, "b": B, "c": {seed: score * 3 for seed, score in A.items()}}))
    first, second = (write_comparison(found, tmp_path / name) for name in ("one", "two"))
    assert [path.name for path in first] == [
        "groups.csv", "pairs.csv", "take-off.csv", "notes.txt", "forest.svg", "forest.png"
    ]  # fmt: skip
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len(pd.read_csv(first[1])) == 3
    assert "'=a" in first[0].read_text()  # no formula for a spreadsheet
    assert b"<path" in first[4].read_bytes()


def test_scores_of_zero_leave_no_forest(tmp_path: Path) -> None:
    found = compare(study({"a": A, "b": dict.fromkeys(A, 0.0)}))
    assert [path.suffix for path in write_comparison(found, tmp_path)] == [".csv", ".csv", ".csv", ".txt"]
    with pytest.raises(LogError, match="no pair of groups has a ratio"):
        forest(found)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentsimError, match=r"file: cannot be written to .*-o"):
        write_comparison(compare(study({"a": A, "b": B})), tmp_path / "file")


def test_the_table_of_a_comparison_shows_hostile_names_as_text() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    for table in comparison_tables(compare(study({"a": A, "[red]\x1b[2Jb": B}))):
        console.print(table)
    text = console.export_text()
    assert "[red] [2Jb" in text and "\x1b" not in text and "permutation, exact" in text
