"""Several real servers on loopback behind one account, asked by the official client."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import ValidationError

import agentsim
from agentsim.errors import BadRequest, ReplayMismatch, ScenarioError
from agentsim.experiments.plan import plan
from agentsim.providers.account import Account, open_account
from agentsim.providers.accounts import Accounts
from agentsim.providers.base import Message, Prompt
from agentsim.providers.catalogue import Catalogue
from agentsim.providers.settings import resolve
from agentsim.testing.faultserver import Answer, FaultServer, Hang, Request, Status
from agentsim.testing.weather import plausible

KEY = "sk-sentinel-4f9a1c7e2b8d6053"
PROMPT = Prompt(model="m", messages=(Message(role="user", content="How much?"),))
SMALL = {
    "name": "pooled",
    "agents": 4,
    "generations": 2,
    "seeds": [0],
    "game": {"kind": "donor", "rounds": 4},
    "players": {"model": "mine/m"},
}


def opened(*servers: FaultServer, notes: list[str] | None = None, **settings: object) -> Account:
    urls = [server.openai_url for server in servers]
    overrides = {"base_url": urls, "api_key_env": "MY_KEY", **settings}
    on_note = None if notes is None else notes.append
    return open_account("mine", resolve("mine", overrides), environ={"MY_KEY": KEY}, on_note=on_note)


async def asked(account: Account, n: int) -> Counter[str | None]:
    answers = await asyncio.gather(*(account.complete(PROMPT) for _ in range(n)))
    assert {answer.text for answer in answers} == {"ok"}
    return Counter(answer.server for answer in answers)


async def test_a_server_that_dies_with_calls_under_way_loses_none_and_is_taken_back() -> None:
    notes: list[str] = []
    is_hung = False

    def first(_: Request) -> Answer | Hang:
        return Hang() if is_hung else Answer()

    async with FaultServer(latency=lambda: 0.02) as other:
        async with FaultServer(first, latency=lambda: 0.02) as dying:
            account = opened(dying, other, notes=notes, concurrency=16, attempts=1)
            counts = await asked(account, 64)
            assert min(counts[dying.openai_url], counts[other.openai_url]) > 0
            is_hung, n_before = True, len(dying.requests)
            calls = asyncio.create_task(asked(account, 64))
            await dying.received(n_before + 1)
        assert await calls == {other.openai_url: 64}  # those under way at the dead server as well
        assert await asked(account, 64) == {other.openai_url: 64}
        assert len(notes) == 1 and f"{dying.openai_url} fails call after call and is left out" in notes[0]
        is_hung = False
        async with FaultServer(first, latency=lambda: 0.02, port=int(urlsplit(dying.url).port or 0)) as back:
            while not back.requests:
                await asked(account, 8)
            counts = await asked(account, 64)
            assert counts[back.openai_url] > 0 and len(notes) == 2 and "answers again" in notes[1]
        await account.aclose()


async def test_a_server_that_only_refuses_and_a_slow_one_are_asked_little() -> None:
    delay = iter(lambda: 0.5, None)
    async with (
        FaultServer([Status(429, headers={"retry-after": "5"})]) as refusing,
        FaultServer(latency=lambda: next(delay)) as slow,
        FaultServer(latency=lambda: 0.002) as quick,
    ):
        account = opened(refusing, slow, quick, concurrency=12, attempts=1)
        counts = await asked(account, 400)
        await account.aclose()
    assert set(counts) == {slow.openai_url, quick.openai_url}
    assert len(refusing.requests) <= 12
    assert counts[slow.openai_url] < 100


async def test_every_server_gets_the_key_and_no_other_host_does() -> None:
    async with FaultServer() as elsewhere:
        redirect = Status(307, headers={"location": f"{elsewhere.openai_url}/chat/completions"})
        async with FaultServer() as first, FaultServer() as second, FaultServer([redirect]) as third:
            account = opened(first, second)
            await asked(account, 20)
            await account.aclose()
            assert {request.key for server in (first, second) for request in server.requests} == {KEY}
            account = opened(third, first)
            with pytest.raises(BadRequest, match=rf"mine at {urlsplit(third.url).netloc} answered HTTP 307"):
                await asked(account, 2)
            await account.aclose()
    assert not elsewhere.requests


async def test_the_log_and_the_tables_say_which_server_answered(tmp_path: Path) -> None:
    answer = [Answer(plausible)]
    async with FaultServer(answer) as first, FaultServer(answer) as second:
        urls = [first.openai_url, second.openai_url]
        scenario = {**SMALL, "providers": {"mine": {"base_url": urls}}}
        result = await agentsim.run_async(agentsim.scenario_from(scenario), results=tmp_path)
        assert result.is_complete
        lines = [
            json.loads(line) for line in (result.folder / result.runs[0].run / "log.jsonl").read_text().splitlines()
        ]
        logged = Counter(line["completion"]["server"] for line in lines if line["type"] == "reply")
        assert set(logged) == set(urls)
        assert logged == Counter(agentsim.load(result.folder).replies["server"])
        assert logged[urls[0]] == len(first.requests) and logged[urls[1]] == len(second.requests)

        again = {**SMALL, "providers": {"mine": {"base_url": urls[::-1], "concurrency": 4, "limits_per": "server"}}}
        assert (await agentsim.run_async(agentsim.scenario_from(again), results=tmp_path)).folder == result.folder
        fewer = {**SMALL, "providers": {"mine": {"base_url": urls[0]}}}
        with pytest.raises(ReplayMismatch, match=f"base_url was '{', '.join(sorted(urls))}' and is '{urls[0]}'"):
            await agentsim.run_async(agentsim.scenario_from(fewer), results=tmp_path)

    one = {**SMALL, "name": "alone", "providers": {"mine": {"base_url": None}}}
    async with FaultServer(answer) as server:
        one["providers"] = {"mine": {"base_url": [server.openai_url]}}
        result = await agentsim.run_async(agentsim.scenario_from(one), results=tmp_path)
    assert set(agentsim.load(result.folder).replies["server"]) == {server.openai_url}
    assert '"server":' not in (result.folder / result.runs[0].run / "log.jsonl").read_text()


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        ([], "lists 0 addresses"),
        (["http://a/v1", "http://A/v1/"], "lists 'http://A/v1/' twice"),
        (["http://a/v1", "b:8000"], r"'b:8000' is not an address.*entry 2 of the list"),
        (["http://a/v1", 5], r"5 is not an address.*entry 2"),
        ([f"http://{KEY}@a/v1"], "must not hold a user or password"),
        (5, "5 is not an address"),
    ],
)
def test_a_wrong_list_of_addresses_is_refused_at_its_place(urls: object, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        resolve("mine", {"base_url": urls})
    assert [error["loc"] for error in caught.value.errors()] == [("base_url",)]
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**SMALL, "providers": {"mine": {"base_url": urls}}}))
    with pytest.raises(ScenarioError, match=says) as told:
        agentsim.load_scenario(path)
    assert "s.yaml:" in str(told.value) and KEY not in str(caught.value.errors()[0]["msg"])


def test_a_plan_counts_the_limits_of_each_server() -> None:
    def wall_s(**settings: object) -> float:
        urls = [f"http://127.0.0.1:{port}/v1" for port in range(1, 5)]
        account = {"base_url": urls, "requests_per_minute": 2, "concurrency": 1, **settings}
        (condition,) = plan(agentsim.scenario_from({**SMALL, "providers": {"mine": account}}))
        return condition.wall_s.high

    assert wall_s() == pytest.approx(4 * wall_s(limits_per="server"))


def test_the_price_is_known_if_it_is_the_same_at_every_server() -> None:
    known = {"base_url": ["https://api.openai.com/v1", "https://api.openai.com"]}
    mixed = {"base_url": ["https://api.openai.com/v1", "http://127.0.0.1:9/v1"]}
    accounts = Catalogue({"known": known, "mixed": mixed}, environ={})
    assert accounts.price("mixed/gpt-4o") is None
    assert accounts.price("known/gpt-4o") == Catalogue({"one": {"base_url": known["base_url"][0]}}, environ={}).price(
        "one/gpt-4o"
    )


async def test_models_of_an_account_share_its_servers() -> None:
    urls = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    accounts = Accounts(Catalogue({"mine": {"base_url": urls}}, environ={}))
    assert accounts.open("mine/a") is accounts.open("mine/b")
    await accounts.aclose()
