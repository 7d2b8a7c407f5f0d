"""Comparing groups of runs: what is said, and what is said not to be known."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import agentsim
from agentsim.analysis import Study
from agentsim.analysis.columns import COLUMNS
from agentsim.analysis.compare import compare, write
from agentsim.analysis.figures import forest
from agentsim.analysis.measures import take_off
from agentsim.analysis.summaries import shaped
from agentsim.analysis.tables import comparison_tables
from agentsim.errors import AgentsimError, LogError


def study(scores: Mapping[str, Mapping[int, float]], *, first: float = 10, rules: Sequence[str] = ("r",)) -> Study:
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
            "n_encounters": 100,
            "n_missed": 0,
            "n_replaced": 0,
        }
        for index, (model, seed, score) in enumerate(keys)
    ]
    ends = [
        {"run": f"{model}--seed-{seed}", "generation": generation, "mean_final_resources": value}
        for model, seed, score in keys
        for generation, value in ((1, first), (2, score))
    ]
    frames = {name: shaped(name, {"runs": rows, "generations": ends}.get(name, [])) for name in COLUMNS}
    for frame in frames.values():
        frame.insert(0, "study", pd.Series(["s"] * len(frame), dtype="string"))
    return Study(folders={"s": Path("s")}, started={}, notes=(), **frames)


A = dict(enumerate([100.0, 200.0, 400.0, 150.0, 300.0, 500.0]))
B = {seed: score / 2 ** (1 + seed % 2) for seed, score in A.items()}


def test_the_effect_is_the_ratio_of_geometric_means_paired_by_seed() -> None:
    row = compare(study({"a": A, "b": B})).table.iloc[0]
    assert row["ratio"] == pytest.approx(2**1.5)
    assert 2 < row["low"] < 2**1.5 < row["high"] < 4
    assert (row["design"], row["n_first"], row["p"], row["verdict"]) == ("paired", 6, 0.03125, "differ")
    assert row["test"] == "sign-flip, exact"


def test_other_seeds_are_not_paired() -> None:
    row = compare(study({"a": A, "b": {seed + 100: score for seed, score in B.items()}})).table.iloc[0]
    assert (row["design"], row["test"]) == ("unpaired", "permutation, exact")
    assert row["ratio"] == pytest.approx(2**1.5)


def test_a_run_without_a_match_is_named() -> None:
    found = compare(study({"a": A | {77: 1.0}, "b": B}))
    assert found.table["n_first"].iloc[0] == 6
    assert any("s/a--seed-77" in note for note in found.notes)


def test_five_paired_seeds_cannot_say_anything() -> None:
    five = {seed: A[seed] for seed in range(5)}
    found = compare(study({"a": five, "b": dict.fromkeys(range(5), 1.0)}))
    row = found.table.iloc[0]
    assert (row["p"], row["least_p"], row["verdict"]) == (0.0625, 0.0625, "cannot say: too few runs")
    assert any("5 paired seeds cannot reach p < 0.05" in note and "0.0625" in note for note in found.notes)


def test_a_family_of_comparisons_is_corrected() -> None:
    found = compare(study({"a": A, "b": B, "c": {seed: score * 1.01 for seed, score in A.items()}}))
    assert list(found.table["p_holm"]) == pytest.approx([min(1, 3 * p) for p in found.table["p"]])
    assert set(found.table["verdict"]) == {"cannot say: too few runs"}
    assert any("3 comparisons" in note for note in found.notes)


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
    assert row["problem"] == "no interval: all differences are equal"
    assert found.groups["problem"].iloc[0] == "no interval: all runs ended alike"


def test_one_seed_only_is_an_illustration() -> None:
    found = compare(study({"a": {0: 5.0}, "b": {0: 9.0}}))
    assert found.table["verdict"].iloc[0] == "cannot say: too few runs"
    assert any("illustration" in note for note in found.notes)


def test_take_off_rates_have_exact_intervals() -> None:
    runs = study({"a": A, "b": dict.fromkeys(range(6), 11.0)})
    found = compare(runs).groups.set_index("group")
    assert list(found["take_off_rate"]) == [1, 0]
    assert found.loc["b", "take_off_high"] == pytest.approx(1 - 0.025 ** (1 / 6))
    assert compare(runs).table["p_take_off"].iloc[0] == pytest.approx(2 / 924)
    assert take_off(runs.generations, factor=20)["took_off"].sum() == 4


def test_where_a_run_began_at_zero_nobody_knows_whether_it_took_off() -> None:
    found = compare(study({"a": A, "b": B}, first=0))
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


def test_different_rules_are_refused_or_said(tmp_path: Path) -> None:
    scenario = agentsim.load_scenario(
        "scenarios/scripted-baselines.yaml",
        sets=[
            "generations=2",
            "vary={players.model: [scripted/all-give, scripted/random], observation.depth: [1, 3]}",
        ],
        seeds="0-2",
    )
    played = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    with pytest.raises(LogError, match=r"different rules in observation\.depth"):
        compare(played)
    found = compare(played, by="condition")
    assert any("observation.depth" in note for note in found.notes)
    assert len(found.table) == 6


def test_what_is_written_is_whole_and_the_same_again(tmp_path: Path) -> None:
    found = compare(study({"=a": A, "b": B, "c": {seed: score * 3 for seed, score in A.items()}}))
    first, second = (write(found, tmp_path / name) for name in ("one", "two"))
    assert [path.name for path in first] == ["groups.csv", "pairs.csv", "notes.txt", "forest.svg", "forest.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len(pd.read_csv(first[1])) == 3
    assert "'=a" in first[0].read_text()  # no formula for a spreadsheet
    assert b"<path" in first[3].read_bytes()


def test_scores_of_zero_leave_no_forest(tmp_path: Path) -> None:
    found = compare(study({"a": A, "b": dict.fromkeys(A, 0.0)}))
    assert [path.suffix for path in write(found, tmp_path)] == [".csv", ".csv", ".txt"]
    with pytest.raises(LogError, match="no pair of groups has a ratio"):
        forest(found)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentsimError, match=r"file: cannot be written to .*-o"):
        write(compare(study({"a": A, "b": B})), tmp_path / "file")


def test_the_table_of_a_comparison_shows_hostile_names_as_text() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    for table in comparison_tables(compare(study({"a": A, "[red]\x1b[2Jb": B}))):
        console.print(table)
    text = console.export_text()
    assert "[red] [2Jb" in text and "\x1b" not in text and "sign-flip, exact" in text
