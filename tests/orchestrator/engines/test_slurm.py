"""Workers as jobs: of submitit's local executor everywhere, and of a real SLURM where its daemons are installed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

import agentsim
from agentsim.errors import ScenarioError
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.orchestrator.engines.known import engine
from agentsim.testing.faultserver import FaultServer
from agentsim.testing.weather import Weather
from tests.commands import run_command
from tests.slurm import cluster, is_installed

SCENARIO = """\
name: {name}
agents: 4
generations: 2
game: {{kind: donor, rounds: 4}}
players: {{model: mine/any, max_tokens: 300}}
seeds: 0-2
providers:
  mine: {{base_url: "{url}", api_key_env: null, gives_up_early: false}}
"""


async def test_jobs_on_this_machine_play_a_study_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "any.yaml"
    file.write_text("name: any\nagents: 4\ngenerations: 2\nplayers: {model: scripted/discriminator}\nseeds: 0-2\n")
    order = [
        "run",
        str(file),
        "--results",
        str(tmp_path),
        "--on",
        "slurm",
        "--job",
        "cluster=local",
        "--workers",
        "2",
        "--pull",
    ]
    assert "slurm: 2 workers submitted" in await _agentsim({}, *order, "--wait")
    study = agentsim.load(tmp_path / "any")
    assert (study.runs["status"] == "complete").all() and len(study.runs) == 3
    assert "Every run has ended already; no worker was begun." in await _agentsim({}, *order)


def test_what_is_wrong_is_said_before_anything_is_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScenarioError, match=r"--on slrum: 'slrum' is no engine, did you mean 'slurm'\?"):
        engine("slrum")
    with pytest.raises(ScenarioError, match=r"--job partion=gpu: partion: .*did you mean 'partition'"):
        engine("slurm", settings=["partion=gpu"])
    with pytest.raises(ScenarioError, match="2 minutes leave nothing to play in beside drain: 100 seconds"):
        engine("slurm", settings=["time=2", "drain=100"])
    with pytest.raises(
        ScenarioError, match=r"--job gpus: is not a setting; write it as key.path=value, as in time=240"
    ):
        engine("slurm", settings=["gpus"])
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "any.yaml"
    file.write_text("players: {model: scripted/all-give}\nseeds: [0]\nname: any\n")
    done = run_command("run", file, "--results", tmp_path / "r", "--on", "slurm")
    assert done.returncode == 2 and "there is no SLURM on this machine (no `sbatch`)" in done.stderr


def test_settings_of_the_users_own_hold_and_the_command_line_changes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.yaml"
    monkeypatch.setenv("AGENTSIM_CONFIG", str(own))
    own.write_text("engines: {slurm: {partition: gpu, time: 240, options: {qos: low}}}\n")
    assert engine("slurm", settings=["time=60"]).model_dump(exclude_defaults=True) == {
        "partition": "gpu",
        "options": {"qos": "low"},
    }
    own.write_text("engines: {slurm: {time: soon}}\n")
    with pytest.raises(ScenarioError, match=r"own.yaml:1:25: time: "):
        engine("slurm")
    own.write_text("engine: {}\n")
    with pytest.raises(ScenarioError, match="only `providers:` and `engines:` are"):
        engine("slurm")


@pytest.mark.skipif(not is_installed(), reason="SLURM is not installed; CI installs it")
async def test_a_real_cluster_plays_a_study_through_walltimes_and_kills(tmp_path: Path) -> None:
    """A job drains before its walltime and queues again; another waits for its model until SLURM kills it."""
    is_hung = False
    with cluster() as environ:
        async with (
            FaultServer(Weather(), latency=lambda: 4.0) as one,
            FaultServer(Weather(), latency=lambda: 600.0 if is_hung else 1.0) as other,
        ):
            for name, server in (("drained", one), ("killed", other)):
                content = SCENARIO.format(name=name, url=server.openai_url)
                (tmp_path / f"{name}.yaml").write_text(content)
            order = ["--results", str(tmp_path), "--on", "slurm", "--job", "time=2"]
            drained = asyncio.create_task(
                _agentsim(environ, "run", str(tmp_path / "drained.yaml"), *order, "--job", "drain=85", "--wait")
            )
            killed = ["run", str(tmp_path / "killed.yaml"), *order, "--job", "drain=5"]
            told = await _agentsim(environ, *killed)
            assert "slurm: 1 workers submitted" in told and "to end it: scancel" in told
            job = told.partition("scancel ")[2].split()[0]
            await other.received(20)
            is_hung = True
            await _told(environ, "scontrol", "update", f"JobId={job}", "TimeLimit=1")
            await _ended(environ, job)
            is_hung = False
            assert "command again to continue" in await _agentsim(environ, "status", str(tmp_path / "killed"))
            await _agentsim(environ, *killed, "--wait")
            await drained
            said = [path.read_text() for path in (tmp_path / "drained" / ".workers" / "slurm").glob("*.err")]
            assert len(said) == 1 and "its worker's time was up" in said[0]  # one job, which began twice
            for name, server in (("drained", one), ("killed", other)):
                study = agentsim.load(tmp_path / name)
                assert (study.runs["status"] == "complete").all()
                records = [record for run in study.runs["run"] for record in read_log(tmp_path / name / run).records]
                n_answered = sum(isinstance(record, Reply) for record in records)
                # What was under way when the job was killed is asked again: in each run at most one of each agent.
                n_again = 0 if name == "drained" else 3 * 4
                assert n_answered <= len(server.requests) <= n_answered + n_again


async def _ended(environ: dict[str, str], job: str) -> None:
    """Wait until a job has ended, or waits to begin again."""
    squeue = ("squeue", "-h", "--states=all", f"--jobs={job}", "-o", "%T")
    while "RUNNING" in await _told(environ, *squeue):  # noqa: ASYNC110 - SLURM tells nobody
        await asyncio.sleep(1)


async def _agentsim(environ: dict[str, str], *arguments: str) -> str:
    return await _told(environ, sys.executable, "-m", "agentsim", *arguments)


async def _told(environ: dict[str, str], *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode()
