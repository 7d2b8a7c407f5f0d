"""What people read of a study of many runs: tables and pages that fit a screen, and the same numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import agentsim
from agentsim.cli import app
from agentsim.report import excerpt, render


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 62 runs, 31 of each condition, one of which is broken off."""
    scenario = agentsim.scenario_from(
        {
            "name": "many",
            "agents": 4,
            "generations": 2,
            "game": {"kind": "donor", "rounds": 2},
            "vary": {"players": [{"model": "scripted/all-give"}, {"model": "scripted/all-keep"}]},
            "seeds": "0-30",
        }
    )
    played = agentsim.run(scenario, results=tmp_path_factory.mktemp("results")).folder
    log = played / "all-keep--seed-7" / "log.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-8]))
    return played


def told(*arguments: str) -> list[str]:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def row(lines: list[str], name: str) -> list[str]:
    [line] = [line for line in lines if line.strip().startswith(name)]
    return re.split(r"\s{2,}", line.strip())


def test_status_puts_runs_of_a_condition_in_the_same_state_together(folder: Path) -> None:
    lines = told("status", str(folder))
    assert row(lines, "all-give (31)") == ["all-give (31)", "complete", "62/62", "0", "0", "0", "0.00"]
    assert row(lines, "all-keep (30)") == ["all-keep (30)", "complete", "60/60", "0", "0", "0", "0.00"]
    assert row(lines, "all-keep (1)")[1:3] == ["broken off: its process ended without stating a reason", "1/2"]
    assert len(lines) < 15 and any("62 runs" in line for line in lines)


def test_show_has_a_row_for_each_condition_and_its_ends(folder: Path) -> None:
    lines = told("show", str(folder))
    counts = [re.split(r"\s{2,}", line.strip())[:3] for line in lines if line.strip().startswith("all-")]
    assert counts[:2] == [["all-give", "31", "31"], ["all-keep", "31", "30"]]
    assert counts[2:] == [
        ["all-give", "1", "31"], ["all-give", "2", "31"], ["all-keep", "1", "31"], ["all-keep", "2", "30"],
    ]  # fmt: skip
    assert len(lines) < 25


def test_the_page_shows_some_runs_of_each_condition_and_counts_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = agentsim.load(folder)
    whole = render(study)
    of_a_run = int(study.encounters.groupby("run").size().max())
    monkeypatch.setattr(excerpt, "MAX_ROWS", 8 * of_a_run)
    page = render(study)
    data = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)[0])
    names = [run["label"] for run in data["runs"]]
    assert [sum(name.startswith(condition) for name in names) for condition in ("all-give", "all-keep")] == [4, 4]
    assert (
        set(data["encounters"]["run"]) == set(data["agents"]["run"]) == set(data["generations"]["run"]) == set(range(8))
    )
    assert "8 of 62 runs" in page and "8 of 62 runs" not in whole
    assert "all-give (31 runs)" in page and "Run all-keep--seed-7 did not finish" in page
    assert [condition["mean"] for condition in data["conditions"]] == [
        condition["mean"] for condition in json.loads(re.findall(r'id="data">(.*?)</script>', whole)[0])["conditions"]
    ]
    assert len(page) < len(whole)
