"""The command line as its users meet it: a process, its output, its exit code."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

import agentsim
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.providers.ledger import read_ledger
from agentsim.testing.faultserver import Answer, FaultServer, Hang, Request, Status
from tests.commands import run_command
from tests.orchestrator.test_study import facts, said
from tests.processes import Started, start

KEY = "sk-sentinel-0123456789abcdef"
SCENARIO = """\
name: small
agents: 4
generations: 2
game: {{kind: donor, rounds: 4}}
players: {{model: fake/model}}
providers:
  fake: {{base_url: "{url}", api_key_env: FAKE_KEY, concurrency: {concurrency}}}
seeds: [0]
"""


def words(prompt: str) -> str:
    """A model whose words depend on the prompt alone; one in six is unreadable, all are hostile."""
    draw = Random(hashlib.sha256(prompt.encode()).digest())
    if draw.random() < 1 / 6:
        return "\x1b[2J[red]no[/red]"
    if "My strategy will be" in prompt[-200:]:
        return f"My strategy will be \x1b[31m[bold]<b>to give {draw.randrange(100)}%."
    return f"Answer: {draw.randrange(40)}%"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "agentsim", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "FAKE_KEY": KEY, "COLUMNS": "100"}


def cli(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in this process."""
    return run_command(*arguments, cwd=cwd, environ={"FAKE_KEY": KEY, "COLUMNS": "100"})


def process(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command as its users do."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, env=environment(), cwd=cwd, check=False)


async def played(*arguments: str | Path) -> tuple[int, str]:
    """Run a command in this process, beside the server that it asks; return its exit code and what it printed."""
    done = await asyncio.to_thread(cli, *arguments)
    return done.returncode, done.stdout + done.stderr


async def started(*arguments: str | Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command(*arguments), env=environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )


async def forked(*arguments: str | Path) -> Started:
    """Begin a command in a process of its own, to be sent signals; it need not load anything."""
    return await start(*map(str, arguments), environ=environment())


async def ended(process: asyncio.subprocess.Process | Started) -> tuple[int, str]:
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def written_below(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


def scenario_file(tmp_path: Path, server: FaultServer, *, concurrency: int = 32) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO.format(url=server.openai_url, concurrency=concurrency))
    return path


async def test_killed_at_20_points_and_run_again_ends_in_the_facts_of_an_uninterrupted_run(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)]) as server:
        path = scenario_file(tmp_path, server, concurrency=4)
        assert (await played("run", path, "--quiet", "--results", tmp_path / "whole"))[0] == 0
        whole = read_log(tmp_path / "whole" / "small" / "model--seed-0").records
        n_whole = len(server.requests)
        rng, n_kills = Random(0), 0
        folder = tmp_path / "killed" / "small" / "model--seed-0"
        stored: dict[tuple[str, int], str] = {}
        while n_kills < 20:
            before = len(server.requests)
            process = await forked("run", path, "--quiet", "--results", tmp_path / "killed")
            finishing = asyncio.create_task(process.wait())
            arriving = asyncio.create_task(server.received(before + rng.randrange(1, 4)))
            await asyncio.wait({finishing, arriving}, return_when=asyncio.FIRST_COMPLETED)
            if finishing.done():
                break
            process.kill()
            n_kills += 1
            await ended(process)
            arriving.cancel()
            now = said(read_log(folder).records)
            assert stored.items() <= now.items()
            stored = now
        code, output = await played("run", path, "--results", tmp_path / "killed")
        assert code == 0, output
    records = read_log(folder).records
    assert n_kills >= 10
    assert facts(records) == facts(whole) and said(records) == said(whole)
    # Each kill may lose what was in flight, at most 4 calls, and nothing else is asked twice.
    n_requests, n_replies = len(server.requests) - n_whole, len(said(whole))
    assert n_requests <= n_replies + 4 * n_kills
    # The ledger knows of every call that the server has billed, and of those whose answers were lost.
    ledger = read_ledger(folder.parent)
    assert ledger is not None and n_replies <= ledger.n_answered <= n_requests <= ledger.n_answered + len(ledger.open)
    n_lost = ledger.n_answered + len(ledger.open) - n_replies
    assert n_lost and f"{n_lost} calls may have been billed" in " ".join(cli("status", folder.parent).stdout.split())
    whole_ledger = read_ledger(tmp_path / "whole" / "small")
    assert whole_ledger is not None and (whole_ledger.n_answered, whole_ledger.open) == (n_whole, {})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_ctrl_c_stores_what_is_in_flight_and_the_same_command_goes_on(tmp_path: Path, number: int) -> None:
    async with FaultServer([Answer(words)]) as server:
        path = scenario_file(tmp_path, server, concurrency=2)
        begin = started if number == signal.SIGINT else forked
        process = await begin("run", path, "--results", tmp_path)
        await server.received(10)
        process.send_signal(number)
        code, output = await ended(process)
        assert code == 130, output
        assert "Run the same command again to continue" in output
        n_stored = len(said(read_log(tmp_path / "small" / "model--seed-0").records))
        assert n_stored == len(server.requests)
        code, output = await played("run", path, "--results", tmp_path)
        assert code == 0 and len(server.requests) == len(
            said(read_log(tmp_path / "small" / "model--seed-0").records)
        ), output


