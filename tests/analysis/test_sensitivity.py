"""What scores would be if lost decisions were made something of: against societies played again by hand."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

import agentsim
from agentsim.analysis.frames.decisions import lost, own_fraction
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import score_sensitivity, sensitivity
from agentsim.analysis.measures.sensitivity import final_resources_band
from agentsim.cli.tables.comparison import sensitivity_table
from agentsim.providers.base import Prompt
from tests.orchestrator.test_study import Fake, answer, play


def sometimes_mute(prompt: Prompt) -> str:
    said = prompt.messages[-1].content
    return "No." if "1_1 and" in said or ("Answer:" in said and "round 2" in said) else answer(prompt)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    on_invalid = {"attempts": 1, "stop_after": None}
    seeds = [0, 1, 2]
    return agentsim.load(play(tmp_path, Fake(text=sometimes_mute), on_invalid=on_invalid, seeds=seeds).folder)


def by_hand(encounters: pd.DataFrame) -> float:
    """Play one generation again, each lost decision being its donor's own mean."""
    own = own_fraction(encounters).astype(float)
    means, everyone = own.groupby(encounters["donor"]).mean(), own.mean()
    finals: list[float] = []
    for _, game in encounters.assign(lost=lost(encounters)).groupby("game"):
        held = dict.fromkeys({*game["donor"], *game["recipient"]}, 10.0)
        for row in game.sort_values("round").to_dict("records"):
            mean = means[row["donor"]]
            share = (everyone if pd.isna(mean) else mean) if row["lost"] else row["fraction"]
            gift = 0.0 if pd.isna(share) else share * held[row["donor"]]
            held[row["donor"]] -= gift
            held[row["recipient"]] += 2 * gift
        finals += held.values()
    return sum(finals) / len(finals)


def test_own_means_in_the_place_of_lost_decisions(study: Study) -> None:
    bands = sensitivity(study).set_index(["run", "generation"])
    assert bands["n_lost"].sum() > 0
    for key, own in study.encounters.groupby(["run", "generation"]):
        row = bands.loc[cast("Any", key)]
        assert row["resources_own_mean"] == pytest.approx(by_hand(own))
        assert row["resources_low"] - 1e-9 <= row["resources_own_mean"] <= row["resources_high"] + 1e-9


def test_a_conditions_score_as_zero_as_own_mean_and_without_runs_that_lost_any(study: Study) -> None:
    [row] = score_sensitivity(study).to_dict("records")
    last = sensitivity(study).groupby("run").last()
    assert row["n_runs"] == 3 and row["n_whole"] == 0 and pd.isna(row["whole_only"])
    assert row["as_zero"] == pytest.approx(prod(last["resources"]) ** (1 / 3))
    assert row["as_own_mean"] == pytest.approx(prod(last["resources_own_mean"]) ** (1 / 3))
    assert row["low"] <= row["as_zero"] <= row["high"] and row["low"] <= row["as_own_mean"] <= row["high"]


def test_where_nothing_was_lost_all_are_one(tmp_path: Path) -> None:
    said = "My strategy will be to give."

    def text(prompt: Prompt) -> str:
        return "Answer: 20%" if "It is round" in prompt.messages[-1].content else said

    study = agentsim.load(play(tmp_path, Fake(text=text)).folder)
    [row] = score_sensitivity(study).to_dict("records")
    assert row["n_whole"] == 1
    assert row["as_zero"] == pytest.approx(row["as_own_mean"]) == pytest.approx(row["whole_only"])


def punishing(prompt: Prompt) -> str:
    said = prompt.messages[-1].content
    if "round 3" in said and "Answer:" in said:
        return f"Answer: punish {len(said) % 5}"
    return sometimes_mute(prompt).replace("Answer: ", "Answer: give ")


def test_under_punishment_lost_decisions_are_played_again_and_bounds_are_not_known(tmp_path: Path) -> None:
    game = {"kind": "donor", "rounds": 4, "punishment": {"cost": 1, "effect": 2}}
    on_invalid = {"attempts": 1, "stop_after": None}
    study = agentsim.load(play(tmp_path, Fake(text=punishing), game=game, on_invalid=on_invalid, generations=1).folder)
    assert (study.encounters["act"] == "punish").sum() > 2 and lost(study.encounters).sum() > 2
    [row] = sensitivity(study).to_dict("records")
    started = next(iter(study.started.values()))
    again = final_resources_band(study.encounters, started=started, n_agents=4)
    assert again.observed == pytest.approx(row["resources"])  # with nothing put in their place it is what happened
    assert pd.isna(row["resources_low"]) and pd.isna(row["resources_high"])
    # A gift of the agent's own mean takes the place of a lost decision: made so in the frame, it is observed.
    own = own_fraction(study.encounters).astype(float)
    means = own.groupby(study.encounters["donor"]).mean()
    is_lost = lost(study.encounters)
    made = study.encounters.copy()
    made.loc[is_lost, "fraction"] = made.loc[is_lost, "donor"].map(means).fillna(own.mean()).astype("Float64")
    made.loc[is_lost, ["act", "replaced_by"]] = ["give", None]
    expected = final_resources_band(made, started=started, n_agents=4).observed
    assert row["resources_own_mean"] == pytest.approx(expected) and expected != again.observed
    [score] = score_sensitivity(study).to_dict("records")
    assert score["as_own_mean"] == pytest.approx(expected) and pd.isna(score["low"])


def test_compare_prints_the_scores_under_each_way_to_treat_lost_decisions_only_where_any_was_lost(
    study: Study, tmp_path: Path
) -> None:
    table = sensitivity_table(study)
    assert table is not None and table.row_count == 1
    [row] = score_sensitivity(study).to_dict("records")
    cells = [next(iter(column.cells)) for column in table.columns]
    assert cells[2:4] == [f"{row['as_zero']:.3g}", f"{row['as_own_mean']:.3g}"] and cells[5] == "- (0)"
    whole = agentsim.load(
        play(tmp_path / "whole", Fake(text=lambda prompt: "My strategy will be to\nAnswer: 1")).folder
    )
    assert whole.runs["n_missed"].sum() == 0 and sensitivity_table(whole) is None
