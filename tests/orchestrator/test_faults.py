"""Classes of faults that no single module answers for: changed scenarios, leaked keys, silent models, bad weather."""

from __future__ import annotations

import ast
import asyncio
import base64
import copy
import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import agentsim
from agentsim.errors import ReplayMismatch
from agentsim.log.records import RunStarted
from agentsim.play.replay import compare_start
from agentsim.providers.account import Account
from agentsim.providers.base import Prompt
from agentsim.providers.settings import ProviderSettings
from agentsim.scenario.conditions import Condition, digest, identity
from agentsim.scenario.runs import runs
from agentsim.testing.faultserver import Answer, Behaviour, EchoKey, FaultServer, Raw, Request, Status
from agentsim.testing.weather import Weather, plausible
from tests.cli.test_cli import written_below
from tests.commands import run_command
from tests.log.test_log import STARTED
from tests.orchestrator.test_study import Fake, answer, log_of, play
from tests.providers.limits.scripted import PROMPT, Scripted

FULL: dict[str, Any] = {
    "name": "full",
    "players": {"model": "fake/model", "extra": {"top_k": 5}},
    "game": {"kind": "donor", "punishment": {"cost": 1, "effect": 2}},
    "providers": {"fake": {"base_url": "http://127.0.0.1:9"}},
}
CHANGES: Mapping[str, object] = {
    "agents": 14,
    "generations": 11,
    "game.rounds": 13,
    "game.endowment": 11,
    "game.multiplier": 3,
    "game.gift.kind": "units",
    "game.games": 1,
    "game.punishment.cost": 2,
    "game.punishment.effect": 3,
    "game.error": 0.1,
    "game.continuation": 0.1,
    "game.max_rounds": 999,
    "pairing.kind": "released",
    "observation.kind": "none",
    "observation.depth": 2,
    "observation.noise": 0.1,
    "observation.delay": 1,
    "observation.known": 0.5,
    "observation.audience": "private",
    "selection.kind": "drift",
    "selection.fraction": 0.25,
    "selection.score": "last_game",
    "transmission.kind": "copy",
    "transmission.scores": False,
    "transmission.max_chars": 999,
    "transmission.rewrite": True,
    "transmission.model_from": "parent",
    "players.model": "fake/other",
    "players.temperature": 0.7,
    "players.max_tokens": 511,
    "players.top_p": 0.9,
    "players.seed": 3,
    "players.reasoning_effort": "low",
    "players.extra.top_k": 6,
    "players.name": "other",
    "players.strategy": "to give half",
    "on_invalid.attempts": 2,
    "players.system_prompt": "user",
    "players.answer_format": "json",
    "on_invalid.then": "zero",
    "on_invalid.out_of_range": "clamp",
}
"""Another value for every setting that decides facts."""
OF_ONE_KIND = {"game.kind", "players.agents"}
"""Settings that have one value so far, or here: one player plays all agents."""


