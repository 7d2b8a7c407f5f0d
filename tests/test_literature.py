"""Scenario files of published experiments: each is played, and the table of `docs/literature.md` names them all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import agentsim
from agentsim.core.facts import GenerationEnded
from agentsim.core.observation import Standing
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.play.replay import replay
from agentsim.providers.base import Prompt
from agentsim.scenario.conditions import Condition, Scenario
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.runs import runs
from agentsim.testing import FunctionProvider
from tests.commands import run_command

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "scenarios" / "literature"
FILES = sorted(FOLDER.glob("*.yaml"))
PAGE = (ROOT / "docs" / "literature.md").read_text()
WITH_MODELS = [path for path in FILES if any(spec.condition.model_players for spec in runs(load_scenario(path)))]
EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
MODELS = pytest.mark.parametrize("path", WITH_MODELS, ids=lambda path: path.stem)


class Row(NamedTuple):
    """One experiment of the table."""

    experiment: str
    said: str
    files: tuple[str, ...]
    """Its scenario files, as paths below `scenarios/`."""
    missing: str


def table() -> list[Row]:
    """Return the rows of the page's tables of experiments."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if "|" in line]
    rows = [row for row in cells if len(row) == 4 and row[1] in ("fully", "mostly", "not")]
    return [Row(name, said, tuple(re.findall(r"`([\w/.-]+\.yaml)`", files)), left) for name, said, files, left in rows]


def small(path: Path, *, model: str | None = None) -> Scenario:
    """Return every condition of a file, as the command line makes them smaller: few rounds, generations and games."""
    whole = load_scenario(path)
    varied = dict(whole.vary)
    sets = [f"generations={min(whole.generations, 2)}"]
    if "game" in varied:
        varied["game"] = tuple({**game, "rounds": min(game.get("rounds", 2), 2)} for game in varied["game"])
    else:
        sets += [f"game.games={min(whole.game.games, 2)}", f"game.rounds={min(whole.game.rounds, 2)}"]
        sets += ["game.continuation=0"] if whole.game.continuation and "game.continuation" not in varied else []
    if model is not None:  # a policy has neither a persona nor a strategy to vary
        varied = {name: values for name, values in varied.items() if not name.startswith("players")}
    return load_scenario(path, sets=[*sets, f"vary={json.dumps(varied)}"], model=model, seeds="0")


def as_asked(prompt: Prompt) -> str:
    """Answer by one of the forms that a prompt ends with: another one for another prompt."""
    text = prompt.messages[-1].content.strip()
    forms: list[str] = re.findall(r"^(?:Answer|Antwort): .*$", text, re.MULTILINE)
    other: str = re.findall(r"\b\d+_\d+\b", text)[-1]
    if not forms:
        return f"I weigh what was done before.\n{text.splitlines()[-1]} to be fair to those who were fair."
    form = forms[len(text) % len(forms)].replace("NAME with NUMBER, NAME with NUMBER", f"{other} with NUMBER")
    return "I weigh what was done before.\n" + form.replace("NUMBER", "1")


def test_the_table_and_the_folder_name_the_same_files() -> None:
    named = [name for row in table() for name in row.files]
    assert len(named) == len(set(named))
    assert {name for name in named if name.startswith("literature/")} == {f"literature/{path.name}" for path in FILES}
    assert all((ROOT / "scenarios" / name).is_file() for name in named)


def test_an_experiment_has_a_file_where_it_can_be_said_and_what_is_missing_where_it_cannot() -> None:
    for row in table():
        assert bool(row.files) == (row.said != "not"), row.experiment
        assert bool(row.missing) == (row.said != "fully"), row.experiment


def test_the_page_counts_its_experiments() -> None:
    said = [row.said for row in table()]
    fully, mostly, not_ = (said.count(word) for word in ("fully", "mostly", "not"))
    assert f"Of {len(said)} experiments, {fully} can be said fully, {mostly} mostly, {not_} not." in PAGE


@EACH
def test_a_file_begins_with_its_source_with_what_was_published_and_with_what_differs(path: Path) -> None:
    head = [line for line in path.read_text().partition("\nname:")[0].splitlines() if line.startswith("#")]
    said = [match[1] for line in head if (match := re.match(r"# (Source|Published|Differs): \S", line))]
    assert said == ["Source", "Published", "Differs"]


@EACH
def test_a_file_is_checked_without_a_warning(path: Path) -> None:
    checked = run_command("check", path, "--seeds", "0")
    assert checked.returncode == 0 and "warning" not in checked.stdout, checked.stdout + checked.stderr


