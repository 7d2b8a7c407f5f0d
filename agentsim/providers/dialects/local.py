"""Models on this machine: llama.cpp's server in a process of its own, called in OpenAI's dialect."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentsim.errors import ModelFileError, TransientError, Unavailable
from agentsim.providers.base import PLAIN, Call, Completion, Prompt
from agentsim.providers.dialects import weights
from agentsim.providers.dialects.dialect import Dialect, Opened, Opening
from agentsim.providers.dialects.openai import OpenAIProvider, unsupported
from agentsim.providers.dialects.shared_server import Place, Serving, join

__all__ = ["DEFAULT_CONTEXT", "DEFAULT_SLOTS", "DIALECT", "LocalProvider", "check_model"]

DEFAULT_SLOTS: Final = 2
DEFAULT_CONTEXT: Final = 4096

CACHE_MIB: Final = 0
"""Size of llama.cpp's cache of past prompts, apart from the slots."""
DEATH_TIMEOUT_S: Final = 5.0
POLL_S: Final = 0.05


def check_model(model: str) -> Path:
    """Return the file of a local model that can be served: an embedded model's name or the path of a .gguf file.

    Raises:
        ModelFileError: the weights are missing or damaged, or llama.cpp is not installed.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelFileError("local models need llama.cpp: run `pip install 'agentsim-lab[local]'`")
    return weights.find(model)


class LocalProvider:
    """Completes prompts with one model file, in a server that other processes on this machine may use as well."""

    def __init__(
        self,
        model_path: Path,
        *,
        model_name: str,
        slots: int = DEFAULT_SLOTS,
        context: int = DEFAULT_CONTEXT,
        threads: int | None = None,
        own_server: bool = False,
        timeout_s: float = 600.0,
    ) -> None:
        """`slots` calls run at once, each with at most `context` tokens; `threads` defaults to one per usable core.

        A server is shared by processes with the same settings, unless `own_server`.
        """
        self._settings = {
            "model_path": str(model_path.resolve()),
            "model_name": model_name,
            "slots": slots,
            "context": context,
            "threads": threads or len(os.sched_getaffinity(0)),
            "cache_mib": CACHE_MIB,
        }
        self._own_server = own_server
        self._timeout_s = timeout_s
        self._starting = asyncio.Lock()
        self._server: _Server | None = None

    @property
    def api_key(self) -> str:
        """Keeps web pages and the machine's other users from using the server; empty while there is no server."""
        return "" if self._server is None else self._server.serving.api_key

    async def start(self) -> str:
        """Return the server's root address, under which `/v1` is; it is started if there is none.

        Raises:
            ModelFileError: llama.cpp cannot load the model.
        """
        return (await self._running()).serving.url

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
                    while server.is_alive:  # noqa: ASYNC110 - another process ends
                        await asyncio.sleep(POLL_S)
            if server.is_alive:
                raise
            raise Unavailable(f"llama.cpp's server {await server.place.how_it_ended()}") from error

    async def aclose(self) -> None:
        """Use the server no longer; it ends if no other process uses it."""
        async with self._starting:
            await self._leave()

    async def _running(self) -> _Server:
        async with self._starting:
            if self._server is None or not self._server.is_alive:
                await self._leave()
                place, serving = await join(self._settings, is_own=self._own_server)
                client = OpenAIProvider(
                    api_key=serving.api_key,
                    base_url=f"{serving.url}/v1",
                    timeout_s=self._timeout_s,
                    name=f"local/{self._settings['model_name']}",
                )
                self._server = _Server(place, serving, client)
            return self._server

    async def _leave(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.client.aclose()
            server.place.leave()


@dataclass(frozen=True)
class _Server:
    """A server in use."""

    place: Place
    serving: Serving
    client: OpenAIProvider

    @property
    def is_alive(self) -> bool:
        """Whether this very server still lives."""
        return self.place.serving() == self.serving


def _open(opening: Opening) -> Opened:
    assert opening.model is not None
    provider = LocalProvider(
        check_model(opening.model),
        model_name=opening.model,
        slots=opening.slots,
        context=opening.context or DEFAULT_CONTEXT,
        threads=opening.threads,
        own_server=opening.own_server,
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
