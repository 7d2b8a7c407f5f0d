"""`agentsim prompts show`: what agents would read, before it is paid for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import agentsim
from agentsim.errors import ScenarioError
from agentsim.play.preview import Shown, shown
from agentsim.scenario.conditions import Condition
from agentsim.scenario.runs import runs
from tests.cli.test_cli import cli
from tests.orchestrator.test_study import Fake, play, scenario

SCENARIOS = Path(agentsim.__file__).parent.parent / "scenarios"


def condition(**changes: object) -> Condition:
    return runs(scenario(**changes))[0].condition


def texts(found: list[Shown]) -> str:
    return "\n".join(message.content for each in found for message in each.messages)


def test_every_kind_of_prompt_is_shown_as_it_would_be_at_that_moment() -> None:
    found = list(shown(condition(generations=4), generation=3, round=2))
    assert [each.title.split(" (")[0] for each in found[:3]] == [
        "an agent's strategy in the first generation",
        "a newborn's strategy in generation 3",
        "a donor's decision in generation 3, round 2",
    ]
    assert "You are agent 3_1, new in generation 3" in found[1].messages[1].content
    assert "It is round 2." in found[2].messages[1].content and "Round 1:" in found[2].messages[1].content
    assert {each.title.split(" that is ")[0] for each in found[3:]} == {"after a strategy", "after a decision"}
    assert "newborn" not in " ".join(each.title for each in shown(condition(), generation=1, round=1))


def test_what_is_shown_of_the_first_question_is_what_is_sent(tmp_path: Path) -> None:
    play(tmp_path, fake := Fake())
    first = next(shown(condition(), generation=1, round=1))
    assert fake.prompts[0].messages == first.messages


@pytest.mark.parametrize(
    ("moment", "changes", "sentence"),
    [
        ({"generation": 9, "round": 1}, {}, "no generation 9: the scenario has 1 to 3"),
        ({"generation": 1, "round": 5}, {}, "no round 5: a game has 1 to 4"),
        ({"generation": 1, "round": 1}, {"players": {"model": "scripted/all-give"}}, "reads no prompts"),
    ],
)
def test_a_moment_that_cannot_be_is_said(moment: dict[str, int], changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        list(shown(condition(**changes), **moment))


def test_the_command_prints_them_and_names_a_template_with_an_unknown_name(tmp_path: Path) -> None:
    told = cli("prompts", "show", SCENARIOS / "donor-game.yaml", "--generation", "2", "--round", "4")
    assert told.returncode == 0 and "It is round 4." in told.stdout and "My strategy will be" in told.stdout
    default = Path(agentsim.__file__).parent / "prompts" / "default"
    folder = tmp_path / "mine"
    shutil.copytree(default, folder)
    decision = (default / "decision.md").read_text()
    (folder / "decision.md").write_text(decision.replace("{{ recipient }}", "{{ recipent }}"))
    (tmp_path / "mine.yaml").write_text("name: mine\nplayers: {model: openai/gpt-4o}\nprompts: mine\n")
    wrong = cli("prompts", "show", tmp_path / "mine.yaml")
    assert wrong.returncode == 2 and "decision.md:4:" in wrong.stderr and "recipent" in wrong.stderr


def test_where_there_is_one_generation_of_one_round_that_moment_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text("name: small\nagents: 2\ngenerations: 1\ngame: {rounds: 1}\nplayers: {model: openai/gpt-4o}\n")
    told = cli("prompts", "show", path)
    assert told.returncode == 0 and "in generation 1, round 1" in told.stdout


def test_another_prompt_set_than_the_scenarios_can_be_shown() -> None:
    told = cli("prompts", "show", SCENARIOS / "donor-game.yaml", "--prompts", "german")
    assert told.returncode == 0 and "Es ist Runde 3." in told.stdout and "It is round 3." not in told.stdout
    wrong = cli("prompts", "show", SCENARIOS / "donor-game.yaml", "--prompts", "germain")
    assert wrong.returncode == 2 and "germain" in wrong.stderr
