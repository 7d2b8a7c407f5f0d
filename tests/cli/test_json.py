"""`--json`: one document on standard output, valid under the schema of the docs, with the tables' numbers."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

import agentsim
from agentsim.cli.json_output import REMEDIES, plain_value, remedy
from agentsim.testing import FunctionProvider
from tests.cli.test_habits import COMMANDS
from tests.commands import run_command

ROOT = Path(agentsim.__file__).parent.parent
SCHEMA = json.loads((ROOT / "docs" / "commands.schema.json").read_text(encoding="utf-8"))
SMALL = """\
name: small
agents: 4
generations: 2
game: {kind: donor, rounds: 4}
players: {model: scripted/constant-share}
vary: {players.share: [0.3, 0.6]}
seeds: 0-3
"""
TELLS_NOTHING = {("schema",), ("models", "pull"), ("examples", "copy"), ("init",), ("prereg",), ("view",)}
"""The schema and a preregistration are JSON already; fetching and copying files and serving a page tell nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scenario and what was played of it."""
    folder = tmp_path_factory.mktemp("json")
    (folder / "small.yaml").write_text(SMALL)
    printed(folder, "run", "small.yaml", "--json")
    provider = FunctionProvider(lambda prompt: "My strategy will be to give half. Answer: 50%")
    asked = agentsim.scenario_from(
        {"agents": 4, "game": {"rounds": 2}, "players": {"model": "openai/m"}, "name": "small"}
    )
    agentsim.probe(asked, levels=(0, 1), children=2, founders=2, results=folder / "results", provider=provider)
    return folder


def printed(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Return the document that a command prints, held against the schema."""
    ended = run_command(*arguments, cwd=folder, environ={"COLUMNS": "80"})
    assert ended.returncode == code, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    of = "error" if "error" in document else str(document["command"]).replace(" ", "-")
    jsonschema.validate(document, {**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{of}-document"}]})
    assert of == "error" or arguments[: of.count("-") + 1] == tuple(of.split("-"))
    return document


ASKED: list[tuple[str, ...]] = [
    ("check", "small.yaml"),
    ("plan", "small.yaml"),
    ("run", "small.yaml"),
    ("status", "results/small"),
    ("show", "results/small"),
    ("show", str(ROOT / "results" / "example-model")),
    ("compare", "results/small", "--by", "condition"),
    ("power", "--spread", "1.5", "--effect", "3"),
    ("figures", "results/small", "--societies", "0"),
    ("methods", "results/small"),
    ("report", "results/small"),
    ("export", "results/small", "--format", "csv"),
    ("list", "providers"),
    ("match", "tit-for-tat", "all-keep", "--game", "trust", "--rounds", "3"),
    ("models", "list"),
    ("examples", "list"),
    ("prompts", "show", "small.yaml", "--set", "vary=null", "--model", "openai/gpt-4o-2024-08-06"),
    ("replay", "results/small"),
    ("invade", "scripted/all-keep", "scripted/discriminator", "--generations", "3", "--seeds", "0-3"),
    ("invade", "scripted/all-keep", "scripted/discriminator", "--seeds", "0-3", "--plan"),
    ("predict", "results/probe-small-children", "--over", "game.multiplier", "--values", "1.5,2"),
    ("probe", "small.yaml", "--set", "vary=null", "--model", "scripted/standing"),
    ("probe", "small.yaml", "--set", "vary=null", "--model", "scripted/standing", "--plan"),
]


@pytest.mark.parametrize("arguments", ASKED, ids=" ".join)
def test_a_document_is_all_that_is_printed_and_follows_the_schema(arguments: tuple[str, ...], folder: Path) -> None:
    printed(folder, *arguments, "--json")


def test_every_command_that_tells_something_has_a_document_in_the_schema() -> None:
    documents = {name.removesuffix("-document") for name in SCHEMA["$defs"] if name.endswith("-document")} - {"error"}
    assert documents == {"-".join(words) for words in COMMANDS if words not in TELLS_NOTHING}
    assert documents == {"-".join(words) for words, command in COMMANDS.items() if "--json" in options(command)}
    assert documents == {
        name for words in ASKED for name in documents if words[: name.count("-") + 1] == tuple(name.split("-"))
    }


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_numbers_are_those_of_the_frames_unrounded_and_missing_ones_are_null(folder: Path) -> None:
    study = agentsim.load(folder / "results" / "small")
    compared = printed(folder, "compare", "results/small", "--by", "condition", "--json")
    frame = agentsim.compare(study, by="condition").table
    assert [row["ratio"] for row in compared["pairs"]] == list(frame["ratio"])
    assert [row["p_heirs"] for row in compared["pairs"]] == [None]
    shown = printed(folder, "show", "results/small", "--json")
    assert [row["mean_final_resources"] for row in shown["runs"]] == list(study.runs["mean_final_resources"])
    assert len(shown["generations"]) == len(study.generations)
    told = printed(folder, "run", "small.yaml", "--json")
    assert told["results"].items() <= shown.items() and {state["status"] for state in told["ended"]} == {"complete"}


VALUES: list[tuple[Any, Any]] = [
    (np.float64(0.1), 0.1),
    (float("nan"), None),
    (pd.NA, None),
    (pd.NaT, None),
    (np.int64(3), 3),
    (float("inf"), "Infinity"),
    (np.bool_(True), True),
    (Path("a/b"), "a/b"),
    ((1, None), [1, None]),
    (
        pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [0.5, np.inf]}),
        [{"a": 1, "b": 0.5}, {"a": None, "b": "Infinity"}],
    ),
]


