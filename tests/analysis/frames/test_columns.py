"""Each column is declared once: what is loaded, exported and documented agrees with that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import agentsim
from agentsim.analysis.export import export
from agentsim.analysis.frames import cache
from agentsim.analysis.frames.columns import COLUMNS, TABLES, TOKENS
from agentsim.analysis.frames.declared import Column, Table
from agentsim.analysis.frames.rows import value_at
from agentsim.analysis.frames.study import Study
from agentsim.core.facts import GenerationEnded
from agentsim.providers.base import Prompt
from tests.analysis.frames.columns_page import PAGE, page
from tests.orchestrator.test_study import Fake, play

EVERY = [pytest.param(name, column, id=f"{name}-{column}") for name in TABLES for column in TABLES[name].of_records]
SCORES = Table(
    row="an agent and a generation that has ended",
    records=(GenerationEnded,),
    of_records={
        "generation": Column("Int64", "from 1", path="generation"),
        "n_survivors": Column(
            "Int64", "agents that were kept", derived="`survivors`, counted", of=lambda end, _: len(end.survivors)
        ),
        "agent": Column("string", "its name", path="scores.*~"),
        "score": Column("Float64", "what selection saw", unit="units", path="scores.*"),
    },
)
"""A table that does not ship."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with notes, punishment and questions that were asked again. No test changes it."""
    game = {"kind": "donor", "rounds": 4, "punishment": {"cost": 1, "effect": 2}}
    texts = ["Answer: punish 1", "Answer: 50%", "no"]
    fake = Fake(text=lambda prompt: texts[len(prompt.messages[-1].content) % 3])
    return agentsim.load(
        play(tmp_path_factory.mktemp("results"), fake, seeds=[0, 1], game=game, observation={"kind": "gossip"}).folder
    )


