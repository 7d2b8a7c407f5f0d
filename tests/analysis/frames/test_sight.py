"""Reputation measures see what donors saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentsim.analysis import measures
from agentsim.analysis.frames.study import Study
from tests.analysis.test_compare import scripted


def played(tmp_path: Path, **observation: Any) -> Study:
    """Half of the agents give as their recipients were seen to give, the others give random shares."""
    players = [{"model": "scripted/proportional", "agents": 4}, {"model": "scripted/random", "agents": 4}]
    return scripted(
        tmp_path,
        agents=8,
        generations=1,
        game={"kind": "donor", "rounds": 16},
        pairing={"kind": "random"},
        players=players,
        observation=observation,
        seeds=[0],
    )


def of_reciprocators(study: Study) -> Any:
    shown = measures.with_records(study.encounters)
    return shown[shown["donor_model"].str.contains("proportional")].dropna(subset=["recipient_record"])


@pytest.mark.parametrize("delay", [0, 1, 2, 3])
def test_who_gives_as_was_given_has_a_slope_of_1_at_any_delay(tmp_path: Path, delay: int) -> None:
    own = of_reciprocators(played(tmp_path, kind="trace", delay=delay))
    assert (own["own_fraction"] - own["recipient_record"]).abs().max() < 1e-9
    (slope,) = measures.conditional_slope(own)["slope"]
    assert slope == pytest.approx(1)
    assert own["round"].min() > 1 + delay


def test_donors_that_were_kept_uninformed_were_shown_no_record(tmp_path: Path) -> None:
    study = played(tmp_path, kind="history", known=0.5)
    own = of_reciprocators(study)
    assert (own["own_fraction"] - own["recipient_record"]).abs().max() < 1e-9
    share = measures.with_records(study.encounters)["recipient_record"].notna().mean()
    assert 0.3 < share < 0.65


@pytest.mark.parametrize(
    ("observation", "n_shown"), [({"kind": "none"}, 0), ({"kind": "trace", "depth": 1}, 1), ({"kind": "history"}, 1)]
)
def test_records_that_the_rule_does_not_show_are_missing(
    tmp_path: Path, observation: dict[str, Any], n_shown: int
) -> None:
    found = measures.with_records(played(tmp_path, **observation).encounters)
    assert found["recipient_record"].notna().any() == (n_shown >= 1)
    assert found["partner_record"].isna().all()


def test_the_partner_is_judged_by_what_it_had_done_then_whatever_the_delay(tmp_path: Path) -> None:
    encounters = played(tmp_path, kind="trace", delay=2).encounters
    found = measures.with_records(encounters)
    for row in found.dropna(subset=["partner_record"]).to_dict("records"):
        acts = found[found["game"] == row["game"]]
        before = acts[(acts["donor"] == row["recipient"]) & (acts["round"] < row["round"] - 2)].iloc[-1]
        theirs = acts[(acts["donor"] == before["recipient"]) & (acts["round"] < before["round"])].iloc[-1]
        assert np.isclose(row["partner_record"], theirs["fraction"])
