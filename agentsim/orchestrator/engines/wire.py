"""How workers and their broker talk: JSON objects, one a line, over TCP, once both have shown the token."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from agentsim.disk.durable import replace

__all__ = ["ADDRESS", "Address", "Line", "Message", "is_there", "proof", "read_address", "write_address"]

Message: TypeAlias = dict[str, Any]

ADDRESS: Final = "broker.json"
"""Where the broker is, and its token; only its owner may read it."""
PATIENCE_S: Final = 5.0
"""For how long it is tried to reach a broker that may have gone."""
MOST_BYTES: Final = 16_000_000
"""A longer line is no message."""


class Address(NamedTuple):
    """Where a broker is."""

    host: str
    port: int
    token: str
    """Whoever knows it may take leases."""
    boot: str = ""
    """The boot id of its machine."""
    worker: str = ""
    """The name of the worker that hosts it; empty if none does."""
    pid: int = 0
    """Its process."""


def read_address(folder: Path) -> Address | None:
    """Return where the broker of the crew in this folder is, or was; `None` if that is not known."""
    try:
        content = json.loads((folder / ADDRESS).read_bytes())
        return Address(
            host=str(content["host"]),
            port=int(content["port"]),
            token=str(content["token"]),
            boot=str(content["boot"]),
            worker=str(content["worker"]),
            pid=int(content["pid"]),
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def write_address(folder: Path, address: Address) -> None:
    """Say where the broker is.

    Raises:
        OSError: it cannot be written.
    """
    replace(folder / ADDRESS, json.dumps(address._asdict()), mode=0o600)


def proof(token: str, *, nonce: str, of: str) -> str:
    """Return what shows that the end `of` a connection knows the token, without telling it."""
    return hmac.new(token.encode(), f"{of} {nonce}".encode(), hashlib.sha256).hexdigest()


class Line(asyncio.Protocol):
    """One end of a connection."""

    def __init__(
        self,
        *,
        on_message: Callable[[Line, Message], None],
        on_lost: Callable[[Line], None],
        first: Message | None = None,
    ) -> None:
        """A message that makes `on_message` raise `ValueError`, `LookupError` or `TypeError` ends the connection.

        `first` is sent as soon as there is a connection.
        """
        self._first = first
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self.last_heard = 0.0
        """The loop's time when anything came last."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.last_heard = asyncio.get_running_loop().time()
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._first is not None:
            self.send(self._first)

    def data_received(self, data: bytes) -> None:
        """Read all whole messages."""
        self.last_heard = asyncio.get_running_loop().time()
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            if len(self._rest) > MOST_BYTES:
                raise ValueError("no message")
            for line in lines:
                self._on_message(self, json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError):
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self._transport = None
        self._on_lost(self)

    def send(self, message: Message) -> None:
        """Send a message, if the other end is still there."""
        if self._transport is not None:
            self._transport.write(json.dumps(message).encode() + b"\n")

    def finish(self) -> None:
        """End the connection once everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()


async def is_there(address: Address) -> bool:
    """Return whether the broker that was once at an address still is."""
    nonce, heard = secrets.token_hex(16), asyncio.get_running_loop().create_future()

    def hear(line: Line, message: Message) -> None:
        if message.get("proof") == proof(address.token, nonce=nonce, of="broker") and not heard.done():
            heard.set_result(True)

    def lost(line: Line) -> None:
        if not heard.done():
            heard.set_result(False)

    line = Line(on_message=hear, on_lost=lost, first={"who": nonce})
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.get_running_loop().create_connection(lambda: line, address.host, address.port)
            return bool(await heard)
    except (OSError, TimeoutError):
        return False
    finally:
        line.close()
