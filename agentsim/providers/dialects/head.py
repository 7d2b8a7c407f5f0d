"""The head of a request: its address and its headers, as the official client of the dialect would send them.

A client builds each request anew, which takes longer than all else of a call, and nothing but the body differs between
the requests of an account. So an account's head is made once. For the hosts of the client's makers the client itself
makes it, with whatever it reads from the environment. Other hosts are sent nothing from the environment, so their head
is known without loading a client, which takes as long as hundreds of calls; tests compare it with the client's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI

__all__ = ["Head", "Recorder", "clients_head", "is_of", "plain_head"]

SYSTEMS: Final = {"Linux": "Linux", "Darwin": "MacOS", "Windows": "Windows", "FreeBSD": "FreeBSD", "OpenBSD": "OpenBSD"}
MACHINES: Final = {"x86_64": "x64", "arm64": "arm64", "aarch64": "arm64", "arm": "arm"}
FOR_THE_BODY: Final = frozenset({"content-length", "transfer-encoding"})


@dataclass(frozen=True, kw_only=True)
class Head:
    """Where requests go, and the headers that they carry besides the length of the body."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    """The API key is among them."""


class _Taken(Exception):
    """Keeps a request from being sent."""


class Recorder:
    """Takes the requests of an official client, and sends none."""

    def __init__(self) -> None:
        import httpx2

        self.requests: list[httpx2.Request] = []
        self.client = httpx2.AsyncClient(
            transport=httpx2.MockTransport(self._take), headers={"Accept-Encoding": "identity"}
        )

    async def _take(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        raise _Taken


def is_of(domain: str, base_url: str) -> bool:
    """Whether the server is at this domain or below it."""
    host = urlsplit(base_url).hostname or ""
    return host == domain or host.endswith(f".{domain}")


def plain_head(base_url: str, path: str, *, package: str, agent: str, timeout_s: float, own: Mapping[str, str]) -> Head:
    """Return the head with which a client of another host than its makers' begins a request.

    Args:
        base_url: the server's address.
        path: below that address.
        package: the client's distribution.
        agent: the name by which the client calls itself.
        timeout_s: the client's deadline for an answer.
        own: the dialect's own headers, the API key among them.
    """
    import platform  # here, because commands without calls need neither
    from importlib import metadata

    version, here = metadata.version(package), platform.uname()
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "keep-alive",
        "Content-Type": "application/json",
        "User-Agent": f"{agent}/Python {version}",
        "X-Stainless-Lang": "python",
        "X-Stainless-Package-Version": version,
        "X-Stainless-OS": SYSTEMS.get(here.system, "Unknown"),
        "X-Stainless-Arch": MACHINES.get(machine := here.machine.lower(), f"other:{machine}"),
        "X-Stainless-Runtime": platform.python_implementation(),
        "X-Stainless-Runtime-Version": platform.python_version(),
        "X-Stainless-Async": "async:asyncio",
        "X-Stainless-Retry-Count": "0",
        "X-Stainless-Read-Timeout": str(timeout_s),
    }
    return Head(url=f"{base_url.removesuffix('/')}{path}", headers=headers | dict(own))


async def clients_head(
    client: AsyncOpenAI | AsyncAnthropic, path: str, *, recorder: Recorder, sdk_error: type[Exception]
) -> Head:
    """Return the head of the request that an official client would send; nothing is sent.

    The client's `http_client` is that of the `recorder`; `sdk_error` is the base of the errors that the client raises.

    Raises:
        ValueError: the client cannot make a request.
    """
    import httpx2

    recorder.requests.clear()
    why = "the official client made no request"
    try:
        await client.post(path, body={}, cast_to=httpx2.Response)
    except (_Taken, sdk_error, httpx2.InvalidURL) as error:
        why = str(error)
    if not recorder.requests:
        raise ValueError(why)
    request = recorder.requests.pop()
    headers = {name: value for name, value in request.headers.items() if name.lower() not in FOR_THE_BODY}
    return Head(url=str(request.url), headers=headers)
