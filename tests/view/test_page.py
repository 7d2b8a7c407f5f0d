"""The page in a real browser: it follows a study as it is played, by keyboard, on a phone, and nothing foreign runs."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import uvicorn

import agentsim
from agentsim.analysis.foreign import verbatim
from agentsim.providers.base import Prompt
from agentsim.testing import FunctionProvider
from agentsim.view.guard import Guard
from agentsim.view.server import Viewer, application
from tests.report.conftest import VECTORS, words
from tests.view.conftest import SCENARIO

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LONG_MS = 1_000_000  # what compares has the lowest priority, and on a busy core gets hardly any of it
"""A guard against hanging."""


@pytest.fixture
def address(played: Path, tmp_path: Path) -> Iterator[str]:
    """The page of a folder that holds the complete study; `live` will be played in it."""
    (tmp_path / "hostile").symlink_to(played)
    viewer = Viewer(tmp_path)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(Guard(application(viewer)), log_level="critical", lifespan="off", timeout_graceful_shutdown=2)
    )
    viewer.is_ending = lambda: server.should_exit
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join()
    viewer.comparer.close()


class Played:
    """A study of a hostile model that gets as many answers as it is allowed."""

    def __init__(self, results: Path) -> None:
        self._allowed = threading.Semaphore(0)
        account = {"base_url": "http://127.0.0.1:1", "api_key_env": None, "concurrency": 1}
        scenario = agentsim.scenario_from({**SCENARIO, "name": "live", "providers": {"fake": account}})
        keywords = {"results": results, "provider": FunctionProvider(self._answer)}
        self._thread = threading.Thread(target=agentsim.run, args=(scenario,), kwargs=keywords)
        self._thread.start()

    def _answer(self, prompt: Prompt) -> str:
        self._allowed.acquire()
        return words(prompt.messages[-1].content)

    def answer(self, n: int) -> None:
        """Let so many calls be answered."""
        self._allowed.release(n)

    def finish(self) -> None:
        """Let the study come to its end."""
        self._allowed.release(100_000)
        self._thread.join()


def _reaches(page: Page, least: int) -> int:
    """Wait until at least so many answers are shown; return how many are."""
    while (n := int(re.findall(r"questions answered\s+(\d+)", page.inner_text(".tiles"))[0])) < least:
        page.wait_for_timeout(100)  # the page's policy forbids what waits in the browser
    return n


def test_a_study_is_followed_as_it_is_played_and_nothing_of_a_model_runs(
    address: str, played: Path, browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(LONG_MS)
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.evaluate("window.mark = 1")  # gone if the page is ever loaded again
    page.wait_for_selector("text=complete")
    live = Played(tmp_path)
    try:
        live.answer(30)
        page.wait_for_selector("text=being played")  # it appears by itself
        # by keyboard alone: to the study, to a run, over its encounters, into a question
        page.focus("a[href='#/live']")
        page.keyboard.press("Enter")
        page.wait_for_selector(".tiles")
        before = _reaches(page, 5)
        live.answer(40)
        _reaches(page, before + 1)
        assert "waits for" in page.inner_text("main") and "asked again" in page.inner_text("main")
        page.focus(".runs a.playing")
        page.keyboard.press("Enter")
        page.wait_for_selector("a.cell")
        assert "Asked now" in page.inner_text("main")
        page.focus("a.cell >> nth=0")
        first = page.evaluate("document.activeElement.getAttribute('href')")
        for key in ("ArrowDown", "ArrowRight", "ArrowDown"):
            page.keyboard.press(key)
        assert page.evaluate("document.activeElement.matches('[data-grid]')")
        assert page.evaluate("document.activeElement.getAttribute('href')") != first
    finally:
        live.finish()
    page.wait_for_selector("text=complete")  # the society has ended while it was watched
    page.goto(f"{address}#/hostile")
    page.wait_for_selector("text=cannot reach p")  # the comparison says what it cannot
    study = agentsim.load(played)
    asked = study.replies[study.replies["attempt"] == 2].iloc[0]
    place = "/".join(quote(part, safe="") for part in ("#", "hostile", asked["run"], "question", asked["key"]))
    page.evaluate("place => { location.hash = place }", place.removeprefix("%23"))
    page.wait_for_selector(".thought")
    shown = page.eval_on_selector_all("pre.words", "found => found.map(one => one.textContent)")
    assert verbatim(asked["text"]) in shown and verbatim(" ".join(VECTORS)) in shown  # to the letter
    assert page.evaluate("window.pwned") is None and page.evaluate("window.mark") == 1
    assert page.locator("iframe, form, base, img, main link, main script, meta[http-equiv]").count() == 0
    assert errors == []
    assert [url for url in requests if not url.startswith(address)] == []
    page.close()


def test_a_phone_shows_each_page_without_scrolling_sideways(address: str, played: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 780}, color_scheme="dark")
    page.set_default_timeout(LONG_MS)
    run = sorted(path.parent.name for path in played.glob("*/log.jsonl"))[0]
    for hash, wanted in (
        ("#/", "table"),
        ("#/hostile", "svg polyline"),
        (f"#/hostile/{run}", ".grid"),
        (f"#/hostile/{run}/question/{'g1/strategy/1_1'.replace('/', '%2F')}", ".words"),
        ("#/nowhere", "text=no such study"),
    ):
        page.goto(address + hash)
        page.wait_for_selector(wanted)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, hash
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    page.close()