def test_an_unfinished_line_that_is_cut_off_is_said_however_quiet(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("name: s\nagents: 4\ngenerations: 1\nplayers: {model: scripted/all-give}\nseeds: [0]\n")
    arguments = ("run", path, "--results", tmp_path, "--quiet")
    assert cli(*arguments).stderr == ""
    with next((tmp_path / "s").glob("*/log.jsonl")).open("a") as log:
        log.write('{"type":"do')
    again = cli(*arguments)
    assert (again.returncode, again.stdout) == (0, "")
    assert "11 bytes of an unfinished line were cut off its log" in again.stderr


async def test_a_second_process_is_told_who_plays_and_nothing_else(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)] * 9 + [Hang()]) as server:
        path = scenario_file(tmp_path, server, concurrency=2)
        patient = ("--set", "providers.fake.gives_up_early=false")
        first = await forked("run", path, "--results", tmp_path, *patient)
        await server.received(11)
        code, output = await played("run", path, "--results", tmp_path, "--quiet", *patient)
        assert code == 1 and f"is being written by process {first.pid} on " in output
        assert not (tmp_path / "small" / "final-resources.png").exists() and len(server.requests) == 11
        first.kill()
        await ended(first)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_says_what_is_waited_for_and_twice_stops_at_once(tmp_path: Path, number: int) -> None:
    async with FaultServer([Answer(words)] * 9 + [Hang()]) as server:
        path = scenario_file(tmp_path, server, concurrency=2)
        process = await forked("run", path, "--results", tmp_path)
        assert process.stdout is not None
        await server.received(11)  # nine are answered and the two in flight never will be
        process.send_signal(number)
        said_first = b""
        while b"Ctrl-C again drops them" not in said_first:
            said_first += await process.stdout.readline()
        assert process.returncode is None
        process.send_signal(number)
        code, output = await ended(process)
    assert code == 130 and "stopping at once" in output and "Traceback" not in output
    assert len(said(read_log(tmp_path / "small" / "model--seed-0").records)) == 9
    told = " ".join(cli("status", tmp_path / "small").stdout.split())
    assert "interrupted by the user" in told and "2 calls may have been billed" in told


async def test_a_run_prints_tables_without_a_models_control_characters_and_no_key_anywhere(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)]) as server:
        path = scenario_file(tmp_path, server)
        code, output = await played("run", path, "--results", tmp_path)
    assert code == 0, output
    assert "\x1b" not in output and "[bold]<b>to give" in output
    for word in ("Generations", "Strategies", "final-resources.png", "agentsim replay", "complete"):
        assert word in output
    assert all(request.key == KEY for request in server.requests)
    assert KEY not in output and not any(KEY.encode() in data for data in written_below(tmp_path))
    again = cli("run", path, "--results", tmp_path)
    assert again.returncode == 0 and "no model was called" in again.stdout
    exact = cli("replay", tmp_path / "small")
    assert exact.returncode == 0 and "exact" in exact.stdout
    shown = cli("show", tmp_path / "small")
    assert shown.returncode == 0 and "\x1b" not in shown.stdout and "Generations" in shown.stdout


async def test_what_was_spent_is_shown_and_what_is_unpriced_is_said(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)]) as server:
        path = scenario_file(tmp_path, server)
        _, output = await played("run", path, "--results", tmp_path / "unpriced")
        assert "the cost of 1 runs is not known" in output and "US$" not in output
        prices = "providers.fake.prices={model: {input: 1000, output: 5000}}"
        code, output = await played("run", path, "--results", tmp_path / "priced", "--set", prices)
    assert code == 0 and "US$" in output
    study = agentsim.load(tmp_path / "priced" / "small")
    [run] = study.runs.to_dict("records")
    assert run["cost_usd"] == pytest.approx(run["input_tokens"] * 1e-3 + run["output_tokens"] * 5e-3)
    assert run["cost_usd"] > 0 and study.replies["cost_usd"].sum() == pytest.approx(run["cost_usd"])
    assert f"{run['cost_usd']:.2f}" in output


