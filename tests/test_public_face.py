"""The names that `import agentsim` gives: all of them, only them, and each when it is first used."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

import agentsim
from agentsim.analysis.frames.columns import COLUMNS
from agentsim.errors import ScenarioError
from tests.orchestrator.test_study import Fake

ROOT = Path(agentsim.__file__).parent.parent
SCENARIOS = ROOT / "scenarios"
NAMES = {
    "Bayes", "COLUMNS", "Comparison", "Equivalence", "Invasions", "Look", "Methods", "Observer", "PlannedPower",
    "Power", "Prereg", "Probe", "Scenario", "Study", "StudyResult", "baselines", "bayes", "compare",
    "equivalence", "errors", "export", "figures", "invade", "load", "load_invasions", "load_plugin",
    "load_probe", "load_scenario", "measures", "methods", "pilot_of", "pilot_of_scores", "planned_power",
    "play_many", "players_apart", "plugin", "policies", "power", "prereg", "probe", "published", "read_prereg",
    "register", "replay", "run", "run_async", "scenario_from", "statistics", "summary", "testing", "work",
    "work_async", "write_prereg", "write_report",
}  # fmt: skip


def test_the_public_names_are_these_and_no_others() -> None:
    for module in ("agentsim.cli", "agentsim.report", "agentsim.testing.weather"):
        import_module(module)  # what is imported inside does not show
    assert set(dir(agentsim)) == set(agentsim.__all__) == NAMES
    assert dir(agentsim) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(agentsim, name)
    if value is COLUMNS:
        return  # every column has its own meaning
    assert inspect.getdoc(value)
    assert isinstance(value, ModuleType) or value.__name__ == name


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(agentsim.__file__).read_text())
    [seen] = [node for node in tree.body if isinstance(node, ast.If)]
    for node in seen.body:
        assert isinstance(node, ast.ImportFrom) and node.module is not None
        [alias] = node.names
        home = import_module(node.module)
        value = getattr(home, alias.name, None) or import_module(f"{node.module}.{alias.name}")
        assert alias.asname == alias.name and getattr(agentsim, alias.name) is value
    assert {alias.name for node in seen.body if isinstance(node, ast.ImportFrom) for alias in node.names} == NAMES


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'laod'; it has .*load, .*run"):
        getattr(agentsim, "laod")  # noqa: B009 - mypy knows that it is not there


def test_the_import_costs_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import agentsim; dir(agentsim);"
        "print(*{name for name in set(sys.modules) - before if name.split('.')[0] not in sys.stdlib_module_names})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["agentsim"]


def test_a_scenario_is_run_by_the_path_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text("name: short\nplayers: {model: scripted/all-keep}\ngenerations: 1\n")
    for given in (str(path), path):
        result = agentsim.run(given, results=tmp_path)
        assert result.is_complete and result.folder == tmp_path / "short"


async def test_a_scenario_is_run_asynchronously_by_the_path_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text("name: short\nplayers: {model: scripted/all-keep}\ngenerations: 1\n")
    assert (await agentsim.run_async(path, results=tmp_path)).is_complete


def test_a_probe_is_one_call_of_a_scenario_or_its_file(tmp_path: Path) -> None:
    path = tmp_path / "asked.yaml"
    path.write_text("name: asked\nplayers: {model: scripted/discriminator}\n")
    scenario = agentsim.load_scenario(path)
    asked = {"n": 1, "records": [0, 0.25, 1], "partners": [1], "resources": [10]}
    found = [
        agentsim.load_probe(agentsim.probe(source, results=tmp_path / name, **asked).folder)  # type: ignore[arg-type]
        for name, source in (("one", scenario), ("two", str(path)))
    ]
    for read in found:
        assert set(read.answers["record"].dropna()) == {0, 0.25, 1} and set(read.answers["resources"]) == {10}
        assert set(read.answers["partner"].dropna()) <= {1}
    assert found[0].answers.equals(found[1].answers)
    with pytest.raises(ScenarioError, match="already loaded"):
        agentsim.probe(scenario, sets=["agents=4"], results=tmp_path)
    with pytest.raises(ScenarioError, match="asked is not a study's folder"):
        agentsim.probe(scenario, run="x", results=tmp_path)


def test_an_invasion_is_one_call_and_its_logs_say_the_same(tmp_path: Path) -> None:
    names = ["scripted/all-keep", "scripted/constant-share:share=0.3"]
    asked = {"seeds": "0-3", "agents": 6, "generations": 4, "results": tmp_path}
    played = agentsim.invade(names, **asked)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    logged = agentsim.invade(names, log=True, **asked)  # type: ignore[arg-type]
    one, other = (found.runs.sort_values(["condition", "seed"], ignore_index=True) for found in (played, logged))
    assert len(one) == 16
    pd.testing.assert_frame_equal(one, other)
    assert agentsim.load_invasions(tmp_path / "invasion").runs.equals(logged.runs)


def test_an_invasion_of_a_model_says_which_runs_are_not_complete(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    account = "providers: {fake: {base_url: http://127.0.0.1:9/v1}}"
    rules.write_text(f"name: rules\nplayers: {{model: scripted/all-keep}}\nagents: 4\n{account}\n")

    def invade(fake: Fake, results: Path) -> agentsim.Invasions:
        names = ["scripted/all-keep", "fake/some"]
        return agentsim.invade(names, rules=rules, generations=1, seeds="0", results=results, provider=fake)

    whole = Fake()
    found = invade(whole, tmp_path / "whole")
    assert len(found.runs) == 2 and not any("is left out" in note for note in found.notes)
    found = invade(Fake(fail_at=whole.n_calls), tmp_path / "stopped")
    assert len(found.runs) == 1
    [note] = [note for note in found.notes if "is left out" in note]
    assert "stopped, the fake is out of order" in note


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "notebooks").glob("*.ipynb")), ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))],
    ids=lambda path: path.name,
)
def test_notebooks_and_pages_use_public_names_alone(path: Path) -> None:
    text = path.read_text()
    inside = re.findall(r"(?:from|import) agentsim\.(\w+)", text)
    assert set(inside) <= {"plugin", "testing"}, inside
    for names in re.findall(r"from agentsim import ([\w, ]+)", text):
        assert {name.strip() for name in names.split(",")} <= set(dir(agentsim))
