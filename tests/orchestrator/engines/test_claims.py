"""Any number of workers play one study: no run twice, none left, whatever happens to a worker."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

import agentsim
from agentsim.core.facts import Event, GenerationEnded
from agentsim.errors import LogError, LogLocked, ScenarioError
from agentsim.log.crew import WORKERS, Crew, alone
from agentsim.log.file_system import Mount, check_locks, mount_of
from agentsim.log.reading import read_log
from agentsim.log.stopped import stop_reasons
from agentsim.log.writing import RunLog
from agentsim.orchestrator.engines.worker import work, work_async
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.stop import DRAINED
from agentsim.providers.base import Completion, Prompt
from tests.orchestrator.test_study import Fake, facts, play, scenario
from tests.processes import FORKS

SEEDS = {"seeds": "0-5"}


class Watching(Observer):
    """Notes who played what."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def run_opened(self, run: str, *, n_requests: int, generations: int) -> None:
        self.opened.append(run)


class Slow(Fake):
    """Lets others run between its answers."""

    async def answered(self, prompt: Prompt) -> Completion:
        await asyncio.sleep(0.002)
        return await super().answered(prompt)


class VerySlow(Fake):
    """Has not played a run in the time that another needs for all of them."""

    async def answered(self, prompt: Prompt) -> Completion:
        await asyncio.sleep(0.5)
        return await super().answered(prompt)


async def test_workers_share_a_study_and_play_no_run_twice(tmp_path: Path) -> None:
    watching = [Watching() for _ in range(3)]
    results = await asyncio.gather(
        *(work_async(scenario(**SEEDS), results=tmp_path, provider=Slow(), observer=one) for one in watching)
    )
    played = [run for one in watching for run in one.opened]
    assert sorted(played) == [f"model--seed-{seed}" for seed in range(6)]
    assert all(one.opened for one in watching)
    assert all(result.is_complete and result.folder == tmp_path / "small" for result in results)
    assert sum(result.is_last for result in results) == 1
    alone = play(tmp_path / "alone", Fake(), **SEEDS)
    for run in played:
        assert facts(read_log(alone.folder / run).records) == facts(read_log(tmp_path / "small" / run).records)


class Dying(Observer):
    def event(self, run: str, event: Event, *, is_replayed: bool) -> None:
        if isinstance(event, GenerationEnded):
            os.kill(os.getpid(), signal.SIGKILL)


def died(results: Path) -> None:
    work(scenario(seeds="0-1"), results=results, provider=Slow(), observer=Dying())


async def test_what_a_killed_worker_leaves_is_taken_over_by_one_that_waits(tmp_path: Path) -> None:
    worker = FORKS.Process(target=died, args=(tmp_path,))
    worker.start()
    while not (tmp_path / "small" / "model--seed-0" / "log.jsonl").exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    result = await work_async(scenario(seeds="0-1"), results=tmp_path, provider=Slow())
    await asyncio.to_thread(worker.join)
    assert worker.exitcode == -signal.SIGKILL
    assert result.is_complete and len(result.runs) == 2


async def test_a_run_that_one_worker_had_to_stop_is_paid_for_by_no_other(tmp_path: Path) -> None:
    def unreadable() -> Fake:
        return Fake(text=lambda prompt: "I had rather not say.")

    never = {"seeds": [0], "on_invalid": {"attempts": 1, "then": "pass", "stop_after": 3}}
    providers = [unreadable(), unreadable()]
    results = await asyncio.gather(
        *(work_async(scenario(**never), results=tmp_path, provider=provider) for provider in providers)
    )
    assert [result.runs[0].status for result in results] == ["stopped", "stopped"]
    assert min(provider.n_calls for provider in providers) == 0
    again = await work_async(scenario(**never), results=tmp_path, provider=(third := unreadable()))
    assert third.n_calls and not again.is_complete  # a new sitting tries it again


async def test_a_worker_near_its_walltime_leaves_its_runs_to_others(tmp_path: Path) -> None:
    hurried = asyncio.create_task(
        work_async(scenario(**SEEDS), results=tmp_path, provider=VerySlow(), ends_in_s=60, margin_s=59.8)
    )
    await asyncio.sleep(0.1)
    other = await work_async(scenario(**SEEDS), results=tmp_path, provider=Slow())
    result = await hurried
    assert result.is_drained and not result.is_interrupted
    assert other.is_complete and not stop_reasons(tmp_path / "small")