async def test_a_refused_key_stops_the_study_with_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    async with FaultServer([Status(401, f"bad key {KEY}")]) as server:
        code, output = await played("run", scenario_file(tmp_path, server), "--results", tmp_path)
    assert code == 1 and "not complete:" in output and "Traceback" not in output and KEY not in output


async def test_a_model_that_is_never_readable_exits_3_and_is_named(tmp_path: Path) -> None:
    async with FaultServer([Answer(lambda prompt: "I had rather not say.")]) as server:
        path = scenario_file(tmp_path, server)
        code, output = await played("run", path, "--results", tmp_path, "--set", "generations=1")
    assert code == 3 and "no reply of 'fake/model' to 5 questions in a row could be read" in " ".join(output.split())
    assert len(server.requests) < 60 and "█" not in output and ": complete" not in output
    assert "3 a model never gave a readable answer" in " ".join(cli("run", "--help").stdout.split())


def test_a_changed_scenario_exits_2_with_one_message_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("name: s\nagents: 4\ngenerations: 1\nplayers: {model: scripted/all-give}\nseeds: 0-2\n")
    assert cli("run", path, "--results", tmp_path, "--quiet").returncode == 0
    before = sorted(tmp_path.rglob("*"))
    refused = cli("run", path, "--results", tmp_path, "--set", "game.multiplier=5", "--seeds", "0-9")
    assert refused.returncode == 2 and refused.stderr.count("game.multiplier was '2.0' and is '5.0'") == 1
    assert "--new to begin s-2" in refused.stderr and sorted(tmp_path.rglob("*")) == before


async def test_server_errors_are_asked_again_and_never_a_decision(tmp_path: Path) -> None:
    n_refused = 0

    def flaky(request: Request) -> Answer | Status:
        nonlocal n_refused
        if n_refused < 3:
            n_refused += 1
            return Status(429, "slow down", headers={"retry-after": "0"})
        return Answer(words)

    async with FaultServer(flaky) as server:
        code, output = await played("run", scenario_file(tmp_path, server), "--results", tmp_path)
    records = read_log(tmp_path / "small" / "model--seed-0").records
    assert code == 0, output
    assert len(server.requests) == 3 + sum(isinstance(record, Reply) for record in records)


MISTAKES = [
    ("agnets: 4", ":1:1: agnets: ", "agents"),
    ("agents: 7", ":1:9: agents: ", "even"),
    ("agents: 4\nagents: 6", ":2:1: agents: ", "already"),
    ("game: {kind: donor, rounds: -1}", ":1:29: game.rounds: ", "-1"),
    ("players: {model: openia/gpt-4o}", ":1:18: players.model: ", "openai"),
]


