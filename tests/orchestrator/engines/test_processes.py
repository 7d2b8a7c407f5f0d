"""Workers in processes of their own, some of them killed, against a server that keeps its own bill."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

import agentsim
from agentsim.log.crew import WORKERS
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.orchestrator.engines.wire import read_address
from agentsim.orchestrator.engines.worker import work_async
from agentsim.providers.base import Message, Prompt, Sampling
from agentsim.providers.bounds import bound_of
from agentsim.providers.ledger import read_ledger
from agentsim.testing.faultserver import Answer, Behaviour, FaultServer, Request, Status
from tests.processes import Started, start

KILLS = 6
MOST = 6
USD = 10e-6
"""What the server bills for one answer: 7 tokens and 3, at a dollar a million."""
A_CALL_USD = 0.006
"""More than one call can cost."""


async def test_killed_workers_and_brokers_lose_no_answer_and_no_dollar_and_break_no_limit(tmp_path: Path) -> None:
    draw, most_in_flight = Random(1), 0

    def answer(request: Request) -> Answer:
        nonlocal most_in_flight
        most_in_flight = max(most_in_flight, request.n_in_flight)
        return Answer("My strategy will be to give half. Answer: 4")

    async with FaultServer(answer, latency=lambda: 0.02) as server:
        account = {"base_url": server.openai_url, "api_key_env": None, "concurrency": MOST}
        scenario = {
            "name": "shared",
            "agents": 4,
            "generations": 3,
            "game": {"kind": "donor", "rounds": 4},
            "players": {"model": "mine/any", "max_tokens": 20},
            "seeds": "0-7",
            "providers": {"mine": account | {"prices": {"any": {"input": 1, "output": 1}}}},
        }
        (tmp_path / "scenario.yaml").write_text(json.dumps(scenario))
        folder = tmp_path / "results" / "shared"

        async def worker() -> Started:
            command = (
                "run",
                str(tmp_path / "scenario.yaml"),
                "--claim",
                "--quiet",
                "--max-cost",
                "2",
                "--results",
                str(folder.parent),
            )
            return await start(*command, environ={**os.environ, "HOME": str(tmp_path)})

        workers = [await worker() for _ in range(3)]
        for n_killed in range(KILLS):
            await server.received(len(server.requests) + draw.randrange(5, 40))
            host = read_address(folder / WORKERS)
            alive = [worker for worker in workers if worker.returncode is None]
            hosts = [worker for worker in alive if host is not None and worker.pid == host.pid]
            victim = hosts[0] if hosts and n_killed % 2 else draw.choice(alive)
            victim.kill()
            await victim.wait()
            workers.append(await worker())
        said = [(await worker.communicate())[0].decode() for worker in workers]
        n_billed = len(server.requests)

    assert [worker.returncode for worker in workers].count(-9) == KILLS
    assert all(worker.returncode in (0, -9) for worker in workers), said
    runs = [
        [record for record in read_log(path.parent).records if isinstance(record, Reply)]
        for path in folder.glob("*/log.jsonl")
    ]
    assert len(runs) == 8 and [path.name for path in folder.parent.glob("shared*")] == ["shared"]
    assert all(len({(reply.key, reply.attempt) for reply in run}) == len(run) for run in runs)
    ledger, n_replies = read_ledger(folder), sum(map(len, runs))
    assert ledger is not None
    assert n_replies <= ledger.n_answered <= n_billed <= ledger.n_answered + len(ledger.open)
    assert n_billed - n_replies <= KILLS * MOST
    assert n_billed * USD <= ledger.spent_usd + 1e-9
    assert most_in_flight <= MOST + KILLS * MOST  # the server goes on for a moment with what killed workers asked


@pytest.mark.parametrize(("limits_per", "most"), [("server", 3), ("account", 4)])
async def test_several_servers_are_sent_no_more_by_all_workers_than_by_one(
    tmp_path: Path, limits_per: str, most: int
) -> None:
    most_seen = most_together = 0

    def answering(number: int) -> Callable[[Request], Behaviour]:
        def answer(request: Request) -> Behaviour:
            nonlocal most_seen, most_together
            most_seen = max(most_seen, request.n_in_flight)
            most_together = max(most_together, sum(server.n_in_flight for server in servers))
            return Status(503) if request.n_in_flight == 2 and number else Answer("Give half. Answer: 4")

        return answer

    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(FaultServer(answering(number), latency=lambda: 0.02)) for number in (0, 1)
        ]
        account = {"base_url": [server.openai_url for server in servers], "api_key_env": None}
        limits = {"limits_per": limits_per, "concurrency": most}
        study = agentsim.scenario_from(
            {
                "name": "shared",
                "agents": 4,
                "generations": 2,
                "game": {"kind": "donor", "rounds": 4},
                "players": {"model": "mine/any", "max_tokens": 20},
                "seeds": "0-3",
                "budget": 1.0,
                "providers": {"mine": {**account, **limits, "prices": {"any": {"input": 1, "output": 1}}}},
            }
        )
        results = await asyncio.gather(*(work_async(study, results=tmp_path) for _ in range(3)))
        n_billed = sum(len(server.requests) for server in servers)
    assert all(result.is_complete for result in results)
    ledger = read_ledger(tmp_path / "shared")
    assert ledger is not None and not ledger.open
    n_replies = sum(run.n_replies for run in results[0].runs)
    assert n_replies == ledger.n_answered < n_billed  # those that failed are not billed
    assert 1 < most_seen <= most
    assert (most_together > most) == (limits_per == "server")  # the limit of each, or of both together


async def test_a_cap_that_binds_holds_over_all_workers_and_the_study_goes_on_under_a_higher_one(tmp_path: Path) -> None:
    usd = most_usd = 0.0

    def answer(request: Request) -> Answer:
        nonlocal usd, most_usd
        messages = tuple(Message(**message) for message in request.body["messages"])
        n_in, n_out = bound_of(Prompt(model="any", messages=messages, sampling=Sampling(max_tokens=20)))
        usd, most_usd = usd + (n_in + 20) / 1e6, max(most_usd, (n_in + 20) / 1e6)
        return Answer("Give half. Answer: 4", usage={"prompt_tokens": n_in, "completion_tokens": n_out})

    async with FaultServer(answer, latency=lambda: 0.01) as server:
        account = {"base_url": server.openai_url, "api_key_env": None, "concurrency": 8}
        study = {
            "name": "capped",
            "agents": 4,
            "generations": 1,
            "game": {"kind": "donor", "rounds": 4},
            "players": {"model": "mine/any", "max_tokens": 20},
            "seeds": "0-2",
            "providers": {"mine": account | {"prices": {"any": {"input": 1, "output": 1}}}},
        }
        for cap in (0.04, 0.06):
            asked = agentsim.scenario_from(study | {"budget": cap})
            results = await asyncio.gather(*(work_async(asked, results=tmp_path) for _ in range(3)))
            assert not any(result.is_complete for result in results)
            assert cap - A_CALL_USD < usd <= cap  # all of it is used, and no more
        asked = agentsim.scenario_from(study | {"budget": 10.0})
        results = await asyncio.gather(*(work_async(asked, results=tmp_path) for _ in range(3)))
    assert all(result.is_complete for result in results) and most_usd < A_CALL_USD
    ledger = read_ledger(tmp_path / "capped")
    assert ledger is not None and ledger.spent_usd == pytest.approx(usd)
    assert len(server.requests) == ledger.n_answered == sum(run.n_replies for run in results[0].runs)