@pytest.mark.parametrize(("value", "written"), VALUES, ids=str)
def test_values_are_written_as_json_has_them(value: Any, written: Any) -> None:
    assert plain_value(value) == written
    json.dumps(plain_value(value), allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "nowhere"), "log_error"),
        (("check", "small.yaml", "--set", "agnets=3"), "scenario_error"),
        (("run", "small.yaml", "--set", "generations=3"), "replay_mismatch"),
        (("power", "--spread", "0.5"), "agentsim_error"),
        (("show", "results/small", "--colour"), "usage_error"),
        (("probe", "small.yaml", "--n", "-3"), "usage_error"),
        (("run",), "usage_error"),
        (("nothing",), "usage_error"),
    ],
)
def test_a_mistake_is_a_document_too_with_code_message_and_remedy(
    arguments: tuple[str, ...], code: str, folder: Path
) -> None:
    error = printed(folder, *arguments, "--json", code=2)["error"]
    assert error["code"] == code and error["message"] and error["remedy"]


def test_every_kind_of_error_has_a_remedy_of_its_own_or_of_the_kind_above() -> None:
    members = [kind for _, kind in inspect.getmembers(agentsim.errors, inspect.isclass)]
    kinds: list[type[Exception]] = [kind for kind in members if issubclass(kind, agentsim.errors.AgentsimError)]
    assert set(REMEDIES) <= set(kinds) and all(remedy(kind("what")) for kind in kinds)
    assert "--max-cost" in remedy(agentsim.errors.BudgetReached("what"))


def test_models_words_reach_the_document_whole_and_the_terminal_as_ascii() -> None:
    ended = run_command("show", ROOT / "results" / "example-model", "--json")
    assert ended.stdout.isascii() and "\x1b" not in ended.stdout
    study = agentsim.load(ROOT / "results" / "example-model")
    written = {row["strategy"] for row in json.loads(ended.stdout)["strategies"]}
    assert written and written <= set(study.with_strategies(study.agents)["strategy"])


def test_the_mistake_reads_as_the_docs_show_it(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```text\n\$ agentsim (.*?)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ended = run_command(*block[0].split(), cwd=tmp_path)
    assert ended.stdout == block[1]