@pytest.fixture(scope="module")
def study_of_moves(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of another game, with talk, a choice that fails now and then, and questions that were asked again."""
    game = {"kind": "public_goods", "rounds": 4, "group": 2, "punishment": {}, "talk": {}}
    texts = ["Answer: 5\nMy message: we give", "Answer: punish NAME with 2\nMy message: hello", "no"]

    def text(prompt: Prompt) -> str:
        question = prompt.messages[-1].content
        others = re.findall(r"group with (\d+_\d+)", question)
        return texts[len(question) % 3].replace("NAME", others[0] if others else "1_1")

    return agentsim.load(
        play(tmp_path_factory.mktemp("results"), Fake(text=text), seeds=[0, 1], game=game, name="moves").folder
    )


@pytest.fixture(scope="module")
def study_of_places(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose agents have places in a network, and may refuse to meet."""
    rules = {"pairing": {"kind": "network"}, "game": {"kind": "donor", "rounds": 4, "refusal": {}}}
    return agentsim.load(play(tmp_path_factory.mktemp("results"), Fake(), name="places", **rules).folder)


@pytest.fixture(scope="module")
def study_of_groups(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose agents have groups."""
    groups = {"number": 2}
    return agentsim.load(play(tmp_path_factory.mktemp("results"), Fake(), name="groups", groups=groups).folder)


def records(study: Study, table: Table) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each run's lines of the table's records, as they stand in its log."""
    [folder] = study.folders.values()
    for log in sorted(folder.glob("*/log.jsonl")):
        for line in log.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["type"] in table.record_types:
                yield log.parent.name, record


def at(record: dict[str, Any], path: str) -> list[Any]:
    """Return what stands at a path of a line: one value, or one an entry."""
    value: Any = record
    for part in path.split("."):
        if part in ("*", "*~"):
            return list(value.values() if part == "*" else value)
        value = value.get(part)
    return [value]


@pytest.mark.parametrize(("name", "column"), EVERY)
def test_a_column_holds_what_stands_at_its_path(
    study: Study, study_of_moves: Study, study_of_places: Study, study_of_groups: Study, name: str, column: str
) -> None:
    others = dict.fromkeys(("moves", "outcomes", "messages"), study_of_moves)
    others |= {"neighbours": study_of_places, "sat_out": study_of_places, "groups": study_of_groups}
    study = others.get(name, study)
    table, frame = TABLES[name], study.frame(name)
    path = table.of_records[column].path
    if not path:
        return
    kept = [(run, record) for run, record in records(study, table)]
    if name == "agents":  # a row for each generation that it lives in
        formed = {(run, record["agent"]["id"]): record for run, record in kept}
        kept = [(run, formed[run, agent]) for run, agent in zip(frame["run"], frame["agent"], strict=True)]
    if name == "neighbours":  # a row for each end of an edge
        kept = [(run, record) for run, record in kept for _ in range(2 * len(record["edges"]))]
    if name == "groups":  # a row for each group
        kept = [(run, record) for run, record in kept for _ in set(record["groups"].values())]
    if name == "outcomes":  # a row for each member
        kept = [(run, record) for run, record in kept for _ in record["members"]]
    n_entries = [max(len(at(record, own.path)) for own in table.of_records.values() if own.path) for _, record in kept]
    expected = [
        value
        for (_, record), n in zip(kept, n_entries, strict=True)
        for value in (at(record, path) if len(at(record, path)) == n else at(record, path) * n)
    ]
    assert len(expected) == len(frame) > 0
    if frame[column].dtype.kind == "M":
        expected = [pd.Timestamp(value) for value in expected]
    assert [None if pd.isna(value) else value for value in frame[column]] == expected


@pytest.mark.parametrize(("name", "column"), EVERY)
def test_a_column_has_a_path_that_leads_somewhere_or_says_what_it_follows_from(name: str, column: str) -> None:
    declared = TABLES[name].of_records[column]
    assert declared.meaning and bool(declared.path) != bool(declared.derived)
    assert declared.of is None or declared.derived
    assert declared.unit or declared.dtype != "Float64"
    if declared.path:
        found = 0
        for record in TABLES[name].records:
            try:
                value_at(record, declared.path.removesuffix("~").removesuffix(".*"))
                found += 1
            except TypeError:
                continue
        assert found


def test_a_path_that_leads_nowhere_is_an_error_that_says_so() -> None:
    with pytest.raises(
        TypeError, match=r"GenerationEnded has nothing at 'score': GenerationEnded has no field 'score'"
    ):
        value_at(GenerationEnded, "score")


def test_every_field_of_an_encounter_is_a_column_so_that_arrow_can_read_the_lines() -> None:
    table = TABLES["encounters"]
    fields = {field for record in table.records for field in record.model_fields} - {"type"}
    assert {column.path for column in table.of_records.values() if column.path} == fields


def test_tokens_are_columns_of_replies_and_of_their_sums() -> None:
    assert TOKENS == ["input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"]
    assert set(TOKENS) <= TABLES["runs"].of_records.keys()


def test_the_page_follows_from_the_declaration() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(written), "python -m tests.analysis.frames.columns_page writes it anew"
    for columns in COLUMNS.values():
        for name, column in columns.items():
            assert f"| `{name}` | {column.dtype} | {column.unit} |" in written


def test_the_description_of_an_export_says_what_is_declared(study: Study, tmp_path: Path) -> None:
    export(study, tmp_path / "out", format="parquet")
    description = json.loads((tmp_path / "out" / "columns.json").read_text())
    assert list(description["columns"]) == list(description["tables"]) == list(TABLES)
    for name, table in TABLES.items():
        assert description["tables"][name] == {"row": table.row, "records": list(table.record_types)}
        said = description["columns"][name]
        assert list(said) == list(table.columns)
        for key, column in table.columns.items():
            own = {"dtype": column.dtype, "meaning": column.meaning, "unit": column.unit}
            own |= {"path": column.path, "derived": column.derived}
            assert said[key] == {what: text for what, text in own.items() if text}


def test_columns_that_are_there_only_sometimes_are_described_too(tmp_path: Path) -> None:
    rules: dict[str, Any] = {"observation": {"kind": "trace", "delay": 1}, "groups": {"number": 2}}
    late = agentsim.load(play(tmp_path, Fake(), generations=1, **rules).folder)
    sometimes = TABLES["encounters"].sometimes
    assert list(late.encounters)[-len(sometimes) :] == list(sometimes)
    assert {name: str(late.encounters[name].dtype) for name in sometimes} == {
        name: column.dtype for name, column in sometimes.items()
    }
    export(late, tmp_path / "out", format="csv")
    said = json.loads((tmp_path / "out" / "columns.json").read_text())["columns"]["encounters"]
    assert {name: said[name]["meaning"] for name in sometimes} == {name: own.meaning for name, own in sometimes.items()}


def test_a_table_is_loaded_kept_exported_and_documented_once_it_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TABLES, "scores", SCORES)
    monkeypatch.setattr(cache, "MIN_BYTES", 0)
    monkeypatch.setattr(cache, "SETTLED_NS", 0)
    folder = play(tmp_path, Fake(), seeds=[0, 1]).folder
    study = agentsim.load(folder)
    frame = study.frame("scores")
    assert {name: str(frame[name].dtype) for name in frame} == {
        name: column.dtype for name, column in SCORES.columns.items()
    }
    by_agent = ["run", "generation", "agent"]
    both = frame.merge(study.agents, on=by_agent, validate="one_to_one")
    assert len(both) == len(frame) == len(study.agents) and (both["score_x"] == both["score_y"]).all()
    assert set(frame["n_survivors"]) == {0, 2}
    assert list((folder / ".cache").glob("scores-*.parquet"))
    pd.testing.assert_frame_equal(agentsim.load(folder).frame("scores"), frame)
    files = export(study, tmp_path / "out", format="csv")
    assert tmp_path / "out" / "scores.csv" in files
    said = json.loads((tmp_path / "out" / "columns.json").read_text())["columns"]["scores"]
    assert said["score"] == {"dtype": "Float64", "unit": "units", "meaning": "what selection saw", "path": "scores.*"}
    assert "| `agent` | string |  | its name | `scores.*~` |" in page("")