@EACH
def test_policies_play_a_file_to_its_end(path: Path, tmp_path: Path) -> None:
    scenario = small(path, model="scripted/generous-discriminator" if path in WITH_MODELS else None)
    result = agentsim.run(scenario, results=tmp_path)
    assert result.is_complete
    for spec in runs(scenario):
        ends = [one for one in read_log(result.folder / spec.name).records if isinstance(one, GenerationEnded)]
        assert len(ends) == scenario.generations
    assert all(state.is_exact and state.note is None for state in replay(result.folder))


@MODELS
def test_the_prompts_of_a_file_are_shown(path: Path) -> None:
    prompts = run_command("prompts", "show", path)
    assert prompts.returncode == 0, prompts.stderr
    assert "These are the rules:" in prompts.stdout and "{{" not in prompts.stdout


@MODELS
def test_models_play_a_file_to_its_end_and_all_they_say_is_read(path: Path, tmp_path: Path) -> None:
    scenario = small(path)
    result = agentsim.run(scenario, results=tmp_path, provider=FunctionProvider(as_asked))
    assert result.is_complete
    for spec in runs(scenario):
        replies = [one for one in read_log(result.folder / spec.name).records if isinstance(one, Reply)]
        assert replies and {reply.attempt for reply in replies} == {1}  # nothing had to be asked again
    study = agentsim.load(result.folder)
    assert set(study.agents["run"]) == {spec.name for spec in runs(scenario)} and study.agents["score"].notna().all()
    assert all(state.is_exact and state.note is None for state in replay(result.folder))


def shares_given(name: str, results: Path, *sets: str, seeds: str) -> dict[str, float]:
    """Return the share of gifts in the last generation of a file's runs, by how often a past is known."""
    scenario = load_scenario(FOLDER / f"{name}.yaml", sets=sets, seeds=seeds)
    study = agentsim.load(agentsim.run(scenario, results=results).folder)
    last = study.encounters[study.encounters["generation"] == scenario.generations]
    known = {spec.name: spec.condition.model_dump(mode="json") for spec in runs(scenario)}
    return {
        str(known[str(run)]["observation"]["known"]): float(share)
        for run, share in last.groupby("run")["fraction"].mean().items()
    }


def gains(name: str, results: Path, *sets: str, seeds: str) -> list[tuple[Condition, dict[str, float]]]:
    """Return the mean score of each player in each condition of a file's runs."""
    scenario = load_scenario(FOLDER / f"{name}.yaml", sets=sets, seeds=seeds)
    agents = agentsim.load(agentsim.run(scenario, results=results).folder).agents
    by_condition: dict[Condition, list[str]] = {}
    for spec in runs(scenario):
        by_condition.setdefault(spec.condition, []).append(spec.name)
    return [
        (
            one,
            {
                str(model): float(mean)
                for model, mean in agents[agents["run"].isin(names)].groupby("model")["score"].mean().items()
            },
        )
        for one, names in by_condition.items()
    ]


def test_image_scorers_take_over_where_pasts_are_known_and_defectors_where_they_are_not(tmp_path: Path) -> None:
    """Nowak & Sigmund 1998: q > c/b."""
    found = shares_given("nowak-sigmund-1998", tmp_path, "generations=25", seeds="0")
    assert found["1.0"] > 0.95 and found["0.05"] < 0.05, found


def test_generosity_pays_off_for_a_defector_beyond_its_threshold_alone(tmp_path: Path) -> None:
    """Schmid et al. 2021: 1 - c/b, here 2/3."""
    for condition, found in gains("schmid-2021", tmp_path, seeds="0-3"):
        generosity = condition.model_dump()["players"][0]["generosity"]
        defector = found.pop("scripted/all-keep")
        [resident] = found.values()
        assert (defector > resident) == (generosity > 2 / 3), (generosity, defector, resident)


def test_private_errors_undo_rules_that_blame_giving_to_the_bad_and_not_the_others(tmp_path: Path) -> None:
    """Hilbe et al. 2018: most rules fail; of the two played here, with all else as in simple standing, one."""
    two = 'vary={"observation.audience": ["public", "private"], "observation.assessment.give_to_bad": ["good", "bad"]}'
    for condition, found in gains("hilbe-2018", tmp_path, two, seeds="0"):
        rules = condition.observation
        assert isinstance(rules, Standing)
        ahead = found["scripted/standing"] / found["scripted/all-keep"]
        is_failing = rules.audience == "private" and rules.assessment.give_to_bad == "bad"
        assert (ahead < 1.1) == is_failing, (rules, ahead)
