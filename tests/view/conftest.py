"""A small study of a hostile model, with thoughts and replies that cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import agentsim
from agentsim.testing.faultserver import Answer, FaultServer
from agentsim.view.guard import Guard
from agentsim.view.server import Viewer, application
from tests.report.conftest import VECTORS, browser, words

__all__ = ["browser", "client", "played"]

SCENARIO = {
    "name": "hostile",
    "agents": 4,
    "generations": 2,
    "game": {"kind": "donor", "rounds": 4},
    "players": {"model": "fake/one"},
    "vary": {"players.model": ["fake/<script>window.pwned=1</script>", "fake/two"]},
    "seeds": [0, 1],
    "on_invalid": {"attempts": 2, "stop_after": None},
}


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the study, complete; its results have a folder of their own."""

    async def play() -> Path:
        async with FaultServer([Answer(words, thoughts=" ".join(VECTORS))]) as server:
            account = {"base_url": server.openai_url, "api_key_env": None, "prices": {"two": {"input": 1, "output": 2}}}
            scenario = agentsim.scenario_from({**SCENARIO, "providers": {"fake": account}})
            result = await agentsim.run_async(scenario, results=tmp_path_factory.mktemp("viewed"))
            return result.folder

    return asyncio.run(play())


@pytest.fixture
def client(played: Path) -> Iterator[Callable[..., TestClient]]:
    """Return a client of the page, whose streams end after their first events."""
    made = []

    def make(place: Path = played.parent, **guard: str) -> TestClient:
        viewer = Viewer(place)
        ticks = count()
        viewer.is_ending = lambda: next(ticks) % 2 == 1
        made.append(viewer)
        return TestClient(Guard(application(viewer), **guard), base_url="http://127.0.0.1:8017")

    yield make
    for viewer in made:
        viewer.comparer.close()
