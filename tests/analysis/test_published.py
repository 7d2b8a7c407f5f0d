"""The published curves: whole, with the means of the paper's table, and laid under runs of the same rules."""

from __future__ import annotations

from pathlib import Path

import pytest

import agentsim
from agentsim.analysis import Study
from agentsim.analysis.figures import final_resources
from agentsim.analysis.published import published, published_like, published_summary
from agentsim.analysis.tables import published_table
from agentsim.report.page import render
from tests.test_runner import Fake

CLAUDE, GEMINI, GPT = "claude-3-5-sonnet-20240620", "gemini-1.5-flash", "gpt-4o-2024-08-06"
TABLE = {
    (CLAUDE, False): ((368, 52), (3045, 1225)),
    (GEMINI, False): ((262, 25), (298, 47)),
    (GPT, False): ((26.8, 2.8), (13.4, 2.2)),
    (CLAUDE, True): ((512, 98), (5430, 1281)),
    (GEMINI, True): ((16.5, 1.7), (19.0, 1.1)),
    (GPT, True): ((36.2, 4.1), (25.5, 5.9)),
}
"""Mean (standard error) of generations 1 and 10 in the paper: read off its figures, so to about 1 %."""


@pytest.mark.parametrize("key", TABLE)
def test_the_curves_have_the_means_and_errors_of_the_papers_table(key: tuple[str, bool]) -> None:
    frame = published()
    own = frame[(frame["model"] == key[0]) & (frame["punishment"] == key[1])]
    summary = published_summary(own.assign(label="x")).set_index("generation")
    for generation, (mean, error) in zip((1, 10), TABLE[key], strict=True):
        row = summary.loc[generation]
        assert row["n"] == 5
        assert row["mean"] == pytest.approx(mean, rel=0.01)
        assert row["standard_error"] == pytest.approx(error, rel=0.03)


def study(tmp_path: Path, model: str, **changes: object) -> Study:
    scenario = agentsim.scenario_from(
        {"name": "own", "generations": 1, "seeds": [0], "players": {"model": model}, **changes}
    )
    provider = None if model.startswith("scripted/") else Fake()
    return agentsim.load(agentsim.run(scenario, results=tmp_path, provider=provider).folder)


def test_runs_of_a_published_model_get_its_curves_and_another_model_those_of_all(tmp_path: Path) -> None:
    assert set(published_like(study(tmp_path / "a", f"openai/{GPT}"))["label"]) == {f"published: {GPT}"}
    assert set(published_like(study(tmp_path / "b", "openai/new"))["model"]) == {CLAUDE, GEMINI, GPT}
    punishing = {"game": {"kind": "donor", "punishment": {"cost": 1, "effect": 2}}}
    theirs = published_like(study(tmp_path / "c", "openai/new", **punishing))
    assert theirs["punishment"].all() and theirs["label"].str.endswith(", punishment").all()


@pytest.mark.parametrize(
    "changes", [{"agents": 10}, {"observation": {"depth": 1}}, {"game": {"kind": "donor", "multiplier": 3}}]
)
def test_runs_under_other_rules_get_none(tmp_path: Path, changes: dict[str, object]) -> None:
    own = study(tmp_path, f"openai/{GPT}", **changes)
    assert published_like(own).empty and published_table(own) is None
    final_resources(own)


def test_scripted_societies_get_none(tmp_path: Path) -> None:
    assert published_like(study(tmp_path, "scripted/all-give")).empty


def test_figure_table_and_report_show_them_with_their_source(tmp_path: Path) -> None:
    own = study(tmp_path, f"anthropic/{CLAUDE}")
    labels = [text.get_text() for text in final_resources(own).legends[0].get_texts()]
    assert any(label.startswith(f"published: {CLAUDE}") for label in labels)
    table = published_table(own)
    assert table is not None and table.row_count == 2
    page = render(own)
    assert "published runs of the same rules" in page and "arXiv:2412.10270" in page
    assert f"published: {CLAUDE} run 0" in page
