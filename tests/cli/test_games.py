"""The tables of games other than the donor game."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.cli.tables.study import generations, strategies, study_tables
from agentsim.providers.base import Prompt
from agentsim.scenario.names import natural
from agentsim.testing import FunctionProvider
from tests.games import GAMES, play


def _shown(*tables: Table) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    return capture.get()


@pytest.mark.parametrize("name", GAMES)
def test_the_tables_of_a_game_show_its_level_and_nothing_of_giving(name: str, tmp_path: Path) -> None:
    study = play(name, tmp_path)
    text = _shown(*study_tables(study))
    assert "level" in text and "how cooperative, 0 to 1" in text
    assert "given" not in text and "to own" not in text
    rows = generations(study).columns[4]._cells
    played = zip(study.generations["run"], study.generations["mean_level"], strict=True)
    assert rows == [f"{level:.2f}" for _, level in sorted(played, key=lambda one: natural(one[0]))]


def test_a_bar_is_as_long_as_its_score_where_scores_add_up(tmp_path: Path) -> None:
    bars = [len(str(bar)) for bar in generations(play("commons", tmp_path)).columns[3]._cells]
    assert bars == [2, 12, 4]  # 20, 120 and 39 units


def test_half_of_the_moves_lost_is_not_all_of_them(tmp_path: Path) -> None:
    study = play("stag-hunt", tmp_path, sets=["generations=1"])
    n_missed = study.generations["n_encounters"]  # each of them has two moves
    half = replace(study, generations=study.generations.assign(n_missed=n_missed))
    assert generations(half).columns[2]._cells == ["23.5", "43.0"]
    every = replace(study, generations=study.generations.assign(n_missed=n_missed * 2))
    assert generations(every).columns[2]._cells == ["-", "-"]


def test_strategies_of_a_game_stand_beside_its_level(tmp_path: Path) -> None:
    def answered(prompt: Prompt) -> str:
        asked = prompt.messages[-1].content
        return "My strategy will be to hunt." if "My strategy will be" in asked else "Answer: stag"

    data = {"name": "hunt", "agents": 4, "generations": 1, "seeds": [0], "players": {"model": "fake/x"}}
    data |= {"game": {"kind": "matrix", "table": "stag-hunt", "rounds": 2}}
    data |= {"providers": {"fake": {"base_url": "http://127.0.0.1:1", "api_key_env": None}}}
    result = agentsim.run(agentsim.scenario_from(data), results=tmp_path, provider=FunctionProvider(answered))
    study = agentsim.load(result.folder)
    [gen, _, _, level, _] = strategies(study).columns
    assert gen._cells == ["1"] * 4 and level.header == "level"
    assert level._cells == ["1.00"] * 4


def test_a_model_whose_moves_are_never_read_is_unread_in_every_game(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from(
        {
            "name": "mumbles",
            "players": {"model": "fake/model"},
            "providers": {"fake": {"base_url": "http://127.0.0.1:9"}},
            "strategy": "none",
            "agents": 2,
            "generations": 1,
            "game": {"kind": "matrix", "rounds": 2},
            "on_invalid": {"attempts": 1, "then": "pass", "stop_after": 100},
        }
    )
    provider = FunctionProvider(lambda prompt: "I would rather not say.")
    result = agentsim.run(scenario, results=tmp_path, provider=provider)
    run = result.runs[0]
    assert run.is_unread and not result.is_complete