@pytest.mark.parametrize(("line", "place", "word"), MISTAKES)
def test_a_mistake_is_one_message_with_its_place_and_exit_code_2(
    tmp_path: Path, line: str, place: str, word: str
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(line + "\nname: wrong\n" + ("" if "players" in line else "players: {model: scripted/all-give}\n"))
    result = (process if line.startswith("agnets") else cli)("run", path, cwd=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr and not result.stdout
    assert place in result.stderr and word in result.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "nowhere.yaml"), "nowhere.yaml"),
        (("show", "results/nowhere"), "holds no runs"),
        (("replay", "results/nowhere"), "holds no runs"),
        (("models", "pull", "local/nobody"), "nobody"),
    ],
)
def test_what_is_not_there_is_said_and_exits_2(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = cli(*arguments, cwd=tmp_path)
    assert result.returncode == 2 and sentence in result.stderr and "Traceback" not in result.stderr


def test_check_says_what_a_scenario_comes_to(tmp_path: Path) -> None:
    result = process("check", Path(agentsim.__file__).parent.parent / "scenarios" / "donor-game.yaml", "--seeds", "0")
    assert result.returncode == 0 and "1 runs, 1,506 questions" in result.stdout


def test_schema_is_json_schema() -> None:
    result = cli("schema")
    assert result.returncode == 0 and "agents" in json.loads(result.stdout)["properties"]


@pytest.mark.parametrize("arguments", [["--help"], ["check", "scenarios/donor-game.yaml"]])
def test_help_and_check_load_no_sdk_and_no_pandas(arguments: list[str]) -> None:
    code = (
        "import sys; from agentsim.cli import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit: pass\n"
        "print(sorted({'pandas', 'openai', 'anthropic', 'matplotlib', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    root = Path(agentsim.__file__).parent.parent
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert result.stderr.strip().endswith("[]")


def test_compare_prints_what_it_can_and_cannot_say(tmp_path: Path) -> None:
    baselines = Path(__file__).parent.parent.parent / "scenarios" / "scripted-baselines.yaml"
    small = ["--set", "generations=2", "--seeds", "0-1", "--quiet"]
    assert cli("run", baselines, *small, "--results", tmp_path).returncode == 0
    folder = tmp_path / "scripted-baselines"
    found = cli("compare", folder, "--by", "condition", "--design", "paired", "--take-off", "0.55")
    assert found.returncode == 0, found.stderr
    assert "2 paired seeds cannot reach p < 0.05" in " ".join(found.stdout.split()) and "0.55" in found.stdout
    assert (folder / "comparison" / "pairs.csv").is_file()
    assert "Took off, by threshold" in found.stdout and (folder / "comparison" / "take-off.csv").is_file()
    for wrong in (["--design", "x"], ["--take-off", "4"]):
        refused = cli("compare", folder, "--by", "condition", *wrong)
        assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
    refused = cli("compare", folder, "--by", "colour")
    assert (refused.returncode, "no column 'colour'" in refused.stderr) == (2, True)
    assert "Traceback" not in refused.stderr


def test_power_from_a_stated_spread_and_its_mistakes() -> None:
    found = cli("power", "--spread", "1.5", "--effect", "3")
    assert found.returncode == 0, found.stderr
    assert "5 seeds reach a power of 0.8" in found.stdout
    paired = cli("power", "--spread", "1.5", "--effect", "3", "--design", "paired")
    assert "6 seeds reach a power of 0.8" in paired.stdout and "6 paired seeds are the fewest" in paired.stdout
    for wrong in (
        ["power"],
        ["power", "--spread", "0.5"],
        ["power", "--from", "nowhere"],
        ["power", "--spread", "2", "--design", "x"],
    ):
        refused = cli(*wrong)
        assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)


def spent(folder: Path) -> float:
    return float(agentsim.load(folder).runs["cost_usd"].sum())


async def test_a_budget_is_kept_over_sittings_and_raised_to_go_on(tmp_path: Path) -> None:
    async with FaultServer([Answer(words, usage={"completion_tokens": 400})]) as server:
        text = SCENARIO.format(url=server.openai_url, concurrency=4)
        path = tmp_path / "s.yaml"
        path.write_text(text.replace("api_key_env", "prices: {model: {input: 10, output: 10}}, api_key_env"))
        code, output = await played("run", path, "--results", tmp_path, "--max-cost", "0.08")
        assert code == 1 and "the budget of $0.08 is reached" in " ".join(output.split())
        assert 0 < spent(tmp_path / "small") <= 0.08
        n_before = len(server.requests)
        code, output = await played("run", path, "--results", tmp_path, "--max-cost", "0.08")
        assert code == 1 and len(server.requests) == n_before  # nothing more was sent
        code, output = await played("run", path, "--results", tmp_path, "--max-cost", "50")
        assert code == 0, output
        assert len(server.requests) == len(said(read_log(tmp_path / "small" / "model--seed-0").records))


async def test_a_budget_without_a_price_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)]) as server:
        path = scenario_file(tmp_path, server)
        code, output = await played("run", path, "--results", tmp_path, "--max-cost", "1")
        assert code == 2 and "needs the price of fake/model" in output and server.requests == []


async def test_status_says_how_far_and_why_it_stopped(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)] * 20 + [Status(401)]) as server:
        path = scenario_file(tmp_path, server)
        code, _ = await played("run", path, "--results", tmp_path, "--seeds", "0-1")
    assert code == 1
    told = cli("status", tmp_path / "small")
    text = " ".join(told.stdout.split())
    assert told.returncode == 0 and "stopped:" in text and "/2" in text and KEY not in told.stdout
    plan = cli("plan", path)
    assert plan.returncode == 0 and "unpriced" in plan.stdout
