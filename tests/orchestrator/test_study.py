"""Runs of whole societies with a fake model: stored before used, resumable anywhere, replayable."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import agentsim
from agentsim.core.facts import Encounter, GenerationEnded
from agentsim.errors import AuthError, BadRequest, LogLocked, ReplayMismatch, ScenarioError, Unavailable
from agentsim.log.reading import read_log
from agentsim.log.records import Record, Reply, RunFinished, RunStarted
from agentsim.log.stopped import stop_reasons
from agentsim.log.writing import RunLog
from agentsim.orchestrator import sitting
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.run_state import RunState
from agentsim.orchestrator.study import StudyResult
from agentsim.play.replay import code_digest
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.ledger import Ledger
from agentsim.scenario.conditions import Scenario
from agentsim.testing import FunctionProvider

SMALL = {
    "name": "small",
    "agents": 4,
    "generations": 3,
    "game": {"kind": "donor", "rounds": 4},
    "players": {"model": "fake/model", "seed": "derived"},
    "providers": {"fake": {"base_url": "http://127.0.0.1:9"}},
    "seeds": [0],
}


def scenario(**changes: object) -> Scenario:
    return agentsim.scenario_from({**SMALL, **changes})


def answer(prompt: Prompt) -> str:
    """A model whose words depend on the prompt alone; one reply in six is unreadable."""
    draw = Random(hashlib.sha256(prompt.model_dump_json().encode()).digest())
    if draw.random() < 1 / 6:
        return "I had rather not say.\u2028 \x00 \ud83d\ude00"
    if "My strategy will be" in prompt.messages[-1].content:
        return f"My strategy will be to give {draw.randrange(100)}%."
    return f"Well.\nAnswer: {draw.randrange(40)}%"


class Fake(FunctionProvider):
    """A model on no network: counts its calls, answers in random order, and may be told to fail."""

    def __init__(self, *, text: Callable[[Prompt], str] = answer, fail_at: int | None = None) -> None:
        super().__init__(self.answered)
        self.n_calls = 0
        self.text = text
        self.fail_at = fail_at
        self.error: Exception = Unavailable("the fake is out of order")

    async def answered(self, prompt: Prompt) -> Completion:
        self.n_calls += 1
        if self.n_calls == self.fail_at:
            raise self.error
        for _ in range(Random(self.n_calls).randrange(5)):
            await asyncio.sleep(0)
        return Completion(text=self.text(prompt), model="fake-1", finish_reason="stop", latency_s=1.0)


def play(tmp_path: Path, fake: Fake, **changes: object) -> StudyResult:
    return agentsim.run(scenario(**changes), results=tmp_path, provider=fake)


def log_of(result: StudyResult) -> list[Record]:
    return read_log(result.folder / result.runs[0].run).records


def facts(records: list[Record]) -> list[str]:
    return sorted(
        record.model_dump_json() for record in records if not isinstance(record, Reply | RunStarted | RunFinished)
    )


def said(records: list[Record]) -> dict[tuple[str, int], str]:
    return {(record.key, record.attempt): record.completion.text for record in records if isinstance(record, Reply)}


def test_a_run_ends_complete_with_every_decision_and_score_in_its_log(tmp_path: Path) -> None:
    fake = Fake()
    result = play(tmp_path, fake)
    records = log_of(result)
    assert result.is_complete and result.runs[0].n_new_replies == fake.n_calls == len(said(records))
    assert sum(isinstance(record, Encounter) for record in records) == 3 * 2 * 4 * 2
    assert sum(isinstance(record, GenerationEnded) for record in records) == 3
    first, last = records[0], records[-1]
    assert isinstance(first, RunStarted) and isinstance(last, RunFinished)
    assert first.condition["players"]["model"] == "fake/model" and first.versions["agentsim"]
    # The longest chain: in each generation a strategy and four rounds, each of at least one second.
    assert last.critical_path_s >= 3 * (1 + 4)
    assert json.loads((result.folder / "study.json").read_text())["runs"][result.runs[0].run]["seed"] == 0


def test_running_a_complete_study_again_asks_nobody(tmp_path: Path) -> None:
    result = play(tmp_path, Fake())
    before = (result.folder / result.runs[0].run / "log.jsonl").read_bytes()
    fake = Fake()
    again = play(tmp_path, fake)
    assert again.is_complete and fake.n_calls == 0
    assert (again.folder / again.runs[0].run / "log.jsonl").read_bytes() == before


def test_a_complete_run_is_looked_at_line_by_line_only_if_its_log_or_the_code_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not(*_: object, **__: object) -> None:
        raise RuntimeError("looked at line by line")

    result = play(tmp_path, Fake())
    monkeypatch.setattr(sitting, "catch_up", must_not)
    again = play(tmp_path, Fake())
    assert again.is_complete and again.runs[0].n_replies == result.runs[0].n_replies
    path = result.folder / result.runs[0].run / "log.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"amount":', '"amount": ', 1))
    assert "line by line" in str(play(tmp_path, Fake()).runs[0].reason)
    path.write_text(text)
    assert play(tmp_path, Fake()).is_complete
    monkeypatch.setattr(sitting, "code_digest", lambda plugins: "another")
    assert "line by line" in str(play(tmp_path, Fake()).runs[0].reason)


def test_what_is_open_is_asked_before_what_is_complete_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentsim.orchestrator.study.MAX_OPEN_RUNS", 1)
    play(tmp_path, Fake(), seeds=[0, 1, 2])
    log = tmp_path / "small" / "model--seed-2" / "log.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-30]))
    closed: list[str] = []

    class Watch(Observer):
        def run_closed(self, run: str, state: RunState) -> None:
            closed.append(run)

    class First(Fake):
        async def answered(self, prompt: Prompt) -> Completion:
            assert self.n_calls or not closed
            return await super().answered(prompt)

    result = agentsim.run(scenario(seeds=[0, 1, 2]), results=tmp_path, provider=First(), observer=Watch())
    assert result.is_complete and [run.run[-1] for run in result.runs] == ["0", "1", "2"] and closed


def test_a_society_of_copies_asks_for_strategies_once_and_replays(tmp_path: Path) -> None:
    result = play(tmp_path, fake := Fake(), transmission={"kind": "copy"}, selection={"kind": "drift"})
    assert result.is_complete and agentsim.replay(result.folder)[0].is_exact
    keys = {key for key, _ in said(log_of(result))}
    assert {key for key in keys if "/strategy/" in key} == {f"g1/strategy/1_{n}" for n in range(1, 5)}
    assert fake.n_calls == len(said(log_of(result)))
    study = agentsim.load(result.folder)
    born = study.agents[study.agents["generation"] == study.agents["born"]]
    assert len(born) == 4 + 2 + 2 and born["strategy"].nunique() <= 4
    assert (study.generations["n_asked_again"] >= 0).all()
    n_again = sum(attempt > 1 for _, attempt in said(log_of(result)))
    assert study.generations["n_asked_again"].sum() == n_again


def test_a_log_cut_anywhere_goes_on_to_the_same_facts_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    whole = log_of(play(tmp_path / "whole", Fake()))
    data = next((tmp_path / "whole").rglob("log.jsonl")).read_bytes()
    rng = Random(0)
    for number, offset in enumerate(sorted({0, len(data) - 1, *(rng.randrange(len(data)) for _ in range(40))})):
        folder = tmp_path / str(number) / "small" / "model--seed-0"
        folder.mkdir(parents=True)
        (folder / "log.jsonl").write_bytes(data[:offset])
        stored = said(read_log(folder).records)
        fake = Fake()
        result = play(tmp_path / str(number), fake)
        records = log_of(result)
        assert result.runs[0].n_torn_bytes == offset - (data[:offset].rfind(b"\n") + 1)
        assert facts(records) == facts(whole)
        assert said(records) == said(whole)
        assert fake.n_calls == len(said(whole)) - len(stored)


@pytest.mark.parametrize("fail_at", [1, 4, 5, 30, 60])
def test_a_failed_call_stops_the_run_and_is_never_a_decision(tmp_path: Path, fail_at: int) -> None:
    stopped = play(tmp_path, Fake(fail_at=fail_at))
    [state] = stopped.runs
    assert (state.status, state.reason) == ("stopped", "the fake is out of order")
    n_stored = len(said(log_of(stopped)))
    fake = Fake()
    result = play(tmp_path, fake)
    assert result.is_complete
    assert facts(log_of(result)) == facts(log_of(play(tmp_path / "whole", Fake())))
    assert n_stored + fake.n_calls == len(said(log_of(result)))


def test_what_was_in_flight_when_a_call_failed_is_stored(tmp_path: Path) -> None:
    fake = Fake(fail_at=1)
    result = play(tmp_path, fake)
    assert len(said(log_of(result))) == fake.n_calls - 1 == 3


def test_a_fatal_error_stops_the_whole_study(tmp_path: Path) -> None:
    fake = Fake(fail_at=2)
    fake.error = BadRequest("no such model 'model'")
    result = play(tmp_path, fake, seeds=[0, 1, 2])
    statuses = [state.status for state in result.runs]  # which of them had begun by then depends on the machine
    assert "stopped" in statuses and set(statuses) <= {"stopped", "not begun"}
    assert {state.reason for state in result.runs} == {"no such model 'model'"}
    assert play(tmp_path, Fake(), seeds=[0, 1, 2]).is_complete


def test_a_bug_in_one_society_does_not_cost_the_answers_of_the_others(tmp_path: Path) -> None:
    fake = Fake(fail_at=2)
    fake.error = KeyError("nobody thought of this")
    result = play(tmp_path, fake, seeds=[0, 1])
    assert sorted(state.status for state in result.runs) == ["complete", "stopped"]
    [reason] = [state.reason for state in result.runs if state.reason]
    assert reason.startswith(
        "a bug, in agentsim or a rule of your own: KeyError: 'nobody thought of this' at test_study"
    )
    assert play(tmp_path, Fake(), seeds=[0, 1]).is_complete


def test_replay_recomputes_every_run_without_a_call(tmp_path: Path) -> None:
    result = play(tmp_path, Fake(), seeds=[0, 1])
    states = agentsim.replay(result.folder)
    assert [(state.is_exact, state.is_complete) for state in states] == [(True, True)] * 2
    assert all(state.n_replies and state.n_events for state in states)


def test_an_edited_log_is_refused_with_the_first_difference(tmp_path: Path) -> None:
    result = play(tmp_path, Fake())
    path = result.folder / result.runs[0].run / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    index = next(i for i, line in enumerate(lines) if '"type":"donated"' in line)
    event = json.loads(lines[index])
    lines[index] = json.dumps({**event, "amount": event["amount"] + 1}) + "\n"
    path.write_text("".join(lines))
    [state] = play(tmp_path, fake := Fake()).runs
    assert state.status == "stopped" and fake.n_calls == 0
    assert f"line {index + 1}" in str(state.reason) and "amount was" in str(state.reason)
    [replayed] = agentsim.replay(result.folder)
    assert not replayed.is_exact and "amount was" in str(replayed.difference)


def test_an_edited_reply_is_refused_too(tmp_path: Path) -> None:
    result = play(tmp_path, Fake())
    path = result.folder / result.runs[0].run / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    index = next(i for i, line in enumerate(lines) if "Answer: 1" in line and '"type":"reply"' in line)
    lines[index] = lines[index].replace("Answer: 1", "Answer: 9")
    key = json.loads(lines[index])["key"]
    fact = next(i for i, line in enumerate(lines) if i > index and json.loads(line).get("key") == key)
    path.write_text("".join(lines))
    [replayed] = agentsim.replay(result.folder)
    assert not replayed.is_exact and f"line {fact + 1}:" in str(replayed.difference)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"agents": 6}, "agents was '4' and is '6'"),
        ({"generations": 4}, "generations was '3' and is '4'"),
        ({"game": {"kind": "donor", "rounds": 5}}, "game.rounds was '4' and is '5'"),
        ({"observation": {"kind": "trace", "depth": 1}}, "observation.depth was '3' and is '1'"),
        ({"on_invalid": {"attempts": 2}}, "on_invalid.attempts was '3' and is '2'"),
        ({"players": {"model": "fake/model", "temperature": 0.1}}, "players.temperature was '0.8' and is '0.1'"),
    ],
)
def test_a_changed_scenario_is_refused_with_the_difference(
    tmp_path: Path, change: dict[str, object], difference: str
) -> None:
    play(tmp_path, Fake())
    with pytest.raises(ReplayMismatch, match=f"{difference}; undo that change; or run with --new"):
        play(tmp_path, fake := Fake(), **change)
    assert fake.n_calls == 0
    fresh = agentsim.run(scenario(**change), results=tmp_path, provider=Fake(), new=True)
    assert fresh.is_complete and fresh.folder.name == "small-2"


def test_other_limits_and_more_seeds_go_on_with_the_same_study(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    providers = {"fake": {"base_url": "http://127.0.0.1:10", "concurrency": 2}}
    result = play(tmp_path, Fake(), seeds=[0, 1], providers=providers)
    assert result.is_complete and [state.n_new_replies > 0 for state in result.runs] == [False, True]


def test_a_second_process_on_one_run_is_refused_and_named(tmp_path: Path) -> None:
    with RunLog(tmp_path / "small" / "model--seed-0"):
        [state] = play(tmp_path, Fake()).runs
    assert state.status == "stopped" and "is being written by process" in str(state.reason)
    assert play(tmp_path, Fake()).is_complete


def test_why_a_run_stopped_is_of_its_own_last_sitting(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    play(tmp_path, Fake(fail_at=5), seeds=[0])
    play(tmp_path, Fake(), seeds=[1])
    assert stop_reasons(folder) == {"model--seed-0": "the fake is out of order"}
    with RunLog(folder / "model--seed-0"):  # another process plays it: its own end is yet to come
        play(tmp_path, Fake(), seeds=[0, 1])
        assert stop_reasons(folder) == {"model--seed-0": "the fake is out of order"}

    class Killed(Fake):
        async def answered(self, prompt: Prompt) -> Completion:
            assert stop_reasons(folder) == {}  # were it killed now, nobody had stopped it
            return await super().answered(prompt)

    assert play(tmp_path, Killed(), seeds=[0]).is_complete
    assert stop_reasons(folder) == {}


async def test_who_spends_under_a_budget_is_named(tmp_path: Path) -> None:
    with RunLog(tmp_path / "small" / "model--seed-0"), Ledger(tmp_path / "small", limit_usd=1):
        prices = {"fake": {"base_url": "http://127.0.0.1:9", "prices": {"model": {"input": 1, "output": 1}}}}
        with pytest.raises(LogLocked, match=rf"another process makes paid calls .*\(process {os.getpid()} on "):
            await agentsim.run_async(scenario(providers=prices, budget=1), results=tmp_path)


def test_no_readable_answer_is_missing_or_zero_or_a_stop_as_the_scenario_says(tmp_path: Path) -> None:
    def mute(prompt: Prompt) -> str:
        return "no" if "Answer:" in prompt.messages[-1].content else answer(prompt)

    passed = log_of(play(tmp_path / "pass", Fake(text=mute)))
    assert {record.type for record in passed if isinstance(record, Encounter)} == {"missed"}
    zero = log_of(play(tmp_path / "zero", Fake(text=mute), on_invalid={"then": "zero"}))
    gifts = [record for record in zero if isinstance(record, Encounter)]
    assert {(r.type, r.problem, r.attempts, r.model_dump()["replaced_by"]) for r in gifts} == {
        ("donated", "unreadable", 3, "zero")
    }
    [state] = play(tmp_path / "stop", Fake(text=mute), on_invalid={"then": "stop"}).runs
    assert state.status == "stopped" and "3 replies of 'fake/model' could not be read" in str(state.reason)


def test_an_unreadable_reply_is_asked_again_with_the_reason(tmp_path: Path) -> None:
    prompts: list[Prompt] = []

    def text(prompt: Prompt) -> str:
        prompts.append(prompt)
        if "Answer:" in prompt.messages[-1].content:
            return "Answer: 1000000" if len(prompt.messages) == 2 else "Answer: 1"
        return "My strategy will be to give."

    play(tmp_path, Fake(text=text))
    again = [prompt for prompt in prompts if len(prompt.messages) == 4]
    assert again and all(prompt.messages[2].content == "Answer: 1000000" for prompt in again)
    assert all("must be between 0 and" in prompt.messages[3].content for prompt in again)
    assert {prompt.sampling.seed for prompt in again}.isdisjoint({p.sampling.seed for p in prompts[:4]})


def test_scripted_societies_run_without_any_call_and_replay(tmp_path: Path) -> None:
    result = play(tmp_path, fake := Fake(), players={"model": "scripted/random"})
    assert result.is_complete and fake.n_calls == 0
    assert agentsim.replay(result.folder)[0].is_exact


def test_two_models_at_one_seed_meet_the_same_pairings(tmp_path: Path) -> None:
    met = []
    for player in ({"model": "scripted/all-keep"}, {"model": "scripted/all-give"}):
        records = log_of(play(tmp_path / player["model"], Fake(), players=player, generations=1))
        met.append({(r.key, r.recipient) for r in records if isinstance(r, Encounter)})
    assert met[0] == met[1]


async def test_a_study_runs_in_a_notebooks_event_loop_awaited_or_not(tmp_path: Path) -> None:
    awaited = await agentsim.run_async(scenario(), results=tmp_path / "a", provider=Fake())
    called = agentsim.run(scenario(), results=tmp_path / "b", provider=Fake())
    assert awaited.is_complete and facts(log_of(awaited)) == facts(log_of(called))


def test_a_missing_key_is_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(AuthError, match="OPENAI_API_KEY"):
        agentsim.run(scenario(players={"model": "openai/gpt-4o"}, providers={}), results=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_mistake_in_a_users_prompt_set_costs_no_call(tmp_path: Path) -> None:
    shipped = Path(agentsim.__file__).parent / "prompts" / "default"
    folder = Path(shutil.copytree(shipped, tmp_path / "prompts"))
    (folder / "later-strategy.md").write_text("{{ nobody }}")
    with pytest.raises(ScenarioError, match=r"later-strategy\.md:1: 'nobody' is undefined"):
        play(tmp_path, fake := Fake(), prompts=str(folder))
    assert fake.n_calls == 0


def test_what_the_package_promises_by_name_is_there() -> None:
    assert all(getattr(agentsim, name) is not None for name in agentsim.__all__)
    assert set(agentsim.__all__) <= set(dir(agentsim))


def test_every_file_of_code_that_a_replay_uses_decides_facts_and_changes_the_digest(tmp_path: Path) -> None:
    package = Path(agentsim.__file__).parent
    code = (
        "import sys, agentsim; agentsim.replay(sys.argv[1])\n"
        "ours = [module for name, module in sys.modules.items() if name.split('.')[0] == 'agentsim']\n"
        "print(*(module.__file__ for module in ours), sep='\\n')"
    )
    study = package.parent / "results" / "example-model"
    printed = subprocess.run([sys.executable, "-c", code, str(study)], capture_output=True, text=True, check=True)
    used = {Path(line).relative_to(package) for line in printed.stdout.splitlines()}
    assert {
        Path("scenario/players.py"),
        Path("scenario/conditions.py"),
        Path("core/society.py"),
        Path("prompts/parsing.py"),
    } <= used
    copy = Path(shutil.copytree(package, tmp_path / "agentsim", ignore=shutil.ignore_patterns("__pycache__")))
    before = code_digest(package=copy)
    for path in used:
        text = (copy / path).read_text()
        (copy / path).write_text(text + "# changed\n")
        code_digest.cache_clear()
        assert code_digest(package=copy) != before, path
        (copy / path).write_text(text)
    code_digest.cache_clear()
    assert code_digest(package=copy) == before
