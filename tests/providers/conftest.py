"""A real server for the adapters' tests: llama.cpp with the small embedded model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agentsim.errors import ModelFileError
from agentsim.providers.base import Message, Prompt, Sampling
from agentsim.providers.dialects import weights
from agentsim.providers.dialects.local import LocalProvider


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The small model's file, fetched into the user's cache if it is not there."""
    try:
        return weights.find("smollm2-135m")
    except ModelFileError:
        return weights.pull("smollm2-135m")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def llama_server(small_model: Path) -> AsyncIterator[LocalProvider]:
    """A started server; `await llama_server.start()` gives its address. Threads that wait for each other cost most."""
    provider = LocalProvider(small_model, model_name="smollm2-135m", slots=2, context=1024, threads=1)
    await provider.start()
    yield provider
    await provider.aclose()


@pytest.fixture
def prompt() -> Prompt:
    """A short question."""
    return Prompt(
        model="some-model",
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="How much?")),
        sampling=Sampling(temperature=0.5, max_tokens=12),
    )
