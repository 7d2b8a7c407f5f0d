"""The heads of requests are those of the official clients: address, headers, proxy, cookies and certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from yarl import URL

from agentsim.errors import ProviderError, Unavailable
from agentsim.providers.base import Prompt
from agentsim.providers.dialects.anthropic import AnthropicProvider
from agentsim.providers.dialects.connection import plain_address
from agentsim.providers.dialects.head import Recorder, clients_head, plain_head
from agentsim.providers.dialects.openai import OpenAIProvider
from agentsim.providers.settings import ProviderSettings
from agentsim.testing.faultserver import Answer, FaultServer, Status
from tests.providers.dialects.client_wire import as_sent, let_client_send, told

KEY = "sk-sentinel-4f9a1c7e2b8d6053"
DIALECTS = ("openai", "anthropic")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
ENVIRONMENT = {
    "OPENAI_ORG_ID": "org-mine",
    "OPENAI_PROJECT_ID": "proj-mine",
    "OPENAI_CUSTOM_HEADERS": "X-Mine: of-openai\nX-Other: a",
    "OPENAI_ADMIN_KEY": "admin-key",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/never",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Mine: of-anthropic\nanthropic-beta: one,two",
    "ANTHROPIC_AUTH_TOKEN": "token",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9/never",
}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    yield


def opened(
    dialect: str, base_url: str, *, key: str | None = KEY, timeout_s: float = 100.0, is_clients: bool = False
) -> OpenAIProvider | AnthropicProvider:
    adapter = (OpenAIProvider if dialect == "openai" else AnthropicProvider)(
        api_key=key, base_url=base_url, timeout_s=timeout_s
    )
    if is_clients:
        let_client_send(adapter, dialect, timeout_s=timeout_s)
    return adapter


async def both_ways(
    dialect: str,
    base_url: str,
    prompt: Prompt,
    *,
    server: FaultServer,
    n_calls: int = 1,
    key: str | None = KEY,
    timeout_s: float = 100.0,
) -> list[object]:
    """Call with our own request and with the client's; assert that they are equal, and return what was received."""
    received, outcomes = [], []
    for is_clients in (False, True):
        adapter = opened(dialect, base_url, key=key, timeout_s=timeout_s, is_clients=is_clients)
        n_before = len(server.requests)
        for _ in range(n_calls):
            try:
                outcomes.append(told(await adapter.complete(prompt), host=server.url))
            except ProviderError as error:
                outcomes.append(told(error, host=server.url))
        await adapter.aclose()
        received.append([as_sent(request, host=server.url) for request in server.requests[n_before:]])
    assert received[0] == received[1] and outcomes[:n_calls] == outcomes[n_calls:]
    return received[0]


ADDRESSES = (
    *(
        "http://h",
        "http://h/",
        "http://h/v1",
        "http://h/v1/",
        "http://h/v1//",
        "http://h:0080/v1",
        "HTTP://H.Org:80/V1",
    ),
    *("https://h:443/a%20b/ü/v1", "http://[::1]:8000/v1", "http://bücher.example/v1", "http://h/a+b~c/'(v1)"),
    *("https://gateway/{a}|b", "https://h/b/../c/./v1", "https://h/a%2fb/v1", "http://h/a%zz/v1", "http://h/\\v1;p=1"),
)


@pytest.mark.parametrize("base_url", ADDRESSES)
async def test_requests_go_where_the_official_client_would_send_them(base_url: str) -> None:
    address = plain_address(str(ProviderSettings(base_url=base_url).base_url))
    recorder = Recorder()
    client = openai.AsyncOpenAI(api_key=KEY, base_url=address, max_retries=0, http_client=recorder.client)
    theirs = await clients_head(client, "/chat/completions", recorder=recorder, sdk_error=openai.OpenAIError)
    ours = plain_head(address, "/chat/completions", package="openai", agent="AsyncOpenAI", timeout_s=1, own={})
    assert str(URL(ours.url)) == str(URL(theirs.url))
    await client.close()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("key", "timeout_s"), [(KEY, 7), (None, 7.5), (KEY, 1e6)])
