from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from io import StringIO
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from rich.console import Console

import agentsim
from agentsim.analysis.figures import final_resources, save
from agentsim.analysis.frames.columns import COLUMNS, TABLES
from agentsim.analysis.frames.maximum import highest_mean_of_first
from agentsim.analysis.frames.study import Study
from agentsim.cli.tables.cells import plain
from agentsim.cli.tables.study import study_tables
from agentsim.core.answers import Answer
from agentsim.core.facts import Encounter, GenerationEnded
from agentsim.core.requests import DecisionView
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society
from agentsim.errors import BadRequest, LogError
from agentsim.log.reading import read_log
from agentsim.providers.base import Completion, Prompt, Usage
from agentsim.scenario.digests import content_digest
from tests.log.sealing import sealed
from tests.orchestrator.test_study import Fake, answer, play


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
            assert list(columns)[:2] == ["study", "run"]
    assert list(study.runs["observation.depth"]) == [0, 0, 3, 3]


def test_a_model_file_is_called_by_its_stem_unless_another_is_called_so_too(tmp_path: Path) -> None:
    def called(*files: str) -> set[str]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        played = agentsim.load(play(folder, Fake(), generations=1, vary={"players.model": list(files)}).folder)
        assert set(played.encounters["donor_model"]) == set(played.agents["model"]) == set(played.runs["model"])
        assert played.runs["model"].dtype == "string"
        return set(played.runs["model"])

    assert called("fake//m/phi.gguf", "fake/small.gguf", "fake/m") == {"fake/phi", "fake/small", "fake/m"}
    assert called("fake//a/phi.gguf", "fake//b/phi.gguf") == {"fake//a/phi.gguf", "fake//b/phi.gguf"}
    assert called("fake//a/phi.gguf", "fake/phi") == {"fake//a/phi.gguf", "fake/phi"}


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


def test_tokens_and_cost_are_known_by_run_model_and_generation(tmp_path: Path) -> None:
    class Priced(Fake):
        async def answered(self, prompt: Prompt) -> Completion:
            completion = await super().answered(prompt)
            return completion.model_copy(update={"usage": Usage(input_tokens=100, output_tokens=10)})

    folder = play(tmp_path, Priced(), seeds=[0, 1]).folder
    for log in folder.glob("*/log.jsonl"):  # the account of a provider given in Python has no price
        account = '{"price":{"input":1,"output":5,"source":"t"}}'
        sealed(log, log.read_text().replace('"accounts":{}', f'"accounts":{{"fake/model":{account}}}'))
    loaded = agentsim.load(folder)
    by_generation = loaded.replies.groupby(["run", "model", "generation"])[["input_tokens", "cost_usd"]].sum()
    assert len(by_generation) == 2 * 3 and (by_generation["input_tokens"] > 0).all()
    assert by_generation["cost_usd"].to_numpy() == pytest.approx(by_generation["input_tokens"].to_numpy() * 1.5e-6)
    assert by_generation["cost_usd"].sum() == pytest.approx(loaded.runs["cost_usd"].sum())
    keys = loaded.replies["key"].str.extract(r"^g(\d+)/")[0].astype("Int64")
    assert (loaded.replies["generation"] == keys).all()


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


def test_a_run_without_a_log_is_said_where_the_study_lists_it(study: Study, tmp_path: Path) -> None:
    [run] = [run for run in study.runs["run"] if run.endswith("depth-3--seed-1")]
    log = study.folders["small"] / run / "log.jsonl"
    log.unlink()
    runs = agentsim.load(study.folders["small"]).runs.set_index("run")
    assert runs["status"][run] == "unreadable" and "has no log" in runs["problem"][run]
    assert len(runs) == 4 and (runs["status"] == "complete").sum() == 3


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"", "the log is empty"),
        (b'{"type":"run_finished","n_replies":0,"wall_s":1,"critical_path_s":1,"time":""}\n', "does not begin with"),
        (b'{"type":"run_started","schema_version":99}\n', "written in log format 99"),
        (b"[" * 100_000 + b"\n" + b"{}\n", "log.jsonl"),
    ],
)
def test_a_study_whose_runs_are_all_unreadable_loads_and_shows_one_sentence(
    tmp_path: Path, line: bytes, sentence: str
) -> None:
    folder = tmp_path / "study" / "model--seed-0"
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_bytes(line)
    loaded = agentsim.load(tmp_path / "study")
    [row] = loaded.runs.to_dict("records")
    assert row["status"] == "unreadable" and sentence in row["problem"] and "\n" not in row["problem"]
    assert row["condition"] == "model" and not loaded.started
    shown = Console(width=400, record=True, file=StringIO())
    for table in study_tables(loaded):
        shown.print(table)
    assert "unreadable" in shown.export_text() and "study.json: is missing" in " ".join(loaded.notes)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "12"},
        {"amount": None},
        {"fraction": None},
        {"donor_before": float("nan")},
        {"attempts": 1.5},
        {"generation": 10**30},
        {"problem": "bored"},
        {"reading": None},
        {"replaced_by": "ten"},
        {"type": "given"},
        {"type": "missed"},
        {"removed": 3.0},
        {"mood": "good"},
        {"key": 3},
        "donor",
        "attempts",
    ],
)
def test_an_edited_encounter_is_judged_as_the_strict_reader_judges_it(
    tmp_path: Path, change: dict[str, object] | str
) -> None:
    result = play(tmp_path, Fake())
    path = result.folder / result.runs[0].run / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if '"type":"donated"' in line)
    record = json.loads(lines[number])
    if isinstance(change, str):
        del record[change]
    else:
        record |= change
    lines[number] = json.dumps(record, separators=(",", ":")) + "\n"
    path.write_text("".join(lines))
    before = agentsim.load(result.folder)
    [row] = before.runs.to_dict("records")
    try:
        records = read_log(path.parent).records
    except LogError as error:
        assert row["status"] == "unreadable" and row["problem"] == str(error)
        return
    if change == {"generation": 10**30}:
        assert row["status"] == "unreadable" and "beyond 64 bits" in row["problem"]
        return
    logged = [record for record in records if isinstance(record, Encounter)]
    assert row["status"] == "complete" and len(before.encounters) == len(logged)
    assert list(before.encounters["attempts"]) == [record.attempts for record in logged]


