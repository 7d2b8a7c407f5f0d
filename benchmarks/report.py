"""How large is the report of 15 paper-size runs, and how fast does it open? Run: python benchmarks/report.py

A fake model on loopback answers in some 60 words, so that the page holds as much text as a real one's.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from random import Random

from figures import figure

import agentsim
from agentsim.report import write_report
from agentsim.testing.faultserver import Answer, FaultServer

TEXT = "I weigh what my partner gave before against what it met and keep enough to stay safe while I build trust"
WORDS = tuple(TEXT.split(" "))


def words(prompt: str) -> str:
    """Return some 60 words and an answer, by the prompt alone."""
    draw = Random(hashlib.sha256(prompt.encode()).digest())
    text = " ".join(draw.choice(WORDS) for _ in range(60))
    if "My strategy will be" in prompt[-200:]:
        return f"My strategy will be to {text}"
    return f"{text}. Answer: {draw.randrange(60)}%"


async def play(folder: Path) -> Path:
    """Play 3 models x 5 seeds at the published experiment's size."""
    async with FaultServer([Answer(words)]) as server:
        scenario = agentsim.load_scenario(
            Path(__file__).parent.parent / "scenarios" / "donor-game.yaml",
            sets=[
                "vary.players.model=[fake/a, fake/b, fake/c]",
                f"providers.fake={{base_url: '{server.openai_url}', api_key_env: null, concurrency: 64}}",
            ],
        )
        return (await agentsim.run_async(scenario, results=folder)).folder


def main() -> None:
    """Print size, time to write and time to open."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place:
        study = agentsim.load(asyncio.run(play(Path(place))))
        begun = time.perf_counter()
        path = write_report(study)
        wrote_s = time.perf_counter() - begun
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page()
            begun = time.perf_counter()
            page.goto(path.as_uri())
            page.wait_for_selector("#chart-life svg")
            opened_s = time.perf_counter() - begun
            browser.close()
        size = path.stat().st_size / 1e6
        figure("report of 15 runs of paper size", size, 12, " MB")
        figure("the same: opens in", opened_s, 3, " s")
        print(f"{len(study.runs)} runs, {len(study.encounters):,} encounters, {len(study.replies):,} replies")  # noqa: T201
        print(f"report: {size:.1f} MB (bound 12), written in {wrote_s:.1f} s, opens in {opened_s:.1f} s (bound 3)")  # noqa: T201


if __name__ == "__main__":
    main()
