"""Settings of accounts, and what is opened from them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agentsim.errors import AuthError, ModelFileError, NotSent, ScenarioError
from agentsim.providers.account import open_account
from agentsim.providers.accounts import Accounts
from agentsim.providers.base import Message, Prompt, Sampling
from agentsim.providers.catalogue import Catalogue
from agentsim.providers.dialects.registry import built_in
from agentsim.providers.settings import AccountSettings, missing_key, resolve
from agentsim.testing.faultserver import Answer, FaultServer, Status

KEY = "sk-sentinel-4f9a1c7e2b8d6053"
PROMPT = Prompt(model="m", messages=(Message(role="user", content="How much?"),))


@pytest.mark.parametrize("name", built_in())
def test_built_in_accounts_need_no_settings(name: str) -> None:
    settings = resolve(name)
    assert settings == resolve(name, {})
    assert (settings.base_url is None) == (name == "local")


def test_the_users_settings_go_over_the_built_in_ones() -> None:
    settings = resolve("openai", {"concurrency": 4, "requests_per_minute": 500, "timeout_s": 5})
    assert (settings.concurrency, settings.requests_per_minute, settings.timeout_s) == (4, 500, 5.0)
    assert (settings.base_url, settings.api_key_env) == ("https://api.openai.com/v1", "OPENAI_API_KEY")


def test_any_other_account_is_a_compatible_server_without_a_key() -> None:
    settings = resolve("ollama", {"base_url": "http://localhost:11434/v1"})
    assert (settings.dialect, settings.api_key_env) == ("openai", None)
    assert missing_key(settings, {}) is None


def test_an_unknown_account_is_told_how_to_describe_itself() -> None:
    with pytest.raises(ScenarioError, match=r"'opnai'; the built-in ones are openai.*base_url"):
        resolve("opnai")


@pytest.mark.parametrize(
    ("name", "overrides", "loc", "says"),
    [
        ("ollama", {"concurrency": 2}, (), "base_url is missing"),
        ("openai", {"concurrncy": 2}, ("concurrncy",), "not permitted"),
        ("openai", {"concurrency": 0}, ("concurrency",), "greater"),
        ("openai", {"concurrency": "4"}, ("concurrency",), "integer"),
        ("openai", {"requests_per_minute": 0}, ("requests_per_minute",), "greater"),
        ("openai", {"timeout_s": 0}, ("timeout_s",), "greater"),
        ("openai", {"timeout_s": float("inf")}, ("timeout_s",), "finite"),
        ("openai", {"max_wait_s": float("nan")}, ("max_wait_s",), "finite"),
        ("openai", {"attempts": 0}, ("attempts",), "greater"),
        ("openai", {"dialect": "cohere"}, ("dialect",), "openai"),
        ("openai", {"api_key_env": "sk-not a name"}, ("api_key_env",), "pattern"),
        ("openai", {"context": 4096}, (), "only local accounts have context"),
        ("local", {"base_url": "http://localhost"}, (), "a local account has no base_url"),
        ("local", {"context": 1}, ("context",), "greater"),
        *[
            ("ollama", {"base_url": url}, ("base_url",), "base_url")
            for url in (
                "",
                "localhost:11434",
                "ftp://h/v1",
                "http://",
                "http://h:99999",
                "http://h/v1?a=b",
                "http://a b/",
            )
        ],
    ],
)
def test_wrong_settings_are_refused_at_their_place(
    name: str, overrides: dict[str, Any], loc: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        resolve(name, overrides)
    (error,) = caught.value.errors()
    assert error["loc"] == loc
    assert says in error["msg"]


@pytest.mark.parametrize("url", [f"https://user:{KEY}@example.org/v1", f"https://{KEY}@example.org"])
def test_a_key_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    accounts = Catalogue({"mine": {"base_url": url}}, environ={})
    with pytest.raises(ScenarioError, match=r"providers\.mine\.base_url: base_url must not hold a user") as caught:
        accounts.check("mine/m")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": "  "}])
def test_a_missing_key_is_named_before_any_call(environ: dict[str, str]) -> None:
    assert missing_key(resolve("openai"), environ) == "OPENAI_API_KEY"
    with pytest.raises(AuthError, match="OPENAI_API_KEY"):
        Catalogue({}, environ=environ).check("openai/gpt-4o")
    with pytest.raises(AuthError, match="OPENAI_API_KEY"):
        open_account("openai", resolve("openai"), environ=environ)


def test_a_parameter_the_dialect_does_not_know_is_named_before_any_call() -> None:
    accounts = Catalogue({}, environ={"ANTHROPIC_API_KEY": KEY})
    accounts.check("anthropic/claude", Sampling(temperature=1.0))
    with pytest.raises(ScenarioError, match=r"players\.seed, players\.extra\.stream"):
        accounts.check("anthropic/claude", Sampling(seed=1, extra={"stream": True}))


def test_a_missing_local_model_is_named_before_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTSIM_CACHE", str(tmp_path))
    with pytest.raises(ModelFileError, match="agentsim models pull local/smollm2-135m"):
        Catalogue({}, environ={}).check("local/smollm2-135m")


async def test_an_account_asks_with_its_key_limits_and_retries() -> None:
    told: list[tuple[str, float]] = []
    async with FaultServer([Status(429, headers={"retry-after-ms": "1"}), Answer("4")]) as server:
        overrides = {"mine": {"base_url": server.openai_url, "api_key_env": "MY_KEY", "requests_per_minute": 6000}}
        catalogue = Catalogue(overrides, environ={"MY_KEY": KEY})
        catalogue.check("mine/m")
        accounts = Accounts(catalogue, on_retry=lambda *args: told.append(args))
        assert (await accounts.open("mine/m").complete(PROMPT)).text == "4"
        await accounts.aclose()
    assert [request.key for request in server.requests] == [KEY, KEY]
    assert [message.split(":")[0] for message, _ in told] == ["mine answered HTTP 429"]


async def test_models_of_an_account_share_one_provider() -> None:
    accounts = Accounts(Catalogue({"mine": {"base_url": "http://127.0.0.1:1"}}, environ={}))
    assert accounts.open("mine/a") is accounts.open("mine/b/c")
    await accounts.aclose()


@pytest.mark.model
async def test_local_models_have_a_provider_each(small_model: Path) -> None:
    accounts = Accounts(Catalogue({}, environ={}))
    first = accounts.open(f"local/{small_model}")
    assert first is accounts.open(f"local/{small_model}")
    assert first is not accounts.open("local/smollm2-135m")
    await accounts.aclose()


def test_a_described_account_holds_no_key() -> None:
    description = Catalogue({}, environ={"OPENAI_API_KEY": KEY}).describe("openai/gpt-4o")
    price = description.pop("price")
    assert price["source"] and AccountSettings.model_validate(description) == resolve("openai")
    assert KEY not in str(description)


def test_importing_providers_loads_no_sdk() -> None:
    heavy = "openai anthropic aiohttp httpx2 xllamacpp"
    code = f"import sys, agentsim.providers.accounts; print(*set({heavy.split()}) & sys.modules.keys())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert shown.stdout.strip() == ""


async def test_an_account_that_is_opened_once_the_study_stops_sends_nothing() -> None:
    accounts = Accounts(Catalogue({"fake": {"base_url": "http://127.0.0.1:9", "api_key_env": None}}, environ={}))
    accounts.drain()
    with pytest.raises(NotSent):
        await accounts.open("fake/model").complete(PROMPT)
    await accounts.aclose()