def test_columns_hold_what_the_records_say(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        Fake(text=lambda prompt: "Answer: punish 1" if "1_2" in prompt.messages[-1].content[:400] else answer(prompt)),
        game={"kind": "donor", "rounds": 4, "punishment": {"cost": 1, "effect": 2}},
        on_invalid={"attempts": 1, "then": "zero"},
    )
    records = read_log(result.folder / result.runs[0].run).records
    logged = [record.model_dump() for record in records if isinstance(record, Encounter)]
    frame = agentsim.load(result.folder).encounters
    assert set(frame["donor_model"]) == set(frame["recipient_model"]) == {"fake/model"}
    for name in frame.columns.difference(["study", "run", "act", "donor_model", "recipient_model"]):
        expected = pd.Series([record.get(name) for record in logged], dtype=frame[name].dtype)
        pd.testing.assert_series_equal(frame[name], expected, check_names=False)
    acts = {"donated": "give", "punished": "punish", "missed": "missing"}
    assert list(frame["act"]) == [acts[record["type"]] for record in logged]
    assert frame["replaced_by"].eq("zero").any()


def test_summaries_are_those_of_the_encounters(study: Study) -> None:
    encounters = study.encounters
    for row in study.agents.sample(20, random_state=0).to_dict("records"):
        own = encounters[
            (encounters["run"] == row["run"])
            & (encounters["generation"] == row["generation"])
            & (encounters["donor"] == row["agent"])
        ]
        decided = own[(own["act"] == "give") & own["problem"].isna()]["fraction"].dropna()
        assert row["n_decisions"] == len(own) and row["n_missed"] == (own["act"] == "missing").sum()
        assert pd.isna(row["mean_fraction"]) if decided.empty else row["mean_fraction"] == pytest.approx(decided.mean())
    resources = study.resources.groupby(["run", "generation"])["resources"].mean()
    reported = study.generations.set_index(["run", "generation"])["mean_final_resources"]
    pd.testing.assert_series_equal(resources, reported, check_names=False, check_exact=False)
    assert study.resources.groupby(["run", "generation", "game"]).size().eq(4).all()
    strategies = study.replies[study.replies["key"].str.contains("/strategy/")]
    again = strategies.assign(again=strategies["attempt"] > 1).groupby("run")["again"].sum().sum()
    again += (study.encounters["attempts"] - 1).sum()
    assert study.generations["n_asked_again"].sum() == again == study.runs["n_asked_again"].sum()


@pytest.mark.parametrize("place", ["agents", "game", "time"])
def test_records_that_do_not_fit_together_are_an_unreadable_run(tmp_path: Path, place: str) -> None:
    result = play(tmp_path, Fake(), seeds=[0, 1])
    path = result.folder / result.runs[0].run / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    number = 0 if place != "time" else next(i for i, line in enumerate(lines) if '"type":"reply"' in line)
    record = json.loads(lines[number])
    (record["condition"] if place != "time" else record)[place] = "gone"
    if place != "time":
        record["digest"] = content_digest(record["condition"], seed=record["seed"], probe=None)
    lines[number] = json.dumps(record, separators=(",", ":")) + "\n"
    sealed(path, "".join(lines))
    loaded = agentsim.load(result.folder)
    assert list(loaded.runs["status"]) == ["unreadable", "complete"] and len(loaded.started) == 1
    assert "do not fit together" in loaded.runs["problem"][0] and set(loaded.encounters["run"]) == {"model--seed-1"}


