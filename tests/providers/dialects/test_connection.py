"""The way to a server: proxies, certificates, headers of the environment, and connections that cannot be made."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from agentsim.errors import AuthError, BadRequest, ScenarioError, Unavailable
from agentsim.providers.base import Prompt
from agentsim.providers.catalogue import Catalogue
from agentsim.providers.dialects.anthropic import AnthropicProvider
from agentsim.providers.dialects.connection import find_proxy, is_loopback, plain_address, tls_context
from agentsim.providers.dialects.openai import OpenAIProvider
from agentsim.testing.faultserver import FaultServer

KEY = "sk-sentinel-4f9a1c7e2b8d6053"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def failure(url: str, prompt: Prompt) -> Unavailable:
    adapter = OpenAIProvider(api_key=KEY, base_url=url, timeout_s=100, name="mine")
    with pytest.raises(Unavailable) as caught:
        await adapter.complete(prompt)
    await adapter.aclose()
    return caught.value


async def test_where_nobody_listens_is_said_and_cannot_be_billed(prompt: Prompt) -> None:
    async with FaultServer() as server:
        url = server.url
    caught = await failure(url, prompt)
    assert "nothing answers there" in str(caught) and url.removeprefix("http://") in str(caught)
    assert "time" not in str(caught).lower() and not caught.may_be_billed


async def test_a_host_that_nobody_knows_is_said_and_cannot_be_billed(prompt: Prompt) -> None:
    caught = await failure("http://nobody.invalid/v1", prompt)
    assert "the host is not known" in str(caught) and not caught.may_be_billed


async def test_a_server_without_tls_is_said_and_cannot_be_billed(prompt: Prompt) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        caught = await failure(f"https://localhost:{port}/v1", prompt)
    assert "TLS failed" in str(caught) and "SSL_CERT_FILE" in str(caught) and not caught.may_be_billed


async def test_a_connection_lost_after_the_request_may_be_billed(prompt: Prompt) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        caught = await failure(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", prompt)
    assert caught.may_be_billed


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST.", "x.localhost", "127.0.0.1", "127.1", "0.0.0.0", "0", "2130706433", "0x7f.1"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]"),
    ],
)
def test_this_machine_is_known_by_any_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:9")
    assert is_loopback(f"http://{host}:8000/v1")
    assert find_proxy(f"http://{host}:8000/v1", name="mine") is None


@pytest.mark.parametrize("host", ["example.org", "localhost.example.org", "10.0.0.1", "[2001:db8::1]", "128.0.0.1"])
def test_other_machines_are_no_loopback(host: str) -> None:
    assert not is_loopback(f"http://{host}/v1")


def test_short_forms_of_an_address_are_written_out() -> None:
    assert plain_address("http://127.1:8000/v1") == "http://127.0.0.1:8000/v1"
    assert plain_address("https://example.org/v1") == "https://example.org/v1"


async def test_a_server_at_a_short_address_is_asked(prompt: Prompt) -> None:
    async with FaultServer() as server:
        adapter = OpenAIProvider(api_key=None, base_url=server.openai_url.replace("127.0.0.1", "127.1"), timeout_s=100)
        assert (await adapter.complete(prompt)).text == "ok"
        await adapter.aclose()


@pytest.mark.parametrize("proxy", ["socks://h:1", "socks5://user:secret@h:1", "ftp://h", "http://", "http://h:x"])
def test_a_proxy_of_another_kind_is_refused_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ScenarioError, match=r"'mine'.*ALL_PROXY.*NO_PROXY") as caught:
        find_proxy("https://example.org/v1", name="mine")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert find_proxy("https://example.org/v1", name="mine") is None


def test_the_proxy_of_the_scheme_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://one:1")
    monkeypatch.setenv("HTTPS_PROXY", "two:2")
    assert find_proxy("https://example.org/v1", name="mine") == "http://two:2"
    assert find_proxy("http://example.org/v1", name="mine") == "http://one:1"


async def test_a_proxy_is_used_for_others_and_never_for_this_machine(
    prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer() as proxy, FaultServer() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        for url in ("http://models.example/v1", server.openai_url):
            adapter = OpenAIProvider(api_key=KEY, base_url=url, timeout_s=100)
            assert (await adapter.complete(prompt)).text == "ok"
            await adapter.aclose()
    assert [request.path for request in proxy.requests] == ["http://models.example/v1/chat/completions"]
    assert [request.path for request in server.requests] == ["/v1/chat/completions"]


def test_certificates_named_in_the_environment_hold_for_this_machine_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{tmp_path}/none.pem")
    for host in ("localhost", "example.org"):
        with pytest.raises(ScenarioError, match="SSL_CERT_FILE"):
            tls_context(f"https://{host}/v1", name="mine")
    own = f"{tmp_path}/empty"
    with open(own, "w") as file:
        file.write("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", own)
    with pytest.raises(ScenarioError, match="SSL_CERT_FILE"):
        tls_context("https://localhost/v1", name="mine")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert isinstance(tls_context("https://localhost/v1", name="mine"), ssl.SSLContext)


def test_what_a_client_cannot_be_built_with_is_said_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {"mine": {"base_url": "https://example.org/v1", "api_key_env": "MY_KEY"}}
    for name, value in (("MY_KEY", f"{KEY}\nx"), ("MY_KEY", f"{KEY}\r")):
        with pytest.raises(AuthError, match="'mine'") as caught:
            Catalogue(mine, environ={name: value}).check("mine/model")
        assert KEY not in str(caught.value)
    monkeypatch.setenv("ALL_PROXY", "socks://h:1")
    with pytest.raises(ScenarioError, match="ALL_PROXY"):
        Catalogue(mine, environ={"MY_KEY": KEY}).check("mine/model")
    monkeypatch.delenv("ALL_PROXY")
    monkeypatch.setenv("SSL_CERT_FILE", "/none/such.pem")
    with pytest.raises(ScenarioError, match="SSL_CERT_FILE"):
        Catalogue(mine, environ={"MY_KEY": KEY, "SSL_CERT_FILE": "/none/such.pem"}).check("mine/model")


ENVIRONMENT = {
    "OPENAI_ORG_ID": "org-secret",
    "OPENAI_PROJECT_ID": "proj-secret",
    "OPENAI_CUSTOM_HEADERS": "X-Mine: header-secret\nAuthorization: Bearer bearer-secret",
    "OPENAI_ADMIN_KEY": "admin-secret",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/base-secret",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Mine: header-secret\nx-api-key: key-secret\nAuthorization: Bearer bearer-secret",
    "ANTHROPIC_AUTH_TOKEN": "token-secret",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9/base-secret",
}


@pytest.mark.parametrize("key", [KEY, None])
async def test_what_an_sdk_reads_from_the_environment_is_sent_to_no_other_host(
    key: str | None, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    async with FaultServer() as server:
        for adapter in (
            OpenAIProvider(api_key=key, base_url=server.openai_url, timeout_s=100),
            AnthropicProvider(api_key=key, base_url=server.url, timeout_s=100),
        ):
            await adapter.complete(prompt)
            await adapter.aclose()
    for request in server.requests:
        assert "secret" not in str(request)
        assert request.key == (key or "none")


async def test_an_address_that_no_client_takes_is_not_asked_again(prompt: Prompt) -> None:
    adapter = OpenAIProvider(api_key=KEY, base_url="http://1.2.3.4.5/v1", timeout_s=100)
    with pytest.raises((BadRequest, Unavailable)):
        await adapter.complete(prompt)
    await adapter.aclose()
