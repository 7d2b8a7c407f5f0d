"""The published curves: whole, with the means of the paper's table, and drawn below runs of the same rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.analysis.figures import efficiency, final_resources
from agentsim.analysis.frames.study import Study
from agentsim.analysis.published import (
    RULES,
    curves,
    published_like,
    published_summary,
    published_unlike,
    rule_differences,
)
from agentsim.cli.tables.published import published_table, published_unlike_table
from agentsim.report.page import render
from tests.orchestrator.test_study import Fake

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
    frame = curves()
    own = frame[(frame["model"] == key[0]) & (frame["punishment"] == key[1])]
    summary = published_summary(own.assign(label="x")).set_index("generation")
    for generation, (mean, error) in zip((1, 10), TABLE[key], strict=True):
        row = summary.loc[generation]
        assert row["n"] == 5
        assert row["mean"] == pytest.approx(mean, rel=0.01)
        assert row["standard_error"] == pytest.approx(error, rel=0.03)


def study(tmp_path: Path, model: str, **changes: object) -> Study:
    rules = {"pairing": {"kind": "released"}, **changes}
    scenario = agentsim.scenario_from(
        {"name": "own", "generations": 1, "seeds": [0], "players": {"model": model}, **rules}
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
    ("changes", "difference"),
    [
        ({"agents": 10}, "agents 10 (published: 12)"),
        ({"observation": {"depth": 1}}, "observation.depth 1 (published: 3)"),
        ({"game": {"kind": "donor", "multiplier": 3}}, "game.multiplier 3 (published: 2)"),
        ({"pairing": {"kind": "random"}}, "pairing.kind random (published: released)"),
        ({"pairing": {"kind": "alternating"}}, "pairing.kind alternating (published: released)"),
    ],
)
def test_runs_under_other_rules_get_efficiency_alone_and_the_difference_is_said(
    tmp_path: Path, changes: dict[str, object], difference: str
) -> None:
    own = study(tmp_path, f"openai/{GPT}", **changes)
    assert published_like(own).empty and published_table(own) is None
    labels = [text.get_text() for text in final_resources(own).legends[0].get_texts()]
    assert not any("published" in label for label in labels)
    theirs, differences = published_unlike(own)
    assert differences == (difference,) and set(theirs["model"]) == {GPT}
    figure = efficiency(own)
    assert difference in " ".join(figure.get_supxlabel().split())
    assert any("published" in text.get_text() for text in figure.legends[0].get_texts())
    table = published_unlike_table(own)
    assert table is not None and difference in str(table.caption)


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("game.rounds", 11, "game.rounds 11 (published: 12)"),
        ("game.error", 0.1, "game.error 0.1 (published: 0)"),
        ("game.punishment", {"cost": 1, "effect": 3}, "game.punishment.effect 3 (published: 2)"),
        ("selection.fraction", 0.25, "selection.fraction 0.25 (published: 0.5)"),
        ("some.new.rule", "on", "some.new.rule on (published: none)"),
        ("generations", 3, None),
        ("selection.score", "last_game", None),
        ("on_invalid.attempts", 1, None),
        ("players.temperature", 1.0, None),
    ],
)
def test_every_setting_that_is_no_rule_of_theirs_is_a_difference(path: str, value: object, what: str | None) -> None:
    condition: dict[str, Any] = {"players": {"model": "m/x"}, "on_invalid": {}, "generations": 10}
    for each, own in {**RULES, path: value}.items():
        inner = condition
        *outer, last = each.split(".")
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = own
    assert rule_differences(condition) == (() if what is None else (what,))


def test_efficiency_of_the_published_runs_is_that_of_their_schedule(tmp_path: Path) -> None:
    theirs, _ = published_unlike(study(tmp_path, f"anthropic/{CLAUDE}", pairing={"kind": "random"}))
    last = theirs[(theirs["generation"] == 10)]
    assert sorted(last["efficiency"].round(2)) == [0.58, 0.58, 0.73, 0.84, 0.89]
    page = render(study(tmp_path, f"anthropic/{CLAUDE}", pairing={"kind": "random"}))
    assert "published: released" in page and "The efficiency figure shows them" in page


def test_scripted_societies_get_none(tmp_path: Path) -> None:
    own = study(tmp_path, "scripted/all-give")
    assert published_like(own).empty and published_unlike(own)[0].empty


def test_figure_table_and_report_show_them_with_their_source(tmp_path: Path) -> None:
    own = study(tmp_path, f"anthropic/{CLAUDE}")
    labels = [text.get_text() for text in final_resources(own).legends[0].get_texts()]
    assert any(label.startswith(f"published: {CLAUDE}") for label in labels)
    table = published_table(own)
    assert table is not None and table.row_count == 2
    page = render(own)
    assert "published runs under the same schedule and rules" in page and "arXiv:2412.10270" in page
    assert f"published: {CLAUDE} run 0" in page
