"""A study of a hostile model, and a real browser to open its report in."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

import agentsim
from agentsim.analysis.frames.study import Study
from agentsim.testing.faultserver import Answer, FaultServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VECTORS = (
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg/onload=window.pwned=1>",
    '"><iframe src="javascript:parent.pwned=1">',
    "javascript:window.pwned=1//",
    "<!--<script>window.pwned = 1",
    "</textarea></style></title><script>window.pwned=1</script>",
    "<a href='http://evil.example/?x'>click</a><link rel=stylesheet href=http://evil.example/x.css>",
    "{{ 7 * 7 }} ${window.pwned = 1} <%= 1 %> \u2028\u2029 \u202e reversed \x1b[2J",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<base href=http://evil.example/><form action=http://evil.example/><button autofocus onfocus=window.pwned=1>",
)

TAGS: tuple[str, ...] = ("img", "svg", "body", "video", "audio", "details", "input")
TAGS += ("iframe", "object", "embed", "math", "marquee", "select", "style")
EVENTS = ["onerror", "onload", "onfocus", "ontoggle", "onmouseover", "onanimationstart", "onpointerenter"]
WRAPPERS = ("{}", '">{}', "'>{}", "</script>{}", "-->{}", "]]>{}", "<!--{}-->")
ALL_VECTORS = (
    *VECTORS,
    *(
        wrapper.format(f"<{tag} src=x open autofocus {event}=window.pwned=1>")
        for wrapper in WRAPPERS
        for tag in TAGS
        for event in EVENTS
    ),
)
"""About seven hundred ways to run a script in a page that trusts a model's words."""


def words(prompt: str) -> str:
    """A model all of whose words are attacks; one answer in four says nothing."""
    draw = Random(hashlib.sha256(prompt.encode()).digest())
    vector = " ".join([draw.choice(VECTORS), *draw.sample(ALL_VECTORS, 6)])
    if draw.random() < 1 / 4:
        return vector
    if "My strategy will be" in prompt[-200:]:
        return f"My strategy will be {vector} to give half. {vector}"
    return f"{vector}\nAnswer: {draw.choice(['give', 'give', 'punish'])} {draw.randrange(60)}%"


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two models, three seeds; names of models are hostile too."""

    async def play() -> Study:
        async with FaultServer([Answer(words, thoughts=" ".join(VECTORS))]) as server:
            scenario = agentsim.scenario_from(
                {
                    "name": "hostile",
                    "agents": 4,
                    "generations": 3,
                    "game": {"kind": "donor", "rounds": 4, "punishment": {"cost": 1, "effect": 2}},
                    "players": {"model": "fake/one"},
                    "vary": {"players.model": ["fake/<script>window.pwned=1</script>", "fake/two"]},
                    "providers": {"fake": {"base_url": server.openai_url, "api_key_env": None, "concurrency": 8}},
                    "seeds": [0, 1, 2],
                }
            )
            result = await agentsim.run_async(scenario, results=tmp_path_factory.mktemp("hostile"))
            return agentsim.load(result.folder)

    return asyncio.run(play())


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Chromium, headless, as the system has it; closed after each test, for Playwright keeps an event loop running."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("AGENTSIM_NEEDS_CHROMIUM"):
            pytest.fail("Chromium is not installed, and AGENTSIM_NEEDS_CHROMIUM asks for it")
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=options, timeout=600_000)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def written(hostile: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the hostile study."""
    from agentsim.report import write_report

    return write_report(hostile, tmp_path_factory.mktemp("written") / "report.html")
