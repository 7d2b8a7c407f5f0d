"""What `agentsim check` says beside the settings."""

from __future__ import annotations

from typing import Any

import pytest

from agentsim.scenario.conditions import Condition
from agentsim.scenario.loading import scenario_from
from agentsim.scenario.remarks import remarks, warnings
from agentsim.scenario.runs import runs
from tests.cli.test_cli import cli


def condition(**changes: Any) -> Condition:
    data = {"name": "x", "players": {"model": "scripted/standing"}, "generations": 2, **changes}
    return runs(scenario_from(data))[0].condition


@pytest.mark.parametrize(
    ("changes", "counted", "survivors"),
    [
        ({}, "0 of the 72 encounters of a game (0%)", "6 of 12"),
        ({"agents": 10}, "0 of the 60 encounters of a game (0%)", "5 of 10"),
        ({"agents": 10, "pairing": {"kind": "alternating", "in_both_roles": True}}, "35 of the 60", "5 of 10"),
        ({"pairing": {"kind": "released"}}, "36 of the 72 encounters of a game (50%)", "6 of 12"),
        ({"agents": 5, "pairing": {"kind": "random"}}, "of the 24 encounters", "3 of 5"),
    ],
)
def test_reversed_meetings_and_survivors_are_counted(changes: dict[str, Any], counted: str, survivors: str) -> None:
    meetings, living = remarks(condition(**changes), seed=0)
    assert counted in meetings and f"{survivors} agents" in living
    assert not list(warnings(condition(**changes)))


def test_roles_are_reversed_only_where_there_are_several() -> None:
    alike, several = (condition(game={"kind": kind, "rounds": 4}) for kind in ("matrix", "trust"))
    assert not any("reversed" in sentence for sentence in remarks(alike, seed=0))
    assert any("roles reversed" in sentence for sentence in remarks(several, seed=0))


def test_very_many_encounters_are_counted_in_part() -> None:
    many = condition(agents=10_000, game={"rounds": 1000})
    assert "of a game's first 200 rounds" in next(remarks(many, seed=0))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"agents": 2}, "two agents meet in both roles"),
        (
            {"players": {"model": "scripted/standing", "share": 0.2}, "observation": {"kind": "standing"}},
            "gives a share of 0.2, which counts as refusal by observation.threshold of 0.25",
        ),
        ({"observation": {"kind": "image_score", "threshold": 0.6}}, "gives a share of 0.5, which counts as refusal"),
        ({"players": {"model": "scripted/discriminator", "share": 0.2}}, "the threshold of scripted/discriminator"),
    ],
)
def test_what_may_not_be_meant_is_warned_of(changes: dict[str, Any], sentence: str) -> None:
    [warning] = warnings(condition(**changes))
    assert sentence in warning


def test_what_is_shown_as_a_word_is_not_judged_by_a_policy_itself() -> None:
    players = {"model": "scripted/discriminator", "share": 0.2, "threshold": 0.25}
    assert not list(warnings(condition(players=players, observation={"kind": "standing", "threshold": 0.1})))
    assert not list(warnings(condition(players=players, observation={"kind": "none"})))


def test_check_says_it(tmp_path: Any) -> None:
    (tmp_path / "x.yaml").write_text(
        "name: x\nagents: 4\nobservation: {kind: standing}\nplayers: {model: scripted/standing, share: 0.2}\n"
    )
    said = cli("check", tmp_path / "x.yaml", "--seeds", "0")
    assert said.returncode == 0
    assert "survivors of a generation: 2 of 4 agents" in said.stdout and "warning: players: " in said.stdout
