"""Workers as actors: of a Ray on this machine, and of a cluster of two nodes, one of which dies.

Ray is large, so it is not among what developers install; without it these tests are skipped. To run them:
`pip install 'agentsim-lab[ray]'`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import agentsim
from agentsim.errors import AgentsimError, ScenarioError
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.orchestrator.engines.known import engine
from agentsim.orchestrator.engines.orders import Orders
from agentsim.orchestrator.engines.ray import RayCluster, check_folder
from agentsim.testing.faultserver import Answer, FaultServer, Request

HAS_RAY = find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'agentsim-lab[ray]'")
MOST = 6
RUNS = 6


def test_settings_are_checked_and_said_to_end_with_the_command_or_not() -> None:
    assert engine("ray").ends_with_us
    there = engine("ray", settings=["address=auto", "gpus=1", "env=[MY_KEY]", "resources.fast=1"])
    assert isinstance(there, RayCluster) and not there.ends_with_us
    assert (there.gpus, there.env, there.resources) == (1, ("MY_KEY",), {"fast": 1})
    assert there.how_to_end(Path("/r/any")) == "touch /r/any/.workers/ray/end"
    with pytest.raises(ScenarioError, match=r"--job gpu=1: gpu: .*did you mean 'gpus'"):
        engine("ray", settings=["gpu=1"])


def test_a_variable_that_is_not_set_is_said_before_ray_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    orders = Orders(tmp_path / "any.yaml", tmp_path)
    with pytest.raises(ScenarioError, match="MY_KEY is not set in this environment"):
        RayCluster(env=("MY_KEY",)).submit(orders, tmp_path / "any", workers=1)


@pytest.mark.parametrize("other", [None, "another folder's"])
def test_a_node_with_another_folder_at_the_same_path_plays_nothing(other: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "any" / ".workers" / "ray"
    folder.mkdir(parents=True)
    if other is not None:
        (folder / "mark").write_text(other)
    with pytest.raises(AgentsimError, match=f"the node 10.0.0.7 does not have the study's folder {tmp_path / 'any'}: "):
        check_folder(folder, "this folder's", node="10.0.0.7")


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_user_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"pip install 'agentsim-lab\[ray\]'"):
        RayCluster().submit(Orders(tmp_path / "any.yaml", tmp_path), tmp_path / "any", workers=1)


@needs_ray
@pytest.mark.parametrize(
    ("address", "kind", "why"),
    [
        ("127.0.0.1:1", AgentsimError, r"there is no Ray at 127\.0\.0\.1:1 \(.*refused\)"),
        ("ray://head:10001", ScenarioError, "write auto, on a machine of the cluster, or host:port of its head"),
        ("local", ScenarioError, "leave the address out"),
    ],
)
def test_an_address_without_a_cluster_is_said_at_once(
    address: str, kind: type[Exception], why: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=why):
        RayCluster(address=address).workers(tmp_path)


@needs_ray
async def test_ray_on_this_machine_plays_a_study_and_ends_with_the_command(tmp_path: Path) -> None:
    file = tmp_path / "any.yaml"
    file.write_text("name: any\nagents: 4\ngenerations: 2\nplayers: {model: scripted/discriminator}\nseeds: 0-2\n")
    order = ["run", str(file), "--results", str(tmp_path), "--on", "ray", "--workers", "2"]
    told = await _agentsim({}, *order)
    assert "ray: 2 workers submitted (worker-1, worker-2)" in told
    study = agentsim.load(tmp_path / "any")
    assert (study.runs["status"] == "complete").all() and len(study.runs) == 3
    told = await _agentsim({}, *order, "--set", "name=other", "--job", "gpus=512")
    assert "no node of this Ray can hold a worker that needs CPU 1, GPU 512" in told


@needs_ray
async def test_a_node_that_dies_loses_and_doubles_nothing(tmp_path: Path) -> None:
    most_in_flight, keys = 0, set()

    def answer(request: Request) -> Answer:
        nonlocal most_in_flight
        most_in_flight = max(most_in_flight, request.n_in_flight)
        keys.add(dict(request.headers).get("authorization"))
        return Answer("My strategy will be to give half. Answer: 4")

    environ = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64, "RAY_USAGE_STATS_ENABLED": "0"}
    place = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # paths of sockets are short
    nodes = await _begun({**environ, "RAY_TMPDIR": place}, "-m", "tests.ray_nodes")
    assert nodes.stdin is not None and nodes.stdout is not None
    address = (await _line(nodes.stdout, "at ")).removeprefix("at ")
    async with FaultServer(answer, latency=lambda: 0.2) as server:
        account = {"base_url": server.openai_url, "api_key_env": "MY_KEY", "concurrency": MOST}
        scenario = {
            "name": "shared",
            "agents": 4,
            "generations": 3,
            "game": {"kind": "donor", "rounds": 4},
            "players": {"model": "mine/any", "max_tokens": 20},
            "seeds": f"0-{RUNS - 1}",
            "providers": {"mine": account},
        }
        (tmp_path / "shared.yaml").write_text(json.dumps(scenario))
        order = ["run", str(tmp_path / "shared.yaml"), "--results", str(tmp_path), "--on", "ray", "--workers", "2"]
        order += ["--job", f"address={address}", "--job", "env=[MY_KEY]"]
        mine = {**environ, "MY_KEY": "sk-of-the-submitting-process"}
        told = await _agentsim(mine, *order)
        assert "ray: 2 workers submitted (worker-1, worker-2)" in told and "to end it: touch" in told
        await server.received(60)
        nodes.stdin.write(b"kill\nadd\n")
        for _ in range(2):
            await _line(nodes.stdout, "done")
        told = await _agentsim(mine, *order, "--wait")
        assert "its workers are there already" in told
        n_asked = len(server.requests)
    nodes.stdin.close()
    await nodes.wait()

    folder = tmp_path / "shared"
    study = agentsim.load(folder)
    assert (study.runs["status"] == "complete").all() and len(study.runs) == RUNS
    runs = [
        [record for record in read_log(folder / run).records if isinstance(record, Reply)] for run in study.runs["run"]
    ]
    assert all(len({(reply.key, reply.attempt) for reply in run}) == len(run) for run in runs)
    n_stored = sum(map(len, runs))
    assert n_stored <= n_asked <= n_stored + MOST  # what the dead node had asked is asked again
    assert most_in_flight <= 2 * MOST  # the server goes on for a moment with that
    begun = [path.read_text().count("worker begun") for path in sorted((folder / ".workers" / "ray").glob("*.log"))]
    assert sorted(begun) == [1, 2]  # the one on the dead node began again elsewhere
    assert keys == {"Bearer sk-of-the-submitting-process"}
    assert not _containing(tmp_path, b"sk-of-the-sub") and not _containing(Path(place), b"sk-of-the-sub")
    shutil.rmtree(place)


def _containing(folder: Path, text: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


async def _line(lines: asyncio.StreamReader, beginning: str) -> str:
    """Return the next line that begins so; Ray prints others."""
    while line := (await lines.readline()).decode():
        if line.startswith(beginning):
            return line.strip()
    raise AssertionError("the cluster has ended")


async def _begun(environ: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**os.environ, **environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _agentsim(environ: dict[str, str], *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agentsim",
        *arguments,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode()
