from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import agentsim
from agentsim.analysis import COLUMNS, Study
from agentsim.analysis.maximum import highest_mean_of_first
from agentsim.analysis.plots import final_resources, save
from agentsim.analysis.tables import plain
from agentsim.core.pairing import Released
from agentsim.core.society import SocietyRules
from agentsim.errors import BadRequest, LogError
from tests.test_runner import Fake, play


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return agentsim.load(play(tmp_path, Fake(), seeds=[0, 1], vary={"observation.depth": [0, 3]}).folder)


def test_every_frame_has_the_columns_it_promises_also_when_empty(study: Study, tmp_path: Path) -> None:
    begun = play(tmp_path / "begun", Fake(fail_at=1), generations=1)
    for loaded in (study, agentsim.load(begun.folder)):
        for name, columns in COLUMNS.items():
            frame = getattr(loaded, name)
            assert list(frame.columns)[: len(columns)] == list(columns)
            assert {key: str(frame[key].dtype) for key in columns} == {key: c.dtype for key, c in columns.items()}
    assert list(study.runs["observation.depth"]) == [0, 0, 3, 3]


def test_the_frames_agree_with_each_other(study: Study) -> None:
    runs = study.runs.set_index("run")
    assert set(runs["status"]) == {"complete"} and set(runs["generations"]) == {3}
    by_run = study.encounters.groupby("run")
    assert (by_run.size() == runs["n_encounters"]).all() and set(by_run.size()) == {48}
    assert ((study.encounters["act"] == "missing").groupby(study.encounters["run"]).sum() == runs["n_missed"]).all()
    assert ((study.replies["attempt"] > 1).groupby(study.replies["run"]).sum() == runs["n_asked_again"]).all()
    last = study.generations.groupby("run").last()
    assert (last["mean_final_resources"] == runs["mean_final_resources"]).all()
    means = study.agents.groupby(["run", "generation"])["score"].mean()
    assert (means.round(6) == study.generations.set_index(["run", "generation"])["mean_final_resources"].round(6)).all()
    assert study.agents.groupby(["run", "generation"]).size().eq(4).all()
    kept = study.agents[study.agents["generation"] < 3].groupby(["run", "generation"])["survived"].sum()
    assert kept.eq(2).all() and study.agents[study.agents["generation"] == 3]["survived"].isna().all()


def test_what_was_not_decided_is_missing_and_never_zero(tmp_path: Path) -> None:
    loaded = agentsim.load(play(tmp_path, Fake(text=lambda prompt: "no")).folder)
    assert (loaded.encounters["act"] == "missing").all()
    assert loaded.encounters[["amount", "fraction", "removed"]].isna().all(axis=None)
    assert loaded.generations["mean_fraction"].isna().all() and loaded.agents["strategy"].isna().all()
    assert loaded.runs["input_tokens"].isna().all()


def test_an_unfinished_and_an_unreadable_run_load_and_say_so(tmp_path: Path) -> None:
    fake = Fake(fail_at=30)
    fake.error = BadRequest("no such model")  # not of one run: all of them stop
    result = play(tmp_path, fake, seeds=[0, 1, 2])
    damaged = result.folder / "model--seed-1" / "log.jsonl"
    damaged.write_bytes(b"not json\n" + damaged.read_bytes())
    torn = result.folder / "model--seed-2" / "log.jsonl"
    torn.write_bytes(torn.read_bytes() + b'{"type":"rep')
    runs = agentsim.load(result.folder).runs.set_index("run")
    assert list(runs["status"]) == ["unfinished", "unreadable", "unfinished"]
    assert "log.jsonl:1: not a log record" in runs["problem"]["model--seed-1"]
    assert runs["n_torn_bytes"]["model--seed-2"] == 12


def test_no_study_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="holds no runs"):
        agentsim.load(tmp_path)


def test_the_figure_has_the_same_bytes_on_a_second_run(study: Study, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(final_resources(study), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_figure_draws_every_run_the_mean_and_the_references(study: Study) -> None:
    [axes] = final_resources(study).axes
    drawn = {len(line.get_xdata()) for line in axes.lines}  # type: ignore[arg-type]
    # Two conditions of two runs: four thin lines and two means of three generations; two reference lines.
    assert sum(len(line.get_xdata()) == 3 for line in axes.lines) == 6 and 2 in drawn  # type: ignore[arg-type]
    assert axes.get_ylabel() == "mean final resources (units)" and axes.get_yscale() == "log"


def test_the_reference_is_what_the_schedule_allows() -> None:
    assert highest_mean_of_first(SocietyRules(), seed=0) == 30720
    assert highest_mean_of_first(SocietyRules(pairing=Released()), seed=0) == 15360


def test_foreign_text_is_plain_and_cut() -> None:
    assert plain("a\x1b[31m\nb\u202e[bold]" + "c" * 400, max_chars=20).plain == "a [31m b [bold]cccc…"


def test_dtypes_survive_pandas_operations(study: Study) -> None:
    assert pd.api.types.is_float_dtype(study.encounters.groupby("act")["fraction"].mean())