async def test_another_host_is_sent_the_headers_of_the_official_client(
    dialect: str, key: str | None, timeout_s: float, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    async with FaultServer() as server:
        await both_ways(dialect, f"{server.url}/v1", prompt, server=server, key=key, timeout_s=timeout_s)
    assert "mine" not in str([request.headers for request in server.requests])


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_its_makers_are_sent_what_the_client_reads_from_the_environment(
    dialect: str, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    async with FaultServer([Answer("4", headers={"set-cookie": "a=b; Path=/"})]) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        base_url = f"http://api.{dialect}.com/v1"
        await both_ways(dialect, base_url, prompt, server=server, n_calls=2)
    first, second, *_ = (request.headers for request in server.requests)
    assert {request.path.rpartition("/v1")[0] for request in server.requests} == {f"http://api.{dialect}.com"}
    assert first["x-mine"] == f"of-{dialect}" and KEY in str(first)
    if dialect == "openai":
        assert (first["openai-organization"], first["openai-project"]) == ("org-mine", "proj-mine")
    assert "cookie" not in first and second["cookie"] == "a=b"


async def test_a_client_that_makes_no_request_says_why() -> None:
    class Unable(openai.AsyncOpenAI):
        async def _prepare_options(self, options: Any) -> Any:
            raise openai.OpenAIError("no way")

    recorder = Recorder()
    client = Unable(api_key=KEY, base_url="http://h", max_retries=0, http_client=recorder.client)
    with pytest.raises(ValueError, match="no way"):
        await clients_head(client, "/chat/completions", recorder=recorder, sdk_error=openai.OpenAIError)
    await client.close()


# The transport of the clients uses what aiohttp calls deprecated.
@pytest.mark.filterwarnings("ignore:(BasicAuth is|The 'proxy_auth' parameter is) deprecated:DeprecationWarning")
@pytest.mark.parametrize("user", ["", "me@", "me:pass%40word%3A@", ":only@", "m%C3%A9:x@"])
async def test_a_proxy_is_asked_with_its_user(user: str, prompt: Prompt, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer([Status(407, "who are you?")]) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url.replace("://", f"://{user}"))
        await both_ways("openai", "http://models.example/v1", prompt, server=server, n_calls=2)
    assert ("proxy-authorization" in server.requests[0].headers) is bool(user)


@pytest.mark.filterwarnings("ignore:(BasicAuth is|The 'proxy_auth' parameter is) deprecated:DeprecationWarning")
async def test_a_proxy_for_https_is_sent_no_key(prompt: Prompt, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Who\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:password@127.0.0.1:{port}")
        for is_clients in (False, True):
            adapter = opened("openai", "https://models.example/v1", is_clients=is_clients)
            with pytest.raises(Unavailable, match=r"the proxy refuses the connection to models\.example") as caught:
                await adapter.complete(prompt)
            assert "password" not in str(caught.value) and not caught.value.may_be_billed
            await adapter.aclose()
    assert heads[0] == heads[1] and KEY.encode() not in heads[0] and b"Proxy-Authorization: Basic" in heads[0]


async def test_a_cookie_comes_back_to_its_host(prompt: Prompt) -> None:
    async with FaultServer([Answer("4", headers={"set-cookie": "a=b; Path=/"})]) as server:
        base_url = server.openai_url.replace("127.0.0.1", "localhost")
        await both_ways("openai", base_url, prompt, server=server, n_calls=2)
    assert server.requests[1].headers["cookie"] == "a=b"


async def test_certificates_of_ones_own_are_trusted_and_others_are_not(
    prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path(__file__).with_name("localhost.pem")

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        body = b'{"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(own)
    async with await asyncio.start_server(speak, "127.0.0.1", 0, ssl=tls) as server:
        base_url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
        for is_clients in (False, True):
            monkeypatch.delenv("SSL_CERT_FILE", raising=False)
            adapter = opened("openai", base_url, is_clients=is_clients)
            with pytest.raises(Unavailable, match="TLS failed"):
                await adapter.complete(prompt)
            await adapter.aclose()
            monkeypatch.setenv("SSL_CERT_FILE", str(own))
            adapter = opened("openai", base_url, is_clients=is_clients)
            assert (await adapter.complete(prompt)).text == "4"
            await adapter.aclose()


def test_the_version_of_anthropics_api_is_the_clients() -> None:
    from agentsim.providers.dialects.anthropic import API_VERSION

    assert anthropic.AsyncAnthropic(api_key=KEY).default_headers["anthropic-version"] == API_VERSION
