"""`agentsim probe` as its users meet it: a process, its output, its exit code."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import agentsim
from agentsim.log.reading import read_log
from agentsim.providers.ledger import read_ledger
from agentsim.testing.faultserver import Answer, FaultServer
from tests.cli.test_cli import KEY, cli, ended, forked, played, started, written_below
from tests.orchestrator.test_study import facts, said

SCENARIO = """\
name: small
agents: 4
generations: 2
game: {{kind: donor, rounds: 4}}
players: {{model: fake/model, max_tokens: 50}}
providers:
  fake: {{base_url: "{url}", api_key_env: FAKE_KEY, concurrency: 4, prices: {{model: {{input: 1, output: 1}}}}}}
seeds: [0]
"""
ASKED = ("--strategy", "to give \x1b[31m[bold]half", "--n", "2", "--name", "p")


def file_for(tmp_path: Path, server: FaultServer) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO.format(url=server.openai_url))
    return path


def words(prompt: str) -> str:
    return f"Answer: {sum(prompt.encode()) % 90}%"


async def test_killed_anywhere_the_same_command_goes_on_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)]) as server:
        path = file_for(tmp_path, server)
        assert (await ended(await started("probe", path, *ASKED, "--quiet", "--results", tmp_path / "whole")))[0] == 0
        whole, n_whole = read_log(tmp_path / "whole" / "p" / "probe").records, len(server.requests)
        folder, n_kills = tmp_path / "killed" / "p" / "probe", 0
        for _ in range(4):
            process = await forked("probe", path, *ASKED, "--results", tmp_path / "killed")
            finishing = asyncio.create_task(process.wait())
            arriving = asyncio.create_task(server.received(len(server.requests) + 5))
            await asyncio.wait({finishing, arriving}, return_when=asyncio.FIRST_COMPLETED)
            arriving.cancel()
            n_kills += not finishing.done()
            if not finishing.done():
                process.kill()
            await ended(process)
        code, output = await played("probe", path, *ASKED, "--results", tmp_path / "killed")
    assert code == 0 and n_kills >= 2, output
    records = read_log(folder).records
    assert facts(records) == facts(whole) and said(records) == said(whole)
    # A kill may lose the 4 calls in flight, and answers that had come and were not stored yet.
    n_requests = len(server.requests) - n_whole
    assert n_requests <= len(said(whole)) + 8 * n_kills
    ledger = read_ledger(folder.parent)
    assert ledger is not None and len(said(whole)) <= ledger.n_answered <= n_requests
    assert "\x1b" not in output and "[bold]half" in output and KEY not in output
    assert not any(KEY.encode() in data for data in written_below(tmp_path / "killed"))
    for name in ("response.png", "response.svg", "answers.csv", "summary.csv", "probe.json"):
        assert (folder.parent / name).stat().st_size
    assert agentsim.load_probe(folder.parent).is_complete
    replayed = cli("replay", folder.parent)
    assert replayed.returncode == 0 and "exact" in replayed.stdout


async def test_a_budget_is_kept_and_a_higher_one_goes_on(tmp_path: Path) -> None:
    costly = Answer(words, usage={"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050})
    async with FaultServer([costly]) as server:
        path = file_for(tmp_path, server)
        code, output = await played("probe", path, *ASKED, "--max-cost", "0.02", "--results", tmp_path)
        ledger = read_ledger(tmp_path / "p")
        assert code == 1 and "the budget of $0.02 is reached" in output, output
        assert ledger is not None and 0 < ledger.spent_usd <= 0.02
        n_first = len(server.requests)
        assert not agentsim.load_probe(tmp_path / "p").is_complete
        code, output = await played("probe", path, *ASKED, "--max-cost", "1", "--results", tmp_path)
        assert code == 0, output
    assert len(server.requests) == 62 and 0 < n_first < 62


async def test_a_plan_asks_nobody_and_writes_nothing(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)]) as server:
        shown = cli("probe", file_for(tmp_path, server), *ASKED, "--plan", "--results", tmp_path)
    assert shown.returncode == 0 and "62" in shown.stdout and "US$" in shown.stdout
    assert server.requests == [] and not (tmp_path / "p").exists()


async def test_a_changed_design_is_refused_and_new_begins_another(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)]) as server:
        path = file_for(tmp_path, server)
        assert (await played("probe", path, *ASKED, "--quiet", "--results", tmp_path))[0] == 0
        n = len(server.requests)
        changed = ("probe", path, *ASKED, "--records", "0,100", "--results", tmp_path)
        code, output = await played(*changed)
        assert code == 2 and "probe.situations" in output and len(server.requests) == n
        assert (await played(*changed, "--new"))[0] == 0
    assert json.loads((tmp_path / "p-2" / "probe.json").read_text())["n"] == 2


def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    wrong = cli("probe", "results/example-model", "--run", "nope", "--results", tmp_path)
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: ") and "has no run 'nope'" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_policies_are_probed_at_once_and_for_nothing(tmp_path: Path) -> None:
    shown = cli("probe", "scenarios/scripted-baselines.yaml", "--set", "vary=null", "--model",
                "scripted/discriminator", "--background", "all-give,all-keep", "--results", tmp_path)  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "image scoring" in shown.stdout and "Scores among policies" in shown.stdout
