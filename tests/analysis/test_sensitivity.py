"""What scores would be if lost decisions were made something of: against societies played again by hand."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

import agentsim
from agentsim.analysis import Study
from agentsim.analysis.decisions import lost, own_fraction
from agentsim.analysis.measures import score_sensitivity, sensitivity
from agentsim.providers.base import Prompt
from tests.test_runner import Fake, answer, play


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
        row = bands.loc[cast(Any, key)]
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


def test_under_punishment_there_is_no_such_number(tmp_path: Path) -> None:
    game = {"kind": "donor", "rounds": 4, "punishment": {"cost": 1, "effect": 2}}
    study = agentsim.load(play(tmp_path, Fake(), game=game, on_invalid={"attempts": 1, "stop_after": None}).folder)
    [row] = score_sensitivity(study).to_dict("records")
    assert pd.isna(row["as_own_mean"]) and not pd.isna(row["as_zero"])
