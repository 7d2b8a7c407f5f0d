"""The connection to a server: its proxy and certificates, and why it failed."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from agentsim.errors import BadRequest, ScenarioError, Unavailable
from agentsim.providers.dialects.peer import Peer

__all__ = [
    "check_way",
    "find_proxy",
    "is_loopback",
    "lost_connection",
    "plain_address",
    "tls_context",
]

PROXY_SCHEMES: Final = ("http", "https")


def plain_address(url: str) -> str:
    """Return a server's address with its IPv4 host in four numbers: clients refuse short forms such as `127.1`."""
    parts = urlsplit(url)
    try:
        host = socket.inet_ntoa(socket.inet_aton(parts.hostname or ""))
    except (OSError, UnicodeError):
        return url
    return urlunsplit(parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}"))


def is_loopback(url: str) -> bool:
    """Whether the server is on this machine, however its address is written: `127.1`, `0.0.0.0`, `[::1]`."""
    host = (urlsplit(plain_address(url)).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any(one.is_loopback or one.is_unspecified for one in (address, mapped) if one is not None)


def find_proxy(base_url: str, *, name: str) -> str | None:
    """Return the address of the proxy that the environment names for this server; `None` if it names none.

    Raises:
        ScenarioError: the proxy is of a kind that cannot be used.
    """
    if is_loopback(base_url):
        return None
    from urllib.request import getproxies, proxy_bypass  # here, because it loads an HTTP client

    parts = urlsplit(base_url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    variable = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(variable) or ""
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        scheme, has_host = urlsplit(proxy).scheme, bool(urlsplit(proxy).hostname) and (urlsplit(proxy).port or 1) > 0
    except ValueError:
        scheme, has_host = "", False
    if scheme not in PROXY_SCHEMES or not has_host:
        raise ScenarioError(
            f"the account {name!r} cannot use the proxy that the environment variable {variable.upper()}_PROXY names:"
            f" it must be written as http://HOST:PORT or https://HOST:PORT; change it, or name {parts.hostname} in"
            " NO_PROXY"
        )
    return proxy


def check_way(base_url: str, *, name: str, environ: Mapping[str, str]) -> None:
    """Check, without a call, that a client for this server can be built.

    Raises:
        ScenarioError: the environment names a proxy or certificates that cannot be used.
    """
    find_proxy(base_url, name=name)
    if environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR"):
        tls_context(base_url, name=name)


def tls_context(base_url: str, *, name: str) -> ssl.SSLContext | bool:
    """Return the certificates to verify a server with: those of SSL_CERT_FILE or SSL_CERT_DIR, or the built-in ones.

    Raises:
        ScenarioError: that file is missing or holds no certificates.
    """
    import httpx2

    if urlsplit(base_url).scheme != "https" and is_loopback(base_url):
        return False  # nothing is verified, and loading certificates takes time
    try:
        return httpx2.create_ssl_context(trust_env=True)
    except (OSError, ssl.SSLError) as error:
        raise ScenarioError(
            f"the account {name!r} cannot load the certificates that SSL_CERT_FILE or SSL_CERT_DIR names"
            f" ({error.strerror or type(error).__name__}): correct or unset the variable"
        ) from None


def lost_connection(error: BaseException, *, peer: Peer) -> Unavailable | BadRequest:
    """Return the error for a failed connection; a call may be billed only if its connection had been made."""
    import aiohttp

    causes = list(_causes(error))
    if any(isinstance(cause, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError) for cause in causes):
        return BadRequest(f"{peer.name}: {peer.quote(peer.base_url)} is not a server's address; correct base_url")
    failed = next((cause for cause in causes if isinstance(cause, aiohttp.ClientConnectorError)), None)
    if failed is not None:
        return Unavailable(_why_not_made(failed, peer=peer), may_be_billed=False)
    if any(isinstance(cause, aiohttp.ConnectionTimeoutError) for cause in causes):
        return Unavailable(f"{peer.name}: the connection to {_host(peer)} timed out", may_be_billed=False)
    if any(isinstance(cause, aiohttp.ClientHttpProxyError) for cause in causes):
        said = peer.quote(str(causes[-1]))
        return Unavailable(
            f"{peer.name}: the proxy refuses the connection to {_host(peer)}: {said}", may_be_billed=False
        )
    shown = causes[-1]
    return Unavailable(f"the connection to {peer.name} was lost: {type(shown).__name__}: {peer.quote(str(shown))}")


def _why_not_made(error: Any, *, peer: Peer) -> str:
    import aiohttp

    number = getattr(error, "errno", None)
    said = peer.quote(os.strerror(number) if isinstance(number, int) and number > 0 else str(error.os_error))
    failed = f"{peer.name}: the connection to {_host(peer)} cannot be made"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"{failed}: the host is not known ({said}); check base_url and the network"
    if isinstance(error, aiohttp.ClientSSLError | ssl.CertificateError):
        return (
            f"{failed}: TLS failed ({peer.quote(str(error))}); check that base_url's https is right, and name your own"
            " certificates in SSL_CERT_FILE"
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"{failed}: the proxy {error.host}:{error.port} does not answer ({said}); check the proxy variables"
    return f"{failed}: nothing answers there ({said}); check base_url, and that the server is running"


def _host(peer: Peer) -> str:
    return urlsplit(peer.base_url).netloc


def _causes(error: BaseException | None) -> Any:
    while error is not None:
        yield error
        error = error.__cause__
