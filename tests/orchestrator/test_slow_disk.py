"""A disk that takes its time: the event loop does not wait for it, and no more is unstored than calls are in flight."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from random import Random

import pytest

import agentsim
from agentsim.errors import NotWritten
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.log.writing import RunLog
from agentsim.orchestrator.observer import Observer
from agentsim.providers.account import Account
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.settings import ProviderSettings
from agentsim.testing import FunctionProvider
from agentsim.testing.virtual import virtually
from agentsim.testing.weather import plausible
from tests.log.test_log import STARTED, reply
from tests.orchestrator.test_study import Fake, facts, log_of, play, scenario

LATENCY_S = 0.02
WIDE = {"agents": 24, "generations": 1, "game": {"kind": "donor", "rounds": 4}, "seeds": [0, 1, 2]}
IN_FLIGHT = 16


class Watch(Observer):
    """Counts the replies that may be used."""

    n_stored = 0

    def reply(self, run: str, reply: Reply, *, cost_usd: float | None, is_replayed: bool) -> None:
        self.n_stored += 1


class Slow(FunctionProvider):
    """Answers after a while; notes when, and how many answers were not stored then."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(self.answered)
        self.watch = watch
        self.draw = Random(1)
        self.times: list[float] = []
        self.most_unstored = 0

    async def answered(self, prompt: Prompt) -> Completion:
        latency_s = self.draw.uniform(0.5, 1.5) * LATENCY_S
        await asyncio.sleep(latency_s)
        self.times.append(asyncio.get_running_loop().time())
        self.most_unstored = max(self.most_unstored, len(self.times) - self.watch.n_stored)
        text = plausible(prompt.messages[-1].content)
        return Completion(text=text, model="m", finish_reason="stop", latency_s=latency_s)


@pytest.mark.parametrize("sync_s", [0.0, 0.005, 0.01, 0.03])
def test_replies_are_stored_as_fast_as_they_come_and_no_more_are_unstored_than_calls_in_flight(
    tmp_path: Path, sync_s: float
) -> None:
    watch = Watch()
    slow = Slow(watch)
    settings = ProviderSettings(base_url="http://127.0.0.1:9/v1", concurrency=IN_FLIGHT)

    async def main() -> bool:
        account = Account("fake", settings, slow)
        result = await agentsim.run_async(scenario(**WIDE), results=tmp_path, provider=account, observer=watch)
        return result.is_complete

    assert virtually(main(), thread_s=sync_s)
    assert slow.most_unstored <= IN_FLIGHT
    middle = slow.times[IN_FLIGHT * 2 : -IN_FLIGHT * 4]  # while all places were taken
    a_second = (len(middle) - 1) / (middle[-1] - middle[0])
    assert a_second >= 0.9 * IN_FLIGHT / (LATENCY_S + sync_s)


def test_no_sync_of_a_log_is_made_on_the_event_loops_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, real = list[threading.Thread](), os.fdatasync

    def sync(file: int) -> None:
        threads.append(threading.current_thread())
        real(file)

    monkeypatch.setattr(os, "fdatasync", sync)
    assert play(tmp_path, Fake(), seeds=[0, 1]).is_complete
    assert threads and threading.main_thread() not in threads


def test_lines_that_come_together_share_a_sync_and_are_told_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_syncs, real, told = 0, os.fdatasync, list[int]()

    def sync(file: int) -> None:
        nonlocal n_syncs
        n_syncs += 1
        real(file)

    async def store(log: RunLog, number: int, *, after_s: float) -> None:
        await asyncio.sleep(after_s)
        log.append(reply(f"{number}"), sync=False)
        await log.synced()
        told.append(number)

    async def main() -> None:
        with RunLog(tmp_path) as log:
            log.append(STARTED, sync=False)
            await asyncio.gather(*(store(log, number, after_s=number // 10) for number in range(100)))

    monkeypatch.setattr(os, "fdatasync", sync)
    virtually(main(), thread_s=2.5)  # syncs overlap
    assert n_syncs == 10
    stored = [
        record.completion.text for record in read_log(tmp_path, is_judged=False).records if isinstance(record, Reply)
    ]
    assert stored == [f"{number}" for number in told] and sorted(told) == list(range(100))


def test_a_sync_that_fails_is_told_to_all_who_waited_for_it_and_nothing_is_written_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(file: int) -> None:
        raise OSError(5, "Input/output error")

    async def main() -> list[object]:
        log = RunLog(tmp_path)
        for record in (STARTED, reply("a"), reply("b")):
            log.append(record, sync=False)
        told = await asyncio.gather(*(log.synced() for _ in range(3)), return_exceptions=True)
        before = log.path.stat().st_size
        with pytest.raises(NotWritten, match="Input/output error"):
            log.append(reply("c"), sync=False)
        assert log.path.stat().st_size == before
        log.close()
        return list(told)

    monkeypatch.setattr(os, "fdatasync", sync)
    assert [type(outcome) for outcome in virtually(main())] == [NotWritten] * 3


def test_a_study_on_a_slow_disk_has_the_facts_of_one_on_a_fast_disk(tmp_path: Path) -> None:
    async def main(folder: Path) -> agentsim.StudyResult:
        return await agentsim.run_async(scenario(), results=folder, provider=Fake())

    fast, slow = (virtually(main(tmp_path / str(s)), thread_s=s) for s in (0.0, 0.5))
    assert fast.is_complete and slow.is_complete
    assert facts(log_of(fast)) == facts(log_of(slow))
    assert agentsim.replay(slow.folder)[0].is_exact