def leaves(value: object, path: str = "") -> Iterator[str]:
    """Yield the dotted paths of a condition's settings."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path


def condition(**changes: object) -> Condition:
    data = copy.deepcopy(FULL)
    for path, value in changes.items():
        *outer, last = path.split(".")
        place: dict[str, Any] = data
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = value
    return runs(agentsim.scenario_from(data))[0].condition


def started(condition: Condition) -> RunStarted:
    return STARTED.model_copy(
        update={"condition": identity(condition), "digest": digest(condition, seed=0), "run": "full"}
    )


def test_there_is_a_change_to_try_for_every_setting_that_decides_facts() -> None:
    everything = set(leaves(condition().model_dump(mode="json"))) - {"on_invalid.stop_after", "prompts"}
    assert everything == set(CHANGES) | OF_ONE_KIND


@pytest.mark.parametrize("path", CHANGES)
def test_a_log_is_not_continued_under_another_value_of_any_setting(path: str) -> None:
    before, now = started(condition()), started(condition(**{path: CHANGES[path]}))
    # Of gifts that are the default's nothing is in the log: the whole setting is new.
    place = path.removesuffix(".kind") if path == "game.gift.kind" else path
    with pytest.raises(ReplayMismatch, match=rf"{place} was '.*' and is ['\"].*"):
        compare_start(before, now)


def test_a_log_is_not_continued_under_another_seed_or_other_templates() -> None:
    now = started(condition())
    with pytest.raises(ReplayMismatch, match="seed was '0' and is '1'"):
        compare_start(now, now.model_copy(update={"seed": 1, "digest": digest(condition(), seed=1)}))
    with pytest.raises(ReplayMismatch, match="templates of its prompt set have changed"):
        compare_start(now, now.model_copy(update={"prompts_digest": "other"}))


def mute(prompt: Prompt) -> str:
    return "I had rather not say." if "Answer:" in prompt.messages[-1].content else answer(prompt)


def test_a_model_that_never_answers_readably_is_named_and_not_paid_for_to_the_end(tmp_path: Path) -> None:
    on_invalid = {"attempts": 2, "stop_after": 10}
    [state] = play(tmp_path, fake := Fake(text=mute), on_invalid=on_invalid).runs
    assert state.status == "stopped" and "'fake/model' to 10 questions in a row could be read" in str(state.reason)
    assert "I had rather not say." in str(state.reason) and fake.n_calls < 2 * (10 + 4) + 12
    n_before = state.n_replies
    [state] = play(tmp_path, Fake(text=mute), on_invalid=on_invalid).runs  # for ten more
    assert state.status == "stopped" and state.n_replies >= n_before + 20
    result = play(tmp_path, Fake(text=mute), on_invalid={"attempts": 2, "stop_after": None})
    assert result.runs[0].status == "unread" and result.is_unread and not result.is_complete


def test_unreadable_replies_between_readable_ones_stop_nobody(tmp_path: Path) -> None:
    assert play(tmp_path, Fake(), on_invalid={"attempts": 1, "stop_after": 5}).is_complete
    assert any(
        getattr(record, "problem", None) for record in log_of(play(tmp_path, Fake(), on_invalid={"attempts": 1}))
    )


async def test_a_thousand_twins_are_a_thousand_calls() -> None:
    provider = Scripted()
    account = Account("fake", ProviderSettings(base_url="http://127.0.0.1:9", concurrency=100), provider)
    await asyncio.gather(*(account.complete(PROMPT) for _ in range(1000)))
    assert provider.n_calls == 1000


KEYS = {
    "OPENAI_API_KEY": "sk-openai-5f1c7a90b3e24d68",
    "ANTHROPIC_API_KEY": "sk-ant-9d02c4b7e1f84a35",
    "GEMINI_API_KEY": "AIza-gemini-c81e55d0a97b",
    "FAKE_KEY": "sk-fake-0a1b2c3d4e5f6789",
}


def echoed(request: Request) -> dict[str, str]:
    return {"x-echo": str(request.key), "www-authenticate": f"Bearer {request.key}", "retry-after": "0"}


class Echo:
    """Repeats the key in every way a server can; at every third request it answers."""

    def __init__(self, *, is_fatal: bool) -> None:
        self.counts, self.is_fatal = Counter[bool](), is_fatal

    def __call__(self, request: Request) -> Behaviour:
        self.counts[request.is_anthropic] += 1
        number = self.counts[request.is_anthropic]
        key = str(request.key)
        text = f"My strategy will be to tell {key}.\nAnswer: 1"
        good = Answer(text, model=f"model-{key}", id=key, headers=echoed(request))
        if self.is_fatal and number > 20:
            return EchoKey(401)
        behaviours: list[Behaviour] = [
            good,
            Status(500, message=key, kind=key, code=key, headers=echoed(request)),
            Status(429, message=f"{key} is too fast", headers=echoed(request)),
            good,
            Raw(f'{{"error": "{key}"}}'.encode()),
            Raw(f"<html>{key}</html>".encode(), headers={"content-type": "text/html"}),
            good,
            Raw(key.encode()),
            EchoKey(503),
        ]
        return behaviours[number % len(behaviours)]


@pytest.mark.parametrize("is_fatal", [False, True])
async def test_no_key_is_written_anywhere_whatever_a_server_does_with_it(tmp_path: Path, is_fatal: bool) -> None:
    async with FaultServer(Echo(is_fatal=is_fatal)) as server:
        common = {"api_key_env": "FAKE_KEY", "concurrency": 4, "attempts": 100, "max_wait_s": 0.1}
        scenario = {
            "name": "keys",
            "agents": 4,
            "generations": 2,
            "game": {"kind": "donor", "rounds": 2},
            "players": [{"model": f"{dialect}-like/model", "agents": 2} for dialect in ("openai", "anthropic")],
            "providers": {
                "openai-like": {"dialect": "openai", "base_url": server.openai_url, **common},
                "anthropic-like": {"dialect": "anthropic", "base_url": server.url, **common},
            },
        }
        (tmp_path / "keys.yaml").write_text(yaml.safe_dump(scenario))
        output = b""
        study = tmp_path / "results" / "keys"
        reading: list[tuple[str | Path, ...]] = [
            ("check", tmp_path / "keys.yaml"),
            ("status", study),
            ("show", study),
            ("replay", study),
            ("report", study),
            ("export", study, "--format", "csv"),
        ]
        environ = {**os.environ, **KEYS, "OPENAI_LOG": "debug", "ANTHROPIC_LOG": "debug", "PYTHONASYNCIODEBUG": "1"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-m", "agentsim", "run", tmp_path / "keys.yaml"),
            *("--results", tmp_path / "results"),
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output += (await process.communicate())[0]
        for words in reading:
            done = await asyncio.to_thread(run_command, *words, environ=KEYS)
            output += (done.stdout + done.stderr).encode()
    assert {request.key for request in server.requests} == {KEYS["FAKE_KEY"]}
    assert {request.is_anthropic for request in server.requests} == {False, True}
    written = [output, *written_below(tmp_path)]
    assert any(b"***" in data for data in written)  # the server did repeat it
    for key in KEYS.values():
        shapes = (key.encode(), key[:14].encode(), base64.b64encode(key.encode()))
        found = [data[max(0, data.index(shape) - 300) :][:400] for data in written for shape in shapes if shape in data]
        assert not found, found


async def test_a_study_gets_through_every_fault_at_once_and_leaves_nothing_open(tmp_path: Path) -> None:
    share = 0.02
    weather = Weather(
        seed=7,
        refused=share,
        failed=share,
        reset=share,
        malformed=share,
        endless=share,
        empty=share,
        odd=share,
        hung=share,
    )
    async with FaultServer(weather, keeps_requests=False) as server:
        scenario = agentsim.scenario_from(
            {
                "name": "soak",
                "generations": 2,
                "players": {"model": "fake/model"},
                "providers": {"fake": {"base_url": server.openai_url, "api_key_env": None, "timeout_s": 5}},
                "seeds": "0-1",
            }
        )
        n_open = len(os.listdir("/proc/self/fd"))
        result = await agentsim.run_async(scenario, results=tmp_path)
    assert result.is_complete, result.runs
    assert min(weather.counts.values()) >= 3 and len(weather.counts) == 9
    study = agentsim.load(result.folder)
    n_good = sum(weather.counts[name] for name in ("answered", "odd", "empty"))
    # An answer that came just when its deadline did may be given up, and is asked for again.
    assert len(study.replies) == n_good - (n_good - len(study.replies)) >= n_good - 3
    assert study.runs["n_missed"].sum() == 0
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= n_open
    assert plausible("x")  # the model it stood for


def test_nothing_is_timed_by_a_clock_that_can_jump() -> None:
    """Deadlines, pauses and pace depend on the event loop's clock; only stamps in logs are of the wall clock."""
    package = Path(agentsim.__file__).parent
    allowed: dict[str, Any] = {
        "orchestrator/runs.py": "datetime.now(UTC)",
        "providers/dialects/peer.py": "time.time()",
        "view/server.py": "time.time()",  # how long ago a log's stamp was
        "orchestrator/engines/journal.py": "time.time()",  # the age of a file that another boot of the machine left
    }
    for path in package.rglob("*.py"):
        name = str(path.relative_to(package))
        if name.startswith("testing/"):
            continue
        text = path.read_text()
        for clock in ("time.time(", "datetime.now(", "utcnow("):
            assert text.count(clock) == (1 if clock in allowed.get(name, "") else 0), (name, clock)


def test_nothing_that_runs_text_is_in_the_source() -> None:
    """No pickle, no eval or exec, no shell: neither a model's words nor a file can become code."""
    forbidden = {"eval", "exec", "compile", "__import__"}
    for path in Path(agentsim.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not modules & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}, path
            if isinstance(node, ast.Call):
                assert not (isinstance(node.func, ast.Name) and node.func.id in forbidden), (path, node.lineno)
                shell = [word for word in node.keywords if word.arg == "shell"]
                assert not shell, (path, node.lineno)
                assert not (isinstance(node.func, ast.Attribute) and node.func.attr in ("system", "popen")), path
