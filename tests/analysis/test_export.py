"""Frames as files: the same dtypes again from Parquet, nothing that a spreadsheet would run in CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from zlib import crc32

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv

import agentsim
from agentsim.analysis.export import Format, export
from agentsim.analysis.foreign import cell_text
from agentsim.analysis.frames.columns import COLUMNS
from agentsim.analysis.frames.study import Study
from agentsim.errors import AgentsimError
from agentsim.providers.base import Prompt
from tests.commands import run_command
from tests.orchestrator.test_study import Fake, play

HOSTILE = [
    '=HYPERLINK("http://127.0.0.1/?"&A1,"prize")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "\r\n=1+1",
    "'=1+1",
    "＝1+1",
    'a "quoted", comma\nand a line',
    "\x00\x1b[31mred\u202e\u2028",
    "",
]


def hostile(prompt: Prompt) -> str:
    """A model whose answers are spreadsheet formulas; no two alike, some of them readable."""
    number = crc32("".join(message.content for message in prompt.messages).encode())
    text = HOSTILE[number % len(HOSTILE)]
    if "My strategy will be" in prompt.messages[-1].content:
        return f"My strategy will be {text}"
    return text if number % 3 else "Answer: 5%"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return agentsim.load(play(tmp_path, Fake(text=hostile), vary={"observation.depth": [0, 3]}).folder)


def test_parquet_gives_the_same_frames_with_the_same_dtypes(study: Study, tmp_path: Path) -> None:
    files = export(study, tmp_path / "out", format="parquet")
    assert [path.name for path in files] == [*(f"{name}.parquet" for name in COLUMNS), "columns.json"]
    for name in COLUMNS:
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / f"{name}.parquet"), getattr(study, name))


def test_csv_holds_every_value_and_no_formula(study: Study, tmp_path: Path) -> None:
    export(study, tmp_path / "out", format="csv")
    assert study.replies["text"].str.startswith("=").any() and study.replies["text"].eq("").any()
    for name in COLUMNS:
        frame = getattr(study, name)
        path = tmp_path / "out" / f"{name}.csv"
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert header == list(frame.columns) and len(rows) == len(frame)
        read = arrow_csv.read_csv(
            path,
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False),
        )
        for index, column in enumerate(header):
            cells = [row[index] for row in rows]
            values = frame[column]
            assert [value is None for value in read[column].to_pylist()] == list(values.isna()), (name, column)
            if str(values.dtype) == "string":
                assert not any(cell[:1] in set("=+-@\t\r\n＝＋－＠") and cell for cell in cells)
                assert [cell_text(text) or "" for text in values.fillna("")] == cells
            elif str(values.dtype) in ("Int64", "Float64"):
                assert [float(cell) for cell in cells if cell] == list(values.dropna().astype(float))


def test_numbers_below_zero_stay_numbers(study: Study, tmp_path: Path) -> None:
    study.runs["mean_final_resources"] = pd.array([-1.5, None], dtype="Float64")
    export(study, tmp_path / "out", format="csv")
    read = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert read["mean_final_resources"][0] == -1.5 and pd.isna(read["mean_final_resources"][1])
    assert list(read["seed"]) == [0, 0] and list(read["observation.depth"]) == [0, 3]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cell_is_inert_and_gives_its_text_back(text: str) -> None:
    cell = cell_text(text)
    assert cell is not None and not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert not any((ord(c) < 32 and c not in "\t\r\n") or 127 <= ord(c) < 160 for c in cell)
    assert "\ufffd" in cell or cell.removeprefix("'") == text


@pytest.mark.parametrize("text", ["1_1", "g1/game1/r01/1_2", "a-b", "3.5", "ok = fine", "👩\u200d👧", "ＡＢ", "naïve"])
def test_harmless_text_is_left_alone(text: str) -> None:
    assert cell_text(text) == text


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_the_description_says_what_every_column_holds(study: Study, tmp_path: Path, format: Format) -> None:
    export(study, tmp_path / "out", format=format)
    description = json.loads((tmp_path / "out" / "columns.json").read_text())
    for name in COLUMNS:
        frame = getattr(study, name)
        described = description["columns"][name]
        assert {column: own["dtype"] for column, own in described.items()} == {
            column: str(dtype) for column, dtype in frame.dtypes.items()
        }
        assert all(own["meaning"] for own in described.values()) and description["rows"][name] == len(frame)
    assert description["studies"] == ["small"] and description["notes"]


def test_an_earlier_export_is_replaced_and_nothing_else(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(study, out, format="csv")
    export(study, out, format="parquet")
    (out / "mine.txt").write_text("mine")
    (out / "runs.csv").write_text("old")
    export(study, out, format="csv")
    assert (out / "mine.txt").read_text() == "mine" and "small" in (out / "runs.csv").read_text()
    assert len(list(out.iterdir())) == 2 * len(COLUMNS) + 2


@pytest.mark.parametrize("name", ["runs.csv", "columns.json"])
def test_a_file_of_another_origin_is_not_overwritten(study: Study, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(AgentsimError, match=f"{name}: exists and was not exported by agentsim"):
        export(study, out, format="csv")
    assert [path.name for path in out.iterdir()] == [name] and (out / name).read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_sentence(study: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentsimError, match=r"file/out: cannot be written .*-o"):
        export(study, tmp_path / "file" / "out", format="csv")


def test_the_command_writes_into_the_study_or_where_it_is_told(study: Study, tmp_path: Path) -> None:
    folder = study.folders["small"]
    assert run_command("export", folder, "--format", "csv").returncode == 0
    assert (folder / "export" / "encounters.csv").exists()
    done = run_command("export", folder, "-o", tmp_path / "out")
    assert done.returncode == 0 and str(tmp_path / "out" / "runs.parquet") in done.stdout
    # An export in the study's folder is no run of it.
    assert len(agentsim.load(folder).runs) == 2


def test_mistakes_are_one_sentence_and_exit_2(study: Study, tmp_path: Path) -> None:
    folder = study.folders["small"]
    other = play(tmp_path, Fake(), name="other", generations=1).folder
    for arguments, sentence in (
        ((folder, "--format", "xls"), "use parquet or csv"),
        ((tmp_path / "nowhere",), "holds no runs"),
        ((folder, other), "name one with -o"),
    ):
        done = run_command("export", *arguments)
        assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr
    assert run_command("export", folder, other, "-o", tmp_path / "both").returncode == 0
    assert pd.read_parquet(tmp_path / "both" / "runs.parquet")["study"].nunique() == 2