def test_rules_edited_in_the_first_line_of_an_unfinished_log_are_seen(tmp_path: Path) -> None:
    folder = play(tmp_path, Fake(fail_at=20)).folder
    [path] = folder.glob("*/log.jsonl")
    path.write_text(path.read_text().replace('"multiplier":2.0', '"multiplier":3.0', 1))
    loaded = agentsim.load(folder)
    assert list(loaded.runs["status"]) == ["unreadable"] and "was edited" in loaded.runs["problem"][0]


def test_several_studies_and_patterns_load_into_one(tmp_path: Path) -> None:
    for name, model in (("a", "scripted/all-give"), ("b", "scripted/all-keep")):
        play(tmp_path, Fake(), name=name, players={"model": model}, seeds=[0, 1])
    (tmp_path / "notes.txt").write_text("no study")
    (tmp_path / "empty").mkdir()
    by_path = agentsim.load(tmp_path / "b", tmp_path / "a", f"{tmp_path}/a")
    by_pattern = agentsim.load(f"{tmp_path}/*")
    assert list(by_path.folders) == ["b", "a"] and by_path.name == "b, a"
    assert list(by_pattern.folders) == ["a", "b"] and len(by_pattern.started) == 4
    assert list(by_pattern.runs["study"]) == ["a", "a", "b", "b"]
    for name in COLUMNS:
        one, other = getattr(agentsim.load(tmp_path / "a"), name), getattr(by_pattern, name)
        pd.testing.assert_frame_equal(one, other[other["study"] == "a"].reset_index(drop=True))
    assert by_pattern.runs["rules_digest"].nunique() == 1
    for table in study_tables(by_pattern):
        assert table.row_count


def test_two_studies_of_one_name_are_refused(tmp_path: Path) -> None:
    one, other = (play(tmp_path / part, Fake(), generations=1).folder for part in ("x", "y"))
    with pytest.raises(LogError, match=r"two studies of the same name.*rename"):
        agentsim.load(one, other)


def test_settings_are_filled_in_for_studies_that_do_not_vary_them(tmp_path: Path) -> None:
    varied = {"observation.depth": [0, 2], "players.seed": [None, "derived"], "generations": [1]}
    play(tmp_path, Fake(), name="a", vary=varied)
    play(tmp_path, Fake(), name="b", generations=1, players={"model": "scripted/all-keep"})
    runs = agentsim.load(tmp_path / "a", tmp_path / "b").runs
    assert list(runs["observation.depth"]) == [0, 0, 2, 2, 3] and str(runs["observation.depth"].dtype) == "Int64"
    assert set(runs["players.seed"][:4]) == {"null", "derived"} and pd.isna(runs["players.seed"][4])
    assert list(runs["n_generations"]) == [1] * 5 and list(runs["generations"]) == [1] * 5
    assert runs["rules_digest"].nunique() == 3


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (".", "holds no runs"),
        ("nowhere", "does not exist"),
        ("no*where", "it matches nothing"),
        ("file.txt", "it is a file"),
        ("results", "such as .*small"),
        ("results/small/model--seed-0", "it is one; name the folder of its study, .*small$"),
        ("results/small/model--seed-0/log.jsonl", "it is one; name the folder of its study, .*small$"),
        ("begun", "holds no runs yet"),
        ("", "empty text"),
    ],
)
def test_what_is_no_study_is_one_sentence(
    tmp_path: Path, path: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tmp_path / "results", Fake(), generations=1)
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "study.json").write_text('{"runs": {"../x": {}, "..": {}}}')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LogError, match=sentence) as caught:
        agentsim.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(LogError, match="no study is named"):
        agentsim.load()


