"""The fake server's weather: shares as told, limits enforced, and a whole society gets through it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

import agentsim
from agentsim.testing.faultserver import FaultServer, Request
from agentsim.testing.weather import Weather, lognormal

REQUEST = Request(path="/v1/chat/completions", headers={}, raw=b"{}")


def test_shares_are_as_told_and_the_same_seed_gives_the_same() -> None:
    one, two = (Weather(seed=4, refused=0.2, failed=0.1, reset=0.1, malformed=0.1) for _ in range(2))
    for _ in range(2000):
        one(REQUEST)
        two(REQUEST)
    assert one.counts == two.counts
    assert one.counts["refused"] / 2000 == pytest.approx(0.2, abs=0.03)
    assert one.counts["answered"] / 2000 == pytest.approx(0.5, abs=0.04)


def test_a_minute_holds_no_more_than_the_limit() -> None:
    now = 0.0
    weather = Weather(requests_per_minute=10, clock=lambda: now)
    for _ in range(15):
        weather(REQUEST)
    assert weather.counts == {"answered": 10, "over the limit": 5}
    now = 60.0
    weather(REQUEST)
    assert weather.counts["answered"] == 11


def test_latencies_have_their_median_and_tail() -> None:
    draw = lognormal(1.5, seed=1)
    values = sorted(draw() for _ in range(20_000))
    assert values[10_000] == pytest.approx(1.5, rel=0.05) and values[19_800] == pytest.approx(12, rel=0.15)


async def test_a_society_gets_through_all_of_it(tmp_path: Path) -> None:
    weather = Weather(seed=1, refused=0.1, failed=0.05, reset=0.05, malformed=0.05)
    async with FaultServer(weather, latency=lognormal(0.002)) as server:
        scenario = agentsim.scenario_from(
            {
                "name": "weather",
                "agents": 4,
                "generations": 2,
                "game": {"kind": "donor", "rounds": 4, "punishment": {"cost": 1, "effect": 2}},
                "players": {"model": "fake/any"},
                "providers": {"fake": {"base_url": server.openai_url, "api_key_env": None}},
                "seeds": [0],
            }
        )
        result = await agentsim.run_async(scenario, results=tmp_path)
    assert result.is_complete
    study = agentsim.load(result.folder)
    assert study.runs["n_missed"].iloc[0] == 0  # no fault became a behaviour
    assert sum(weather.counts.values()) > weather.counts["answered"] == len(study.replies)


async def test_the_command_serves_and_says_what_it_did() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agentsim.testing", "--refused", "1", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    first = (await process.stdout.readline()).decode()
    port = int(first.split("http://127.0.0.1:")[1].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
    assert b" 429 " in await reader.readline()
    writer.close()
    process.send_signal(signal.SIGINT)
    rest = (await process.stdout.read()).decode()
    assert "refused: 1" in rest
    await process.wait()
