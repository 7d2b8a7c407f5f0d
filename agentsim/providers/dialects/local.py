"""Models on this machine: llama.cpp's server in a child process, called in OpenAI's dialect."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from agentsim.errors import ModelFileError, TransientError, Unavailable
from agentsim.providers.base import PLAIN, Call, Completion, Prompt
from agentsim.providers.dialects import weights
from agentsim.providers.dialects.dialect import Dialect, Opened, Opening
from agentsim.providers.dialects.openai import OpenAIProvider, unsupported

__all__ = ["DEFAULT_CONTEXT", "DEFAULT_SLOTS", "DIALECT", "LocalProvider", "check_model"]

DEFAULT_SLOTS: Final = 2
DEFAULT_CONTEXT: Final = 4096

CACHE_MIB: Final = 0
"""Size of llama.cpp's cache of past prompts, apart from the slots."""
CALM_THREADS: Final = {"GOMP_SPINCOUNT": "2000"}
"""How long llama.cpp's threads spin before they sleep. Measured on two cores with SmolLM2-135M, tokens a second, alone
and beside one busy core: 0 spins 40 and 55, 2000 spins 114 and 18, the default of 300,000 spins 123 and 1."""
START_TIMEOUT_S: Final = 300.0
STOP_TIMEOUT_S: Final = 5.0
DEATH_TIMEOUT_S: Final = 5.0
TAIL_BYTES: Final = 1000


def check_model(model: str) -> Path:
    """Return the file of a local model that can be served: an embedded model's name or the path of a .gguf file.

    Raises:
        ModelFileError: the weights are missing or damaged, or llama.cpp is not installed.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelFileError("local models need llama.cpp: run `pip install 'agentsim[local]'`")
    return weights.find(model)


class LocalProvider:
    """Completes prompts with one model file, in a server that ends with this process at the latest."""

    def __init__(
        self,
        model_path: Path,
        *,
        model_name: str,
        slots: int = DEFAULT_SLOTS,
        context: int = DEFAULT_CONTEXT,
        threads: int | None = None,
        timeout_s: float = 600.0,
    ) -> None:
        """`slots` calls run at once, each with at most `context` tokens; `threads` defaults to one per usable core."""
        self.api_key = secrets.token_urlsafe(24)
        """Keeps web pages and the machine's other users from using the server."""
        self._settings = {
            "model_path": str(model_path),
            "model_name": model_name,
            "api_key": self.api_key,
            "slots": slots,
            "context": context,
            "threads": threads or len(os.sched_getaffinity(0)),
            "cache_mib": CACHE_MIB,
        }
        self._timeout_s = timeout_s
        self._starting = asyncio.Lock()
        self._server: _Server | None = None

    async def start(self) -> str:
        """Start the server if none is running and return its root address, under which `/v1` is.

        Raises:
            ModelFileError: llama.cpp cannot load the model.
        """
        return (await self._running()).url

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the model's completion of `prompt`.

        Raises:
            Unavailable: the server died; the next call starts another.
            ModelFileError: llama.cpp cannot load the model.
            TransientError, FatalProviderError: as `OpenAIProvider`.
        """
        server = await self._running()
        try:
            return await server.client.complete(prompt)
        except TransientError as error:
            with suppress(TimeoutError):  # a lost connection may be noticed before the process has ended
                async with asyncio.timeout(DEATH_TIMEOUT_S):
                    await server.process.wait()
            if server.process.returncode is None:
                raise
            code = server.process.returncode
            raise Unavailable(f"llama.cpp's server ended with code {code}; its log ends {server.tail()}") from error

    async def aclose(self) -> None:
        """Stop the server."""
        async with self._starting:
            await self._stop()

    async def _running(self) -> _Server:
        async with self._starting:
            if self._server is None or self._server.process.returncode is not None:
                await self._stop()
                self._server = await _launch(self._settings, timeout_s=self._timeout_s)
            return self._server

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.client.aclose()
            await server.end()


@dataclass(frozen=True)
class _Server:
    """A child process, ready to answer."""

    process: asyncio.subprocess.Process
    log: IO[bytes]
    url: str
    client: OpenAIProvider

    async def end(self) -> None:
        await _end(self.process)
        self.log.close()

    def tail(self) -> str:
        return repr("") if self.log.closed else _tail(self.log)


async def _launch(settings: Mapping[str, Any], *, timeout_s: float) -> _Server:
    """Start the child process and wait until it has loaded the model."""
    log = tempfile.TemporaryFile()  # noqa: SIM115  # outlives this function, and disappears when it is closed
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # modules in this folder have the names of other packages
        str(Path(__file__).with_name("local_server.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        env={**os.environ, **CALM_THREADS},
        start_new_session=True,  # Ctrl-C in the terminal must not end it while answers are under way
    )
    assert process.stdin is not None and process.stdout is not None
    url = ""
    try:
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_S):
                url = (await process.stdout.readline()).decode().strip()
    finally:
        if not url:
            await _end(process)
            tail = _tail(log)
            log.close()
    if not url:
        raise ModelFileError(
            f"llama.cpp cannot serve {settings['model_path']!r} (it ended with code {process.returncode});"
            f" its log ends {tail}"
        )
    client = OpenAIProvider(
        api_key=settings["api_key"], base_url=f"{url}/v1", timeout_s=timeout_s, name=f"local/{settings['model_name']}"
    )
    return _Server(process, log, url, client)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the child's input, which tells it to end, and kill it if it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _tail(log: IO[bytes]) -> str:
    """Return the end of the server's log as a `repr`."""
    size = os.fstat(log.fileno()).st_size
    return repr(os.pread(log.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode("utf-8", "replace").strip())


def _open(opening: Opening) -> Opened:
    assert opening.model is not None
    provider = LocalProvider(
        check_model(opening.model),
        model_name=opening.model,
        slots=opening.slots,
        context=opening.context or DEFAULT_CONTEXT,
        threads=opening.threads,
        timeout_s=opening.timeout_s,
    )
    return Opened(provider, ready=provider.start)


DIALECT: Final = Dialect(
    name="local",
    open=_open,
    unsupported=unsupported,
    accounts={"local": {"concurrency": DEFAULT_SLOTS, "timeout_s": 600.0, "attempts": 3}},
    serves_here=True,
    find_model=check_model,
)
