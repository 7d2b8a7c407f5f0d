"""A command of the user's own that prints an account's API key, for keys that expire: tokens of Azure, Vertex, Bedrock.

Its output is the key, and nothing of it is ever quoted or stored. It is run without a shell, before the first call, and
again after the server has refused the key that it gave: once, however many calls were refused.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Final

from agentsim.errors import AuthError, KeyRefused, Unavailable
from agentsim.providers.base import PLAIN, Call, Completion, Layer, Prompt, Provider
from agentsim.providers.dialects.wire import check_key
from agentsim.providers.limits.halt import Halt
from agentsim.providers.secret import Secret

__all__ = ["COMMAND_S", "KeyCommand", "Rekeyed", "Renewed"]

COMMAND_S: Final = 60.0
"""Seconds until the command must have ended."""
MOST_REFUSALS: Final = 5
"""How many keys in a row may be refused for one call."""
MAX_BYTES: Final = 64 * 1024
"""The most bytes of a key; tokens of a few thousand characters are usual."""
QUOTE_CHARS: Final = 200
POLL_S: Final = 0.1


class KeyCommand:
    """Runs the command, and keeps the latest key; its `repr` shows neither."""

    def __init__(self, command: Sequence[str], *, account: str, limit_s: float = COMMAND_S) -> None:
        self._command = tuple(command)
        self._account = account
        self._limit_s = limit_s
        self._key: str | None = None
        self._number = 0
        self._asking: asyncio.Future[AuthError | Unavailable | None] | None = None
        """While the command is under way: set to its failure, or to `None`."""

    def __repr__(self) -> str:
        return f"KeyCommand(account={self._account!r})"

    @property
    def number(self) -> int:
        """The number of the latest key: 1 for the first."""
        return self._number

    def key(self) -> str:
        """Return the latest key; the command is run if there is none yet.

        Raises:
            AuthError: the command failed, or did not print a key.
        """
        if self._key is None:
            self._key, self._number = self._read(self._started()), 1
        return self._key

    async def ready(self) -> None:
        """Wait while the command is under way, so that no call is sent with the key that it replaces."""
        while self._asking is not None:
            await asyncio.wait([self._asking])

    async def renew(self, refused: int) -> None:
        """Replace the key with this number, which was refused, unless another call has done so.

        Raises:
            Unavailable: the command failed; it is run again once the call is made again and is refused again.
            AuthError: it printed the same key again.
        """
        while self._number == refused:
            if self._asking is None:
                failure = await self._replace()
            else:
                asking = self._asking
                await asyncio.wait([asking])
                failure = None if asking.cancelled() else asking.result()
            if failure is not None:
                raise failure

    async def _replace(self) -> AuthError | Unavailable | None:
        """Run the command, and take the key that it prints; return why that is not possible."""
        self._asking = asking = asyncio.get_running_loop().create_future()
        try:
            failure = await self._new_key()
            asking.set_result(failure)
            return failure
        finally:
            self._asking = None
            asking.cancel()  # if the wait for the command was cut off, another call runs it

    async def _new_key(self) -> AuthError | Unavailable | None:
        try:
            key = await self._asked()
        except AuthError as error:
            return Unavailable(str(error), may_be_billed=False)
        if key == self._key:
            return AuthError(
                f"{self._said()} printed the key that the server has just refused; run it by hand, log in again if it"
                " says so, and then continue"
            )
        self._key, self._number = key, self._number + 1
        return None

    async def _asked(self) -> str:
        process = self._started()
        try:
            return await asyncio.to_thread(self._read, process)
        except asyncio.CancelledError:
            _kill(process)
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # so that what it starts ends with it, and Ctrl-C is agentsim's alone
            )
        except OSError as error:
            raise AuthError(f"{self._said()} cannot be run: {error.strerror or error}; correct it there") from None

    def _read(self, process: subprocess.Popen[bytes]) -> str:
        """Return the key that the command prints."""
        try:
            out, err = _output(process, until=time.monotonic() + self._limit_s)
        except TimeoutError:
            raise AuthError(f"{self._said()} did not end within {self._limit_s:g} s; run it by hand") from None
        finally:
            _kill(process)
        if len(out) > MAX_BYTES:
            raise AuthError(f"{self._said()} printed more than {MAX_BYTES // 1024} KiB; it must print the key alone")
        text = out.decode("ascii", "replace").strip()
        if process.returncode:
            last = err.decode("utf-8", "replace").strip().rpartition("\n")[2].strip()
            said = Secret(self._key).scrub(Secret(text or None).scrub(last))[:QUOTE_CHARS]
            raise AuthError(
                f"{self._said()} ended with exit code {process.returncode}"
                + (f": {said!r}" if said else " and said nothing")
                + "; run it by hand"
            )
        if not text:
            raise AuthError(f"{self._said()} printed nothing; it must print the key alone")
        try:
            check_key(text, name=self._account)
        except AuthError:
            raise AuthError(
                f"{self._said()} printed more than one word, or characters beyond ASCII; it must print the key alone"
            ) from None
        return text

    def _said(self) -> str:
        return f"the api_key_command of the account {self._account!r} in your settings"


class Rekeyed:
    """An adapter that is made anew for each key; one whose key was replaced is closed after its last call."""

    def __init__(self, provider: Provider, make: Callable[[str], Provider], command: KeyCommand) -> None:
        """`provider` sends the command's key of now; `make` returns one that sends another."""
        self._make = make
        self._command = command
        self._latest = _Adapter(provider, command.number)

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the adapter's completion.

        Raises:
            KeyRefused: the server refuses the key; the error has its number.
            ProviderError: as the adapter.
        """
        adapter = await self._adapter()
        adapter.n_calls += 1
        try:
            return await adapter.provider.complete(prompt, call)
        except KeyRefused as error:
            raise KeyRefused(str(error), number=adapter.number) from None
        finally:
            adapter.n_calls -= 1
            if adapter is not self._latest and not adapter.n_calls:
                await adapter.provider.aclose()

    async def aclose(self) -> None:
        """Close the latest adapter; no call is under way any more, so the others are closed."""
        await self._latest.provider.aclose()

    async def _adapter(self) -> _Adapter:
        if self._latest.number != self._command.number:
            old, self._latest = self._latest, _Adapter(self._make(self._command.key()), self._command.number)
            if not old.n_calls:
                await old.provider.aclose()
        return self._latest


class _Adapter:
    """An adapter, the number of its key, and how many of its calls are under way."""

    def __init__(self, provider: Provider, number: int) -> None:
        self.provider, self.number, self.n_calls = provider, number, 0


class Renewed(Layer):
    """Asks for another key once one is refused, and makes the call again.

    It is outside the account's limits, so that a call that waits for its key holds no place, and inside the retries.
    """

    def __init__(self, provider: Provider, command: KeyCommand, *, halt: Halt) -> None:
        """`halt` ends the waiting for a key."""
        super().__init__(provider)
        self._command = command
        self._halt = halt

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the provider's completion.

        Raises:
            AuthError: several keys in a row were refused, or the command printed one that had been refused.
            NotSent: the study stopped while the call waited for a key.
        """
        refusal: KeyRefused | None = None
        for _ in range(MOST_REFUSALS):
            async with self._halt.cuts():
                if refusal is not None:
                    await self._command.renew(refusal.number or 0)
            try:
                return await self._provider.complete(prompt, call)
            except KeyRefused as error:
                refusal = error
        raise AuthError(f"{refusal} ({MOST_REFUSALS} keys of its api_key_command in a row were refused)")


def _output(process: subprocess.Popen[bytes], *, until: float) -> tuple[bytes, bytes]:
    """Return what a process prints until it ends, and its errors; no more than is needed to know that it is too much.

    Raises:
        TimeoutError: it did not end until then, by `time.monotonic`.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    pipes: tuple[IO[bytes], IO[bytes]] = (process.stdout, process.stderr)
    out, err = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector, process.stdout, process.stderr:
        for pipe, read in zip(pipes, (out, err), strict=True):
            selector.register(pipe, selectors.EVENT_READ, read)
        while selector.get_map() and len(out) <= MAX_BYTES:
            if time.monotonic() > until:
                raise TimeoutError
            ready = selector.select(POLL_S)
            if not ready and process.poll() is not None:
                break  # what it started, and left behind, holds the pipes
            for chosen, _ in ready:
                data = os.read(chosen.fd, MAX_BYTES)
                chosen.data.extend(data[: MAX_BYTES + 1 - len(chosen.data)])
                if not data:
                    selector.unregister(chosen.fileobj)
    try:
        process.wait(0 if len(out) > MAX_BYTES else max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        if len(out) <= MAX_BYTES:
            raise TimeoutError from None
    return bytes(out), bytes(err)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command, and what it has started, if it has not ended."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
