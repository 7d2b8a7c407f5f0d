"""Who may ask, and what a browser may do with the answer: the host that is named, the token, and the strict headers."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

__all__ = ["HEADERS", "Guard", "is_loopback"]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer: nothing is loaded but from here, and no text can become a script."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Return whether an address reaches this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Passes a request on if it names this server and, where one is asked for, presents the token."""

    def __init__(self, app: App, *, host: str = "127.0.0.1", token: str | None = None) -> None:
        """A `token` is presented once in the address; a cookie keeps it then, so that it stays out of the history."""
        self._app = app
        self._token = token
        names = set() if is_loopback(host) else {socket.gethostname().lower(), socket.getfqdn().lower(), host.lower()}
        self._names = {"localhost", *names}
        self._is_local = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not self._is_named(headers.get("host", "")):
            text = "This address is not this page's: open the one that agentsim view prints."
            await _answer(send, 421, text)
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, "This page is only read.")
        elif self._token is None or self._has_cookie(headers.get("cookie", ""), scope):
            await self._app(scope, receive, _with_headers(send))
        elif self._is_token(parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]):
            kept = {k: v[0] for k, v in parse_qs(scope["query_string"].decode("latin-1")).items() if k != "token"}
            place = scope["path"] + (f"?{urlencode(kept)}" if kept else "")
            place = place if not place.startswith("//") else "/"
            cookie = f"{_cookie(scope)}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            await _answer(send, 303, "", {"Location": place, "Set-Cookie": cookie})
        else:
            await _answer(
                send, 403, "Open the whole address that agentsim view printed: its end is the key to the page."
            )

    def _is_named(self, host: str) -> bool:
        """Return whether the `Host` header names this server; another name is another page's (DNS rebinding)."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host
        name = name.strip("[]").lower()
        if name in self._names:
            return True
        try:
            return is_loopback(name) if self._is_local else bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    def _is_token(self, given: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())

    def _has_cookie(self, text: str, scope: Scope) -> bool:
        try:
            kept = SimpleCookie(text).get(_cookie(scope))
        except CookieError:
            return False
        return kept is not None and self._is_token(kept.value)


def _cookie(scope: Scope) -> str:
    """Return the cookie's name: cookies are shared by all ports of a host, and each page has its own."""
    server = scope.get("server") or ("", 0)
    return f"agentsim-view-{server[1]}"


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", ()),
                *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
            ]
        await send(message)

    return sending


async def _answer(send: Send, status: int, text: str, more: dict[str, str] | None = None) -> None:
    headers = {**HEADERS, "Content-Type": "text/plain; charset=utf-8", **(more or {})}
    raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": text.encode()})
