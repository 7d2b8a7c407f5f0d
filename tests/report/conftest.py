"""A study of a hostile model, and a real browser to open its report in."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

import agentsim
from agentsim.analysis.frames.study import Study
from agentsim.providers.base import Prompt
from agentsim.testing import FunctionProvider
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


def spoken(prompt: Prompt) -> str:
    """A player of a matrix game all of whose words are attacks; one message in four says nothing."""
    asked = prompt.messages[-1].content
    draw = Random(hashlib.sha256(asked.encode()).digest())
    vector = " ".join([draw.choice(VECTORS), *draw.sample(ALL_VECTORS, 6)])
    if "My strategy will be" in asked:
        return f"My strategy will be {vector} to cooperate."
    if "My message:" in asked:
        return "" if draw.random() < 1 / 4 else f"My message: {vector}"
    return f"{vector}\nAnswer: {draw.choice(['cooperate', 'defect'])}"


@pytest.fixture(scope="session")
def talkers(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of a game in which players talk, and all that is foreign in its moves is an attack as well."""
    scenario = agentsim.scenario_from(
        {
            "name": "talkers",
            "agents": 4,
            "generations": 2,
            "game": {"kind": "matrix", "rounds": 3, "error": 0.2, "talk": {"rounds": 1, "max_chars": 900}},
            "players": {"model": "fake/one"},
            "providers": {"fake": {"base_url": "http://127.0.0.1:1", "api_key_env": None}},
            "seeds": [0],
            "on_invalid": {"attempts": 1, "stop_after": None},
        }
    )
    result = agentsim.run(scenario, results=tmp_path_factory.mktemp("talkers"), provider=FunctionProvider(spoken))
    study = agentsim.load(result.folder)
    attacked = {name: VECTORS[place] for place, name in enumerate(("option", "role", "stage", "aimed"))}
    moves = study.moves.assign(**attacked, problem=study.moves["problem"].fillna(VECTORS[4]))
    return replace(study, moves=moves)


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
