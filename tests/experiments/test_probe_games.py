"""Probes of other games than the donor game: situations and answers are levels."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agentsim.analysis.probes import Probe, load_probe
from agentsim.cli.tables.probe import probe_tables
from agentsim.core.answers import MoveSpec
from agentsim.core.probe_design import Design, Subject, grid, request
from agentsim.errors import ScenarioError
from agentsim.experiments.probe import plan, probe
from agentsim.play.replay import replay
from agentsim.report.probe_page import render_probe
from agentsim.scenario.conditions import Scenario
from agentsim.testing import FunctionProvider
from tests.orchestrator.test_study import scenario

GAMES = {
    "matrix": ("decision", [0.0, 1.0]),
    "trust": ("send", [0.0, 0.3, 0.5, 0.8, 1.0]),  # whole units of ten
    "ultimatum": ("offer", [0.0, 0.3, 0.5, 0.8, 1.0]),
    "dictator": ("divide", [0.0, 0.3, 0.5, 0.8, 1.0]),
}
TRACE: dict[str, Any] = {"observation": {"kind": "trace", "depth": 1}}


def of(kind: str, player: str, **changes: Any) -> Scenario:
    game = {"kind": kind, "rounds": 4}
    players = {"model": player, **({"share": 1} if player == "scripted/discriminator" else {})}
    return scenario(**{"game": game, "players": players, **TRACE, **changes})


def designed(rules: Scenario, *, n: int = 2) -> Design:
    subject = Subject(name="text-1", strategy=None)
    return Design(source="a test", subjects=(subject,), situations=grid(rules), n=n)


def asked(tmp_path: Path, rules: Scenario, reply: str | None = None) -> Probe:
    provider = None if reply is None else FunctionProvider(lambda prompt: reply)
    result = probe(rules, designed(rules), results=tmp_path, provider=provider)
    assert result.is_complete and all(state.is_exact for state in replay(result.folder))
    return load_probe(result.folder)


@pytest.mark.parametrize("kind", GAMES)
def test_the_grid_is_of_levels_that_the_game_has_and_the_first_stage_is_asked(kind: str) -> None:
    rules = of(kind, "fake/model")
    stage, levels = GAMES[kind]
    situations = grid(rules)
    assert [one.record for one in situations] == [*levels, None] and situations[-1].round == 1
    for situation in situations[:-1]:
        one = request(Subject(name="text-1", strategy="to be fair"), situation, 1, rules=rules)
        [act] = one.view.trace  # type: ignore[union-attr]
        assert (act.level, act.donor) == (situation.record, one.view.recipient)  # type: ignore[union-attr]
        assert (one.view.stage, one.view.role) == (stage, rules.game.roles[0])  # type: ignore[union-attr]
        assert isinstance(one.spec, MoveSpec)
        assert (rules.game.first_state(2) is None and one.spec.options[0].name == act.act) or kind == "matrix"


def told_of(found: Probe) -> str:
    console = Console(file=StringIO(), width=160)
    for table in probe_tables(found):
        console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("kind", GAMES)
def test_a_policy_is_read_as_what_it_is_by_levels(tmp_path: Path, kind: str) -> None:
    found = asked(tmp_path, of(kind, "scripted/discriminator"))
    [row] = found.summary.to_dict("records")
    assert row["norm"] == ("cannot say" if kind == "matrix" else "image scoring")  # two levels tell no line from a step
    assert row["nearest"] == "image scoring" and (row["low_level"], row["high_level"]) == (0, 1)
    by_level = found.surface.dropna(subset=["level"]).set_index("level")["mean"]
    told = " ".join(told_of(found).split())
    assert "Mean level of text-1" in told and "given" not in told and "fraction" not in told
    assert "Mean level, by the level of what the other did" in render_probe(found)
    assert by_level.to_dict() == {level: float(level >= 0.25) for level in GAMES[kind][1]}


def test_a_model_s_moves_are_read_as_levels(tmp_path: Path) -> None:
    trust = asked(tmp_path / "trust", of("trust", "fake/model"), "Answer: 4")
    assert set(trust.answers["fraction"]) == {0.4} and set(trust.answers["act"]) == {"send"}
    dilemma = asked(tmp_path / "matrix", of("matrix", "fake/model"), "Answer: defect")
    assert set(dilemma.answers["fraction"]) == {0.0} and set(dilemma.answers["act"]) == {"defect"}
    mute = of("dictator", "fake/model", on_invalid={"stop_after": None}, name="mute")
    result = probe(mute, designed(mute), results=tmp_path, provider=FunctionProvider(lambda prompt: "Hm."))
    answers = load_probe(result.folder).answers
    assert answers["fraction"].isna().all() and set(answers["act"]) == {"missing"}


def test_a_reputation_is_shown_where_the_rule_shows_one(tmp_path: Path) -> None:
    rules = of("ultimatum", "scripted/discriminator", observation={"kind": "standing"})
    found = asked(tmp_path, rules)
    assert found.answers.groupby("reputation")["fraction"].mean().to_dict() == {"bad": 0.0, "good": 1.0}


def test_what_cannot_be_probed_is_said() -> None:
    with pytest.raises(ScenarioError, match=r"game.kind: public_goods: 4 agents meet in it, and a probe asks"):
        grid(of("public_goods", "fake/model"))
    rules = of("trust", "fake/model")
    scored = designed(rules).model_copy(update={"background": ("all-keep",)})
    with pytest.raises(ScenarioError, match=r"game.kind: trust: strategies are scored in societies of the donor game"):
        probe(rules, scored)
    assert plan(rules, designed(rules)).n_questions == 2 * 6
