"""Which study a command goes on with, what a refused one leaves alone, and studies begun as forks of others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import agentsim
from agentsim.cli import main
from agentsim.disk.durable import replace
from agentsim.disk.whole_files import replace_whole
from agentsim.errors import LogError, ReplayMismatch, ScenarioError
from agentsim.log.experiment import difference
from agentsim.log.records import RunStarted
from agentsim.orchestrator.study import StudyResult
from agentsim.play.replay import compare_start
from agentsim.prompts.sets import READER
from agentsim.providers.base import Prompt
from agentsim.providers.ledger import Ledger
from agentsim.scenario.conditions import Scenario
from tests.log.test_log import STARTED
from tests.orchestrator.test_study import Fake, answer, facts, log_of, play, said, scenario

LONGER = {"generations": 4}


def forked(tmp_path: Path, fake: Fake, **changes: object) -> StudyResult:
    return agentsim.run(scenario(**changes), results=tmp_path, provider=fake, fork=tmp_path / "small")


def written(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*.json*") if path.name != "stopped.json"}


def begun(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/log.jsonl"))


def test_a_refused_command_changes_nothing_and_says_all_that_can_be_done(tmp_path: Path) -> None:
    play(tmp_path, Fake(fail_at=30))
    before = written(tmp_path / "small")
    with pytest.raises(ReplayMismatch) as refused:
        play(tmp_path, fake := Fake(), **LONGER)
    assert written(tmp_path / "small") == before and fake.n_calls == 0
    assert str(refused.value) == (
        f"{tmp_path / 'small' / 'model--seed-0'}: its log was begun under another scenario: generations was '3' and is"
        f" '4'; undo that change; or run with --new to begin small-2, or with --fork {tmp_path / 'small'} to begin it"
        " with the replies that are still valid"
    )


CHANGED: list[tuple[dict[str, object], str]] = [
    ({"generations": 4}, "generations was '3' and is '4'"),
    ({"game": {"kind": "donor", "rounds": 4, "multiplier": 5}}, "game.multiplier was '2.0' and is '5.0'"),
    ({"game": {"kind": "donor", "rounds": 4, "error": 0.1}}, "game.error was 'not set' and is '0.1'"),
    ({"selection": {"kind": "drift"}}, "selection.kind was 'top' and is 'drift'"),
    ({"on_invalid": {"then": "zero"}}, "on_invalid.then was 'pass' and is 'zero'"),
    ({"players": {"model": "fake/model", "seed": "derived", "max_tokens": 9}}, "players.max_tokens was '512'"),
    ({"players": {"model": "fake/model"}}, "players.seed was 'derived' and is 'None'"),
    (
        {"players": {"model": "fake/model", "seed": "derived", "name": "x"}},
        "of this condition was 'model' and is 'model-x'",
    ),
    ({"players": {"model": "other/model", "seed": "derived"}}, "players.model was 'fake/model' and is 'other/model'"),
    ({"vary": {"observation.depth": [3, 1]}}, "what varies was 'only the players' and is 'observation.depth'"),
    (
        {"vary": {"players.temperature": [0.8]}},
        "the name of this condition was 'model' and is 'model--temperature-0.8'",
    ),
    ({"players": {"model": "fake/newcomer"}, "agents": 6}, "agents was '4' and is '6'"),
]
TWO_SERVERS = {"fake": {"base_url": "http://127.0.0.1:9"}, "other": {"base_url": "http://127.0.0.1:9"}}


@pytest.mark.parametrize("seeds", [[0], [7], [7, 0]], ids=["the same seed", "another seed", "both"])
@pytest.mark.parametrize(
    ("change", "difference"), CHANGED, ids=[difference.split(" was")[0] for _, difference in CHANGED]
)
def test_whatever_changes_is_refused_for_new_seeds_too(
    tmp_path: Path, change: dict[str, object], difference: str, seeds: list[int]
) -> None:
    play(tmp_path, Fake(fail_at=9))
    before = written(tmp_path / "small")
    with pytest.raises(ReplayMismatch, match=difference):
        play(tmp_path, fake := Fake(), seeds=seeds, providers=TWO_SERVERS, **change)
    assert (
        written(tmp_path / "small") == before and fake.n_calls == 0 and begun(tmp_path / "small") == ["model--seed-0"]
    )


def test_changed_templates_are_refused_for_new_seeds_too(tmp_path: Path) -> None:
    prompts = tmp_path / "words"
    shutil.copytree(Path(agentsim.__file__).parent / "prompts" / "default", prompts)
    play(tmp_path, Fake(), prompts=str(prompts))
    (prompts / "rules.md").write_text((prompts / "rules.md").read_text() + "\nBe kind.\n")
    with pytest.raises(ReplayMismatch, match="the templates of its prompt set have changed"):
        play(tmp_path, Fake(), prompts=str(prompts), seeds=[1])
    moved = tmp_path / "elsewhere" / "words"
    shutil.copytree(prompts, moved)
    with pytest.raises(ReplayMismatch, match="the templates"):
        play(tmp_path, Fake(), prompts=str(moved), seeds=[1])


def test_one_changed_condition_of_several_is_refused_whole(tmp_path: Path) -> None:
    def players(share: float) -> list[dict[str, object]]:
        return [{"model": "scripted/all-give"}, {"model": "scripted/constant-share", "name": "x", "share": share}]

    play(tmp_path, Fake(), vary={"players": [players(0.2), {"model": "scripted/random"}]})
    with pytest.raises(ReplayMismatch, match=r"players\.1\.share was '0\.2' and is '0\.3'"):
        play(tmp_path, Fake(), vary={"players": [players(0.3), {"model": "scripted/random"}]}, seeds=[3])
    assert len(begun(tmp_path / "small")) == 2


def test_more_seeds_and_more_values_and_other_models_are_the_same_experiment(tmp_path: Path) -> None:
    play(tmp_path, Fake(), vary={"observation.depth": [1]})
    play(tmp_path, Fake(), vary={"observation.depth": [1, 3]}, seeds=[1])
    result = play(tmp_path, Fake(), vary={"observation.depth": [2]}, players={"model": "scripted/all-give"})
    assert result.folder.name == "small" and begun(result.folder) == [
        "all-give--depth-2--seed-0",
        "model--depth-1--seed-0",
        "model--depth-1--seed-1",
        "model--depth-3--seed-1",
    ]
    assert len(agentsim.load(result.folder).runs) == 4


def test_new_seeds_go_on_with_the_study_that_was_begun_under_the_same_rules(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    agentsim.run(scenario(**LONGER), results=tmp_path, provider=Fake(), new=True)
    assert play(tmp_path, Fake(), seeds=[1]).folder.name == "small"
    assert play(tmp_path, Fake(), seeds=[1], **LONGER).folder.name == "small-2"


def test_another_server_is_another_experiment_and_other_limits_are_not(tmp_path: Path) -> None:
    first = RunStarted(
        study="s", run="a--seed-0", seed=0, condition={"players": {"model": "v/m"}}, digest="d", settings={},
        prompts_digest="p", reader=READER, versions={}, time="t",
        accounts={"v/m": {"base_url": "http://a/v1/", "dialect": "openai", "concurrency": 2}},
    )  # fmt: skip

    def at(**account: object) -> RunStarted:
        return first.model_copy(update={"accounts": {"v/m": account}})

    assert difference(first, at(base_url="http://a/v1", dialect="openai", concurrency=9)) is None
    assert difference(first, at()) is None  # nothing was logged of it
    found = difference(first, at(base_url="http://b/v1", dialect="openai"))
    assert found is not None and "the account's base_url was 'http://a/v1' and is 'http://b/v1'" in found.was_and_is
    assert difference(first, at(base_url="http://a/v1", dialect="anthropic")) is not None
    pair = {"x": {"base_url": "http://a"}, "y": {"base_url": "http://a"}}
    of_two = first.model_copy(update={"accounts": pair})
    changed = of_two.model_copy(update={"accounts": {**pair, "y": {"base_url": "http://b"}}})
    assert difference(of_two, of_two) is None and difference(of_two, changed) is not None


def test_a_fork_under_other_names_keeps_its_replies(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    result = forked(tmp_path, fake := Fake(), vary={"observation.depth": [3, 1]})
    assert result.folder.name == "small-2" and result.is_complete
    kept = next(run for run in result.runs if run.run == "model--depth-3--seed-0")
    assert kept.n_new_replies == 0 and result.n_taken_over == kept.n_replies and fake.n_calls > 0


def test_a_study_that_holds_two_experiments_already_is_named_and_goes_on_no_more(tmp_path: Path) -> None:
    folder = mixed_study(tmp_path)
    for seeds in ([0], [2]):
        with pytest.raises(ReplayMismatch, match="holds runs of two experiments"):
            play(tmp_path, Fake(), seeds=seeds)
    assert len(begun(folder)) == 3


def mixed_study(tmp_path: Path) -> Path:
    """Make what version 0.1 made of a changed multiplier and a new seed."""
    play(tmp_path, Fake(), seeds=[0, 1])
    other = play(tmp_path / "other", Fake(), seeds=[5], game={"kind": "donor", "rounds": 4, "multiplier": 3})
    shutil.copytree(other.folder / "model--seed-5", tmp_path / "small" / "model--seed-5")
    return tmp_path / "small"


@pytest.mark.parametrize("command", ["show", "compare", "figures", "report", "export"])
def test_no_command_pools_two_experiments(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = mixed_study(tmp_path)
    before = sorted(folder.rglob("*"))
    monkeypatch.setattr("sys.argv", ["agentsim", command, str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert ended.value.code == 2 and sorted(folder.rglob("*")) == before
    assert "game.multiplier is '2.0' in model--seed-0, model--seed-1, but '3.0' in model--seed-5" in told
    assert f"move the runs of one experiment to another folder, such as {tmp_path / 'small-other'}" in told


def test_the_status_of_two_experiments_names_them_and_each_by_itself_can_be_read(tmp_path: Path) -> None:
    folder = mixed_study(tmp_path)
    [note] = [note for note in agentsim.load(folder, allow_mixed=True).notes if "two experiments" in note]
    assert "model--seed-5" in note
    (tmp_path / "small-other").mkdir()
    (folder / "model--seed-5").rename(tmp_path / "small-other" / "model--seed-5")
    assert len(agentsim.load(folder).runs) == 2
    assert len(agentsim.load(folder, tmp_path / "small-other").runs) == 3


def test_conditions_under_different_rules_are_two_experiments_as_well(tmp_path: Path) -> None:
    folder = play(tmp_path, Fake()).folder
    other = play(tmp_path / "other", Fake(), agents=6, players={"model": "scripted/all-give"})
    shutil.copytree(other.folder / "all-give--seed-0", folder / "all-give--seed-0")
    with pytest.raises(LogError, match="agents is '6' in all-give--seed-0, but '4' in model--seed-0"):
        agentsim.load(folder)


def test_a_folder_of_a_probe_is_none_of_a_study(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "probe.json").write_text("{}")
    with pytest.raises(ScenarioError, match="holds a probe; give the study another name"):
        play(tmp_path, Fake())
    assert [path.name for path in (tmp_path / "small").iterdir()] == ["probe.json"]


@pytest.mark.parametrize("text", ["[]", "{}", '{"runs": []}', '{"runs": {"a": 1}}', "{"])
def test_a_study_json_of_another_shape_names_the_remedy(tmp_path: Path, text: str) -> None:
    play(tmp_path, Fake())
    (tmp_path / "small" / "study.json").write_text(text)
    with pytest.raises(
        LogError,
        match=r"study\.json: cannot be read as a study .*delete it and run the scenario again, which writes a new one",
    ):
        play(tmp_path, Fake())
    (tmp_path / "small" / "study.json").unlink()
    assert play(tmp_path, Fake()).is_complete


def test_an_edited_log_is_refused_with_its_run_and_what_can_be_done(tmp_path: Path) -> None:
    result = play(tmp_path, Fake())
    path = result.folder / "model--seed-0" / "log.jsonl"
    path.write_text(path.read_text().replace('"amount":', '"amount":1', 1))
    [state] = play(tmp_path, Fake()).runs
    assert str(state.reason).startswith("model--seed-0: line ") and "--new" in str(state.reason)
    assert state.is_refused and "--fork" in str(state.reason)


def test_a_stop_that_is_no_refusal_goes_on_with_the_same_command(tmp_path: Path) -> None:
    assert not play(tmp_path, Fake(fail_at=30)).runs[0].is_refused


def test_a_new_study_that_was_stopped_goes_on_and_the_older_one_too(tmp_path: Path) -> None:
    older = play(tmp_path, Fake(fail_at=20))
    newer = agentsim.run(scenario(**LONGER), results=tmp_path, provider=Fake(fail_at=40), new=True)
    assert (older.folder.name, newer.folder.name) == ("small", "small-2")
    n_stored = newer.runs[0].n_replies
    gone_on = play(tmp_path, fake := Fake(), **LONGER)
    assert gone_on.folder == newer.folder and gone_on.is_complete
    assert fake.n_calls == gone_on.runs[0].n_replies - n_stored
    assert play(tmp_path, Fake()).folder == older.folder


def test_of_two_studies_under_one_scenario_the_newer_goes_on(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    agentsim.run(scenario(), results=tmp_path, provider=Fake(fail_at=9), new=True)
    assert play(tmp_path, Fake()).folder.name == "small-2"
    assert agentsim.run(scenario(), results=tmp_path, provider=Fake(), new=True).folder.name == "small-3"


def test_a_scenario_that_is_itself_called_so_is_another_study(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    play(tmp_path, Fake(fail_at=9), name="small-2")
    assert play(tmp_path, Fake()).folder.name == "small"


@pytest.mark.parametrize("fail_at", [None, 30])
def test_a_fork_asks_only_what_the_other_study_was_not_asked(tmp_path: Path, fail_at: int | None) -> None:
    play(tmp_path, Fake(fail_at=fail_at))
    before = written(tmp_path / "small")
    result = forked(tmp_path, fake := Fake(), **LONGER)
    whole = log_of(play(tmp_path / "whole", Fake(), **LONGER))
    assert written(tmp_path / "small") == before
    assert result.folder.name == "small-2" and result.is_complete
    assert facts(log_of(result)) == facts(whole) and said(log_of(result)) == said(whole)
    assert result.n_taken_over > 25 and fake.n_calls == len(said(whole)) - result.n_taken_over
    first = log_of(result)[0]
    assert isinstance(first, RunStarted) and first.forked_from == str(tmp_path / "small" / "model--seed-0")
    assert agentsim.replay(result.folder)[0].is_exact
    assert play(tmp_path, Fake(), **LONGER).folder == result.folder


def test_a_fork_keeps_nothing_that_was_asked_with_other_words(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    players = {"model": "fake/model", "seed": "derived", "temperature": 0.1}
    result = forked(tmp_path, Fake(), players=players)
    assert result.is_complete and result.n_taken_over == 0


def test_a_fork_goes_on_where_the_scenario_stopped_at_unreadable_replies(tmp_path: Path) -> None:
    def mute(prompt: Prompt) -> str:
        return "no" if "Answer:" in prompt.messages[-1].content else answer(prompt)

    [state] = play(tmp_path, Fake(text=mute), on_invalid={"then": "stop"}).runs
    assert "set on_invalid.then to pass or zero and run with --fork" in str(state.reason)
    result = forked(tmp_path, Fake(text=mute), on_invalid={"then": "pass", "stop_after": None})
    assert result.runs[0].status == "unread" and result.n_taken_over == state.n_replies


def test_a_fork_of_what_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    other: Scenario = scenario(players={"model": "fake/other"})
    with pytest.raises(
        LogError, match="none of this scenario's runs can be forked from it: its runs are model--seed-0"
    ):
        agentsim.run(other, results=tmp_path, provider=Fake(), fork=tmp_path / "small")
    with pytest.raises(LogError, match="it holds no runs"):
        agentsim.run(other, results=tmp_path, provider=Fake(), fork=tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
    assert list(json.loads((tmp_path / "small" / "study.json").read_text())["runs"]) == ["model--seed-0"]


@pytest.mark.parametrize("name", ["model--seed-0/log.jsonl", "model--seed-0/lock", "ledger.jsonl", "model--seed-0"])
def test_links_in_a_study_are_not_written_through(tmp_path: Path, name: str) -> None:
    """A study may come from somebody else."""
    victim = tmp_path / "victim"
    if name.endswith("0"):
        victim.mkdir()
    else:
        victim.write_text("precious")
    link = tmp_path / "small" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    if name == "ledger.jsonl":
        with pytest.raises(LogError, match="symbolic link"), Ledger(link.parent, limit_usd=1):
            pass
    else:
        [state] = play(tmp_path, fake := Fake()).runs
        assert state.status == "stopped" and "symbolic link" in str(state.reason) and not fake.n_calls
    assert list(victim.iterdir()) == [] if victim.is_dir() else victim.read_text() == "precious"


@pytest.mark.parametrize(
    "name", ["study.json", "stopped.json", "final-resources.png", "comparison/pairs.csv", "report.html"]
)
def test_links_in_place_of_files_that_are_written_whole_are_replaced(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text('{"precious": 1}')
    path = tmp_path / "small" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(victim)
    replace(path, "new")
    assert not path.is_symlink() and path.read_text() == "new"
    path.unlink()
    path.symlink_to(victim)
    replace_whole(path, lambda temporary: temporary.write_text("newer"))
    assert not path.is_symlink() and path.read_text() == "newer"
    assert victim.read_text() == '{"precious": 1}'
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing is left beside it


def test_a_copied_study_is_replayed_with_the_prompts_it_was_played_with(tmp_path: Path) -> None:
    shipped = Path(agentsim.__file__).parent / "prompts" / "default"
    own = Path(shutil.copytree(shipped, tmp_path / "mine"))
    (own / "first-strategy.md").write_text("Say in your own words what you will do. Begin with: {{ marker }}")
    folder = play(tmp_path, Fake(), prompts=str(own)).folder
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "copy"))
    shutil.rmtree(own)
    [state] = agentsim.replay(moved)
    assert state.is_exact and state.note is None
    [kept] = moved.glob("prompts-*.json")
    kept.write_text(kept.read_text().replace("in your own words", "at once"))
    [state] = agentsim.replay(moved)
    assert state.is_exact and "prompts were not compared" in str(state.note)


def test_a_price_that_changes_within_a_run_is_refused() -> None:
    def start(price: dict[str, object] | None) -> RunStarted:
        return STARTED.model_copy(update={"accounts": {"fake/model": {"dialect": "openai", "price": price}}})

    cheap, dear = {"input": 1.0, "output": 2.0, "source": "a"}, {"input": 1.0, "output": 3.0, "source": "a"}
    with pytest.raises(ReplayMismatch, match=r"price was 'input 1, output 2' and is 'input 1, output 3'"):
        compare_start(start(cheap), start(dear))
    compare_start(start(cheap), start({**cheap, "source": "b"}))
    compare_start(start(None), start(cheap))


@pytest.mark.parametrize(("model", "is_same"), [("scripted/all-give", True), ("fake/model", False)])
def test_changed_templates_are_another_experiment_only_for_those_who_read_them(model: str, is_same: bool) -> None:
    first = STARTED.model_copy(update={"condition": {"players": {"model": model}}})
    assert (difference(first, first.model_copy(update={"prompts_digest": "q"})) is None) == is_same
