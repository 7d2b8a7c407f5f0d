"""What other programs read of a study: logs of Inspect, and deposits with their two descriptions."""

from __future__ import annotations

import csv
import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

import agentsim
from agentsim.analysis.frames.columns import TABLES
from agentsim.errors import AgentsimError
from tests.commands import run_command

ROOT = Path(agentsim.__file__).parent.parent
MODEL = ROOT / "results" / "example-model"
SCRIPTED = ROOT / "results" / "example-scripted"
OF = {"licence": "CC-BY-4.0", "creators": ["Ada Lovelace"]}


def needs(module: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{package} is not installed: pip install {package}")


@pytest.fixture(scope="module")
def deposit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deposit")
    agentsim.export(agentsim.load(MODEL), folder, format="deposit", **OF)  # type: ignore[arg-type]
    return folder


# --- deposits ------------------------------------------------------------------------------------------------------


def test_a_deposit_holds_the_logs_as_they_were_and_replays_exactly(deposit: Path) -> None:
    for source in MODEL.glob("*/log.jsonl"):
        assert (deposit / "logs" / "example-model" / source.relative_to(MODEL)).read_bytes() == source.read_bytes()
    done = run_command("replay", deposit / "logs" / "example-model")
    assert done.returncode == 0, done.stderr


def test_the_two_descriptions_state_each_file_with_its_digest_and_each_column(deposit: Path) -> None:
    package = json.loads((deposit / "datapackage.json").read_text())
    croissant = json.loads((deposit / "croissant.json").read_text())
    digests = {part["path"]: part["hash"] for part in package["resources"]}
    assert digests == {part["@id"]: f"sha256:{part['sha256']}" for part in croissant["distribution"]}
    own = {"datapackage.json", "croissant.json", "README.md", "exported.json"}
    files = {path.relative_to(deposit).as_posix(): path for path in deposit.rglob("*") if path.is_file()}
    assert files.keys() - own == digests.keys()
    for name, said in digests.items():
        assert said == f"sha256:{hashlib.sha256(files[name].read_bytes()).hexdigest()}"
    assert package["licenses"] == [{"name": "CC-BY-4.0", "path": "https://spdx.org/licenses/CC-BY-4.0.html"}]
    assert package["versions"]["agentsim"]
    study = agentsim.load(MODEL)
    tables = {part["name"]: part["schema"]["fields"] for part in package["resources"] if "schema" in part}
    assert tables.keys() == {name for name in TABLES if len(study.frame(name))}
    for name, fields in tables.items():
        with (deposit / "tables" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            assert next(csv.reader(file)) == [field["name"] for field in fields]
        assert all(field["description"] for field in fields)
    sets = {part["name"]: part["field"] for part in croissant["recordSet"]}
    assert {name: len(fields) for name, fields in sets.items()} == {
        name: len(fields) for name, fields in tables.items()
    }


def test_the_same_study_gives_the_same_deposit_and_replaces_its_own_files_alone(deposit: Path) -> None:
    before = {path: path.read_bytes() for path in deposit.rglob("*") if path.is_file()}
    agentsim.export(agentsim.load(MODEL), deposit, format="deposit", **OF)  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in deposit.rglob("*") if path.is_file()} == before


def test_what_is_in_the_way_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(AgentsimError, match=r"README\.md: exists and was not exported"):
        agentsim.export(agentsim.load(SCRIPTED), tmp_path, format="deposit", **OF)  # type: ignore[arg-type]
    assert (tmp_path / "README.md").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("licence", ["", "all rights reserved"])
def test_a_deposit_needs_a_licence(licence: str, tmp_path: Path) -> None:
    done = run_command("export", SCRIPTED, "--format", "deposit", "--licence", licence, "-o", tmp_path / "out")
    assert done.returncode == 2 and "SPDX" in done.stderr and not (tmp_path / "out").exists()


def test_a_licence_belongs_to_a_deposit_alone(tmp_path: Path) -> None:
    with pytest.raises(AgentsimError, match="add --format deposit"):
        agentsim.export(agentsim.load(SCRIPTED), tmp_path, format="csv", licence="CC0-1.0")


@needs("frictionless", "frictionless")
@pytest.mark.filterwarnings("ignore")
def test_a_deposit_is_a_valid_data_package(deposit: Path) -> None:
    from frictionless import Package

    report = Package(str(deposit / "datapackage.json")).validate()
    assert report.valid, report.flatten(["name", "fieldName", "message"])[:5]
    assert report.stats["tasks"] == len(json.loads((deposit / "datapackage.json").read_text())["resources"])


@needs("mlcroissant", "mlcroissant")
@pytest.mark.filterwarnings("ignore")
def test_a_deposit_has_valid_croissant_metadata_whose_records_can_be_read(deposit: Path) -> None:
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=str(deposit / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors and not dataset.metadata.ctx.issues.warnings
    study = agentsim.load(MODEL)
    records = list(dataset.records(record_set="generations"))
    assert len(records) == len(study.generations)
    assert [record["generations/mean_final_resources"] for record in records] == pytest.approx(
        study.generations["mean_final_resources"].tolist()
    )


# --- Inspect -------------------------------------------------------------------------------------------------------


def test_a_study_of_scripted_players_has_no_log_for_inspect(tmp_path: Path) -> None:
    with pytest.raises(AgentsimError, match="no model was asked anything"):
        agentsim.export(agentsim.load(SCRIPTED), tmp_path, format="inspect")


@needs("inspect_ai", "inspect-ai")
@pytest.mark.filterwarnings("ignore")
def test_each_run_is_a_log_that_inspect_reads_back(tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log
    from inspect_ai.model import ModelOutput

    study = agentsim.load(MODEL)
    files = agentsim.export(study, tmp_path, format="inspect")
    assert len(files) == len(study.runs)
    for file in files:
        log = read_eval_log(str(file))
        run = study.runs.set_index("run").loc[file.stem]
        replies = study.replies[study.replies["run"] == file.stem]
        assert log.status == "success" and log.eval.model == run["model"] and log.samples is not None
        assert {sample.id for sample in log.samples} == set(replies["key"])
        assert log.results is not None
        [score] = log.results.scores
        assert score.metrics["mean_final_resources"].value == run["mean_final_resources"]
        last = replies.drop_duplicates("key", keep="last").set_index("key")["text"]
        attempts = replies.groupby("key").size()
        for sample in log.samples:
            assert isinstance(sample.output, ModelOutput) and sample.output.completion == last[sample.id]
            assert len(sample.events) == attempts[sample.id]
        usage = log.stats.model_usage[run["models_answered"]]
        assert usage.input_tokens == run["input_tokens"] and usage.output_tokens == run["output_tokens"]
        given = study.encounters.set_index(["run", "key"])["fraction"]
        for sample in log.samples:
            if sample.scores and "cooperation" in sample.scores:
                assert sample.scores["cooperation"].as_float() == given[file.stem, sample.id]
