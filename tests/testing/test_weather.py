"""The fake server's weather: shares as told, limits enforced, and a whole society gets through it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import agentsim
from agentsim.errors import RateLimited, Unavailable
from agentsim.providers.dialects.anthropic import AnthropicProvider
from agentsim.providers.dialects.openai import OpenAIProvider
from agentsim.scenario.conditions import Scenario
from agentsim.testing.faultserver import Answer, Endless, FaultServer, Request, Status
from agentsim.testing.weather import Weather, lognormal
from tests.providers.limits.scripted import PROMPT

REQUEST = Request(path="/v1/chat/completions", headers={}, raw=b"{}")


def test_shares_are_as_told_and_the_same_seed_gives_the_same() -> None:
    one, two = (Weather(seed=4, refused=0.2, failed=0.1, reset=0.1, malformed=0.1) for _ in range(2))
    for _ in range(2000):
        one(REQUEST)
        two(REQUEST)
    assert one.counts == two.counts
    assert one.counts["refused"] / 2000 == pytest.approx(0.2, abs=0.03)
    assert one.counts["answered"] / 2000 == pytest.approx(0.5, abs=0.04)


def test_bursts_refuse_so_large_a_share_in_rows() -> None:
    weather = Weather(seed=4, bursts=0.3)
    met = [isinstance(weather(REQUEST), Status) for _ in range(8_000)]
    rows = "".join("r" if is_refused else " " for is_refused in met).split()
    assert sum(met) / len(met) == pytest.approx(0.3, abs=0.03)
    assert all(len(row) % 20 == 0 for row in rows[:-1]) and len(rows) > 100
    assert weather.counts["refused in a burst"] == sum(met)


def test_a_minute_holds_no_more_than_the_limit() -> None:
    now = 0.0
    weather = Weather(requests_per_minute=10, clock=lambda: now)
    for _ in range(15):
        weather(REQUEST)
    assert weather.counts == {"answered": 10, "over the limit": 5}
    now = 60.0
    weather(REQUEST)
    assert weather.counts["answered"] == 11


def test_tokens_and_requests_at_a_time_are_limited_too_and_the_headers_say_so() -> None:
    now = 0.0
    prompt = "x" * 360
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
    request = Request(path="/v1/chat/completions", headers={}, raw=body)
    a_call = len(body) // 4 + 5 // 4
    weather = Weather(
        tokens_per_minute=3 * a_call, requests_per_minute=100, text=lambda prompt: "hello", clock=lambda: now
    )
    for _ in range(3):
        answer = weather(request)
    assert isinstance(answer, Answer) and answer.headers["x-ratelimit-remaining-tokens"] == "0"
    assert answer.usage == {"prompt_tokens": len(body) // 4, "completion_tokens": 1, "total_tokens": a_call}
    now = 20.0
    refusal = weather(request)
    assert isinstance(refusal, Status) and refusal.headers["retry-after"] == "40"
    assert refusal.headers["x-ratelimit-reset-tokens"] == "40.000s"
    now = 60.0
    assert isinstance(weather(request), Answer)
    strict = Weather(concurrency=2)
    met = [strict(replace(request, n_in_flight=n)) for n in (1, 2, 3)]
    assert [type(behaviour) for behaviour in met] == [Answer, Answer, Status]
    anthropic = Weather(tokens_per_minute=1000)(replace(request, path="/v1/messages"))
    assert isinstance(anthropic, Answer) and anthropic.headers["anthropic-ratelimit-tokens-limit"] == "1000"


async def test_the_server_counts_requests_at_a_time() -> None:
    async with FaultServer(Weather(concurrency=3), latency=lambda: 2.0) as server:
        provider = OpenAIProvider(api_key="key", base_url=server.openai_url, timeout_s=50)
        outcomes = await asyncio.gather(*(provider.complete(PROMPT) for _ in range(8)), return_exceptions=True)
        await provider.aclose()
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 5


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_an_endless_body_is_cut_off_and_ends_nobodys_memory(dialect: str) -> None:
    async with FaultServer([Endless()]) as server:
        adapter = OpenAIProvider if dialect == "openai" else AnthropicProvider
        url = server.openai_url if dialect == "openai" else server.url
        provider = adapter(api_key="key", base_url=url, timeout_s=300)
        with pytest.raises(Unavailable, match="longer than"):
            await provider.complete(PROMPT)
        await provider.aclose()


async def test_what_is_odd_or_empty_is_logged_as_such(tmp_path: Path) -> None:
    weather = Weather(seed=2, odd=0.3, empty=0.15)
    async with FaultServer(weather) as server:
        result = await agentsim.run_async(society(server.openai_url), results=tmp_path)
    assert result.is_complete
    study = agentsim.load(result.folder)
    replies = study.replies
    assert weather.counts["odd"] and len(replies) == sum(weather.counts.values())
    assert {"any", "another-model"} == set(replies["model_answered"])
    assert replies["output_tokens"].isna().any()
    unread = replies["finish_reason"].isin(["length", "content_filter"]) | (replies["text"] == "")
    assert unread.sum() == weather.counts["empty"]
    assert study.runs["n_asked_again"].iloc[0] >= weather.counts["empty"] - study.runs["n_missed"].iloc[0]


def test_latencies_have_their_median_and_tail() -> None:
    draw = lognormal(1.5, seed=1)
    values = sorted(draw() for _ in range(20_000))
    assert values[10_000] == pytest.approx(1.5, rel=0.05) and values[19_800] == pytest.approx(12, rel=0.15)


def society(url: str) -> Scenario:
    return agentsim.scenario_from(
        {
            "name": "weather",
            "agents": 4,
            "generations": 2,
            "game": {"kind": "donor", "rounds": 4, "punishment": {"cost": 1, "effect": 2}},
            "players": {"model": "fake/any"},
            "providers": {"fake": {"base_url": url, "api_key_env": None}},
            "seeds": [0],
        }
    )


async def test_a_society_gets_through_all_of_it(tmp_path: Path) -> None:
    weather = Weather(seed=1, refused=0.1, failed=0.05, reset=0.05, malformed=0.05)
    async with FaultServer(weather, latency=lognormal(0.002)) as server:
        result = await agentsim.run_async(society(server.openai_url), results=tmp_path)
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