def test_a_worker_drains_when_it_is_told_to(tmp_path: Path) -> None:
    class Telling(Observer):
        def event(self, run: str, event: Event, *, is_replayed: bool) -> None:
            os.kill(os.getpid(), signal.SIGUSR1)

    result = work(scenario(), results=tmp_path, provider=Slow(), observer=Telling())
    assert result.is_drained and set(stop_reasons(result.folder).values()) == {DRAINED}
    assert work(scenario(), results=tmp_path, provider=Slow()).is_complete


async def test_a_process_that_does_not_claim_and_a_crew_keep_off_each_others_studies(tmp_path: Path) -> None:
    folder = play(tmp_path, Fake()).folder
    with (
        RunLog(folder / "model--seed-0"),
        pytest.raises(LogLocked, match=rf"written by process {os.getpid()} on .* begin it again with --claim"),
    ):
        await work_async(scenario(), results=tmp_path, provider=Fake())
    async with Crew(folder, {}):
        with pytest.raises(LogLocked, match="add --claim"):
            await agentsim.run_async(scenario(), results=tmp_path, provider=Fake())
    assert play(tmp_path, Fake()).is_complete


async def test_all_of_a_crew_have_the_same_limits(tmp_path: Path) -> None:
    one = {"budget": None, "providers": {"mine": {"requests_per_minute": 120}}}
    another = {"budget": None, "providers": {"yours": {"requests_per_minute": 7}}}
    async with Crew(tmp_path, one), Crew(tmp_path, another):
        for changed, what in (
            (one | {"budget": 5.0}, "budget is 5.0 here and not set for the processes"),
            (
                {"providers": {"mine": {"requests_per_minute": 240}}},
                "providers.mine.requests_per_minute is 240 here and 120",
            ),
            (
                {"providers": {"yours": {"requests_per_minute": 8}}},
                "providers.yours.requests_per_minute is 8 here and 7",
            ),
        ):
            with pytest.raises(ScenarioError, match=what):
                await Crew(tmp_path, changed).join()
    async with Crew(tmp_path, one | {"budget": 5.0}):
        pass  # once all have ended, limits may change


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ext4 /dev/sda1 rw", None),
        ("nfs4 host:/x rw,vers=4.2,local_lock=none", None),
        ("nfs host:/x rw,vers=3,nolock", "nfs, mounted with 'nolock'"),
        ("nfs host:/x rw,vers=3,local_lock=flock", "mounted with 'local_lock=flock'"),
        ("lustre 10.0.0.1@tcp:/x rw,flock", None),
        ("lustre 10.0.0.1@tcp:/x rw,localflock", "mounted with 'localflock'"),
        ("fuse.sshfs me@host:/x rw", "whether locks hold on the file system 'fuse.sshfs'"),
    ],
)
def test_locks_are_trusted_only_where_they_hold_for_every_process(tmp_path: Path, line: str, why: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 8:1 / / rw - ext2 /dev/sda1 rw\n36 22 0:3 / {tmp_path.parent}\\040b rw - ext3 x rw\n"
        f"35 22 0:4 / {tmp_path} rw,noatime - {line}\n"
    )
    mount = mount_of(tmp_path / "results" / "x", mounts=mounts)
    assert mount.kind == line.split()[0]
    assert why is None if mount.why_not is None else why is not None and why in mount.why_not


def test_where_a_second_process_gets_a_lock_that_is_held_nothing_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Mount("nfs4", frozenset({"rw"}))
    monkeypatch.setattr("agentsim.log.file_system.mount_of", lambda folder: shared)
    (path := tmp_path / "lock").touch()
    with pytest.raises(LogError, match="a second process could take a lock that was held"):
        check_locks(path)  # nobody holds it, as on a file system that forgets


def test_one_process_alone_makes_no_file_for_others(tmp_path: Path) -> None:
    assert not (play(tmp_path, Fake()).folder / WORKERS).exists()
    assert not list(tmp_path.glob(".*"))


async def test_two_processes_that_do_not_claim_cannot_break_a_limit_a_minute(tmp_path: Path) -> None:
    paced = scenario(
        providers={"fake": {"base_url": "http://127.0.0.1:9", "api_key_env": None, "requests_per_minute": 60}}
    )
    (tmp_path / "small").mkdir()
    with (
        alone(tmp_path / "small"),
        pytest.raises(LogLocked, match=r"another process, and limits a minute .* start both with --claim"),
    ):
        await agentsim.run_async(paced, results=tmp_path)
    with alone(tmp_path / "small"), pytest.raises(LogLocked, match="shares it with nobody"):
        await work_async(paced, results=tmp_path)
    async with Crew(tmp_path / "small", {}), Crew(tmp_path / "small", {}):
        with pytest.raises(LogLocked, match="add --claim"):
            await agentsim.run_async(paced, results=tmp_path)