def test_logs_load_without_sdks_or_keys(study: Study) -> None:
    code = (
        "import sys\n"
        "for name in ('openai', 'anthropic', 'jinja2', 'yaml', 'typer', 'aiohttp'): sys.modules[name] = None\n"
        "import agentsim\n"
        f"study = agentsim.load({str(study.folders['small'])!r})\n"
        "print(len(study.encounters), len(study.replies), sorted({'matplotlib', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})
    assert done.stdout.split()[:2] == [str(len(study.encounters)), str(len(study.replies))]


def test_the_figure_has_the_same_bytes_on_a_second_run(study: Study, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(final_resources(study), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_figure_draws_every_run_the_mean_and_the_references(study: Study) -> None:
    [axes] = final_resources(study).axes
    drawn = {len(line.get_xdata()) for line in axes.lines}  # type: ignore[arg-type]
    # Two conditions of two runs: four thin lines and two means of three generations; two reference lines.
    drawn_thin = [lines for lines in axes.collections if isinstance(lines, LineCollection)]
    thin = [np.shape(path.vertices)[0] for lines in drawn_thin for path in lines.get_paths()]
    means = sum(len(line.get_xdata()) == 3 for line in axes.lines)  # type: ignore[arg-type]
    assert (thin, means) == ([3] * 4, 2) and 2 in drawn
    assert axes.get_ylabel() == "mean final resources (units)" and axes.get_yscale() == "log"


@pytest.mark.parametrize(("pairing", "maximum"), [("alternating", 30720), ("released", 15360)])
def test_the_maximum_is_what_the_schedule_allows(pairing: str, maximum: float, tmp_path: Path) -> None:
    rules = {"agents": 12, "generations": 2, "game": {"kind": "donor"}, "pairing": {"kind": pairing}}
    result = play(tmp_path, Fake(), players={"model": "scripted/all-give"}, **rules)
    loaded = agentsim.load(result.folder)
    assert list(loaded.generations["maximum"]) == [maximum] * 2 == list(loaded.generations["mean_final_resources"])
    assert list(loaded.runs["maximum"]) == [maximum] and list(loaded.runs["endowment"]) == [10]
    assert highest_mean_of_first(SocietyRules.model_validate(rules), seed=0) == maximum
    begun = play(tmp_path / "begun", Fake(fail_at=1), **rules)
    assert list(agentsim.load(begun.folder).runs["maximum"]) == [maximum]


@pytest.mark.parametrize("seed", range(5))
def test_no_policy_that_gives_all_or_nothing_by_turn_beats_the_maximum(seed: int) -> None:
    rules = SocietyRules.model_validate(
        {
            "agents": 4,
            "generations": 1,
            "pairing": {"kind": "random"},
            "game": {"kind": "donor", "rounds": 4, "games": 1},
        }
    )
    means = [mean_when(rules, seed=seed, gives=gives) for gives in product((0.0, 1.0), repeat=8)]
    assert highest_mean_of_first(rules, seed=seed) == pytest.approx(max(means))


def mean_when(rules: SocietyRules, *, seed: int, gives: Sequence[float]) -> float:
    """Play one generation in which the donor of the k-th encounter, by its key, gives the k-th share of what it has."""
    society = Society(rules, labels="scripted/all-give", seed=seed)
    waiting, n_done = society.start().asked, 0
    while True:
        waiting.sort(key=lambda request: request.key)
        request = waiting.pop(0)
        view, decided = request.view, Answer(text="")
        if isinstance(view, DecisionView):
            decided = Answer(act="give", amount=view.resources * gives[n_done])
            n_done += 1
        step = society.answer(request, decided)
        waiting.extend(step.asked)
        for event in step.events:
            if isinstance(event, GenerationEnded):
                return event.mean_final_resources


def test_foreign_text_is_plain_and_cut() -> None:
    assert plain("a\x1b[31m\nb\u202e[bold]" + "c" * 400, max_chars=20).plain == "a [31m b [bold]cccc…"


def test_dtypes_survive_pandas_operations(study: Study) -> None:
    assert pd.api.types.is_float_dtype(study.encounters.groupby("act")["fraction"].mean())


@pytest.mark.parametrize("game", ["donor", "matrix"])
def test_who_met_in_which_group_is_in_the_tables(game: str, tmp_path: Path) -> None:
    path = tmp_path / "grouped.yaml"
    path.write_text(
        f"name: grouped\nagents: 8\ngenerations: 2\ngame: {{kind: {game}, rounds: 2}}\npairing: {{kind: random}}\n"
        "groups: {number: 2}\nplayers: {model: scripted/all-give}\nseeds: 0\n"
    )
    played = agentsim.load(agentsim.run(agentsim.load_scenario(path), results=tmp_path).folder)
    assert played.agents["group"].value_counts().to_dict() == {1: 8, 2: 8}
    of_agents = played.agents.set_index(["generation", "agent"])["group"]
    name, actor = ("encounters", "donor") if game == "donor" else ("moves", "actor")
    acts = played.frame(name)
    keys = pd.MultiIndex.from_frame(acts[["generation", actor]])
    assert len(acts) and (acts[f"{actor}_group"].array == of_agents.reindex(keys).array).all()
    assert game != "donor" or (acts["donor_group"] == acts["recipient_group"]).all()
    declared = {column: own.dtype for column, own in TABLES[name].sometimes.items() if column.endswith("_group")}
    assert declared == {column: str(acts[column].dtype) for column in declared}
    of_groups = agentsim.measures.by_group(played.agents)
    pd.testing.assert_frame_equal(played.groups[list(of_groups)], of_groups, check_dtype=False)
