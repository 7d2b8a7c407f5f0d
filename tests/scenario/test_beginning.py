"""Studies of one's own, and copies of what is shipped."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

import agentsim
from agentsim.errors import ScenarioError
from agentsim.scenario.beginning import begin
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.shipped import copy, examples, first_words, named, shipped_folder

SCENARIOS = [name for name in examples() if name.startswith("scenarios/")]


@pytest.mark.parametrize("source", SCENARIOS)
def test_a_study_begins_with_any_shipped_scenario(source: str, tmp_path: Path) -> None:
    begin(tmp_path / "my-study", source=source, with_prompts=False)
    own, shipped = (
        load_scenario(path) for path in (tmp_path / "my-study" / "scenario.yaml", shipped_folder() / source)
    )
    assert own.name == "my-study"
    assert own.model_copy(update={"name": shipped.name}) == shipped
    text = (tmp_path / "my-study" / "scenario.yaml").read_text("utf-8")
    assert text.count("#") == (shipped_folder() / source).read_text("utf-8").count("#")
    nbformat.validate(nbformat.read(tmp_path / "my-study" / "notebook.ipynb", as_version=4))  # type: ignore[no-untyped-call]


def test_its_prompts_are_its_own_on_wish_and_its_notebook_reads_what_it_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path / "mine", source="donor-game", with_prompts=True)
    monkeypatch.chdir(tmp_path / "mine")
    sets = ["generations=1", "agents=4", "game.rounds=2"]
    scenario = agentsim.load_scenario("scenario.yaml", sets=sets, model="scripted/all-give", seeds="0")
    assert Path(scenario.prompts).samefile("prompts") and Path("prompts/decision.md").is_file()
    agentsim.run(scenario)
    code = [cell.source for cell in nbformat.read("notebook.ipynb", as_version=4).cells if cell.cell_type == "code"]  # type: ignore[no-untyped-call]
    exec("\n".join(code[:2]), {})


@pytest.mark.parametrize(
    ("folder", "source", "with_prompts", "said"),
    [
        ("there", "donor-game", False, "is there already"),
        ("two words", "donor-game", False, "cannot name a folder"),
        ("new", "doner-game", False, "did you mean 'donor-game'"),
        ("new", "getting-started", False, "no example"),
        ("new", "ma-2024", True, "varies its prompts"),
    ],
)
def test_what_cannot_begin_leaves_nothing_behind(
    folder: str, source: str, with_prompts: bool, said: str, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ScenarioError, match=said):
        begin(tmp_path / folder, source=source, with_prompts=with_prompts)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_every_example_says_what_it_is_and_is_found_by_its_name() -> None:
    for name in examples():
        assert first_words(name), name
        assert named(name) == named(name.removesuffix(".yaml").removesuffix(".ipynb")) == name
    assert named("donor-game") == "scenarios/donor-game.yaml"


def test_a_copy_brings_what_it_reads_and_overwrites_nothing(tmp_path: Path) -> None:
    names = [named("compare-models"), named("getting-started")]
    written = {path.relative_to(tmp_path).as_posix() for path in copy(names, tmp_path)}
    assert {"scenarios/compare-models.yaml", "scenarios/donor-game.yaml", "results/example-model/study.json"} <= written
    assert not copy(names, tmp_path)
    (tmp_path / "scenarios" / "donor-game.yaml").write_text("mine")
    with pytest.raises(ScenarioError, match="differs from the example"):
        copy(names, tmp_path)
    assert (tmp_path / "scenarios" / "donor-game.yaml").read_text() == "mine"
