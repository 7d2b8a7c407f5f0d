"""The report: true to the frames, whole in one file, and nothing in it that a model wrote is ever run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import agentsim
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures.sensitivity import fraction_band, sensitivity
from agentsim.errors import AgentsimError
from agentsim.report import render, write_report
from agentsim.report.served import served_table
from tests.report.conftest import ALL_VECTORS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"


def test_in_a_browser_all_is_drawn_and_nothing_of_a_model_runs(
    hostile: Study, written: Path, browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(600_000)
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(written.as_uri())
    for chart in ("chart-resources", "chart-fractions", "chart-society", "chart-life"):
        page.wait_for_selector(f"#{chart} svg path")
    # follow every agent of the first run, read its replies, turn pages, filter
    for name in page.eval_on_selector_all("#society-agent option", "options => options.map(o => o.value)"):
        page.select_option("#society-agent", name)
    page.click("#encounter-table button.link:has-text('read')")
    page.select_option("#filter-validity", "missing")
    n_missing = int((hostile.encounters["act"] == "missing").sum())
    assert page.inner_text("#encounter-table .note").startswith(f"{n_missing} of ")
    page.click("input[value=resources_linear]")
    page.wait_for_selector("#chart-resources svg path")
    strategies = set(hostile.agents["strategy"].dropna())
    assert page.text_content("#strategy") in strategies  # a model's words, to the letter
    assert page.evaluate("window.pwned") is None
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert page.eval_on_selector_all("img", "images => images.every(i => i.complete && i.naturalWidth > 0)")
    assert (
        page.eval_on_selector_all(
            "iframe, form:not(.vega-bindings), base, link, meta[http-equiv=refresh]", "found => found.length"
        )
        == 0
    )
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert (tmp_path / "report.png").stat().st_size > 50_000
    page.close()


def test_five_hundred_vectors_were_among_a_models_words(hostile: Study) -> None:
    said = " ".join(hostile.replies["text"])
    assert sum(vector in said for vector in ALL_VECTORS) >= 500


def test_nothing_but_its_own_two_scripts_may_run(written: Path) -> None:
    text = written.read_text()
    assert len(re.findall(r"<script", text, re.IGNORECASE)) == 3  # data, Vega, ours
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy.group(1) and "unsafe" not in policy.group(1)
    # no address to load from: only namespaces of SVG and the like inside of the scripts
    outside = re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]+\"", outside) == []


def test_the_same_study_gives_the_same_page(hostile: Study, written: Path) -> None:
    assert render(hostile) == written.read_text()


def test_the_page_holds_the_frames(hostile: Study, written: Path) -> None:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', written.read_text(), re.DOTALL)
    assert found is not None
    data = json.loads(found.group(1))
    assert len(data["encounters"]["donor"]) == len(hostile.encounters)
    assert len(data["agents"]["agent"]) == len(hostile.agents)
    strategies = {data["texts"][place] for place in data["agents"]["strategy"]} - {None}
    assert strategies == set(hostile.agents["strategy"].dropna())
    assert data["encounters"]["round"][:2] == [1, 1]  # in order of play


def test_cost_and_what_is_missing_are_said(hostile: Study, written: Path) -> None:
    text = written.read_text()
    assert "unpriced: no price of these models is known" in text
    n = int((hostile.encounters["act"] == "missing").sum())
    assert f"{n:,} of {len(hostile.encounters):,} encounters" in text
    priced = replace(hostile, runs=hostile.runs.assign(cost_usd=0.25))
    assert "US$ 0.75 at the prices logged" in render(priced)


def test_the_comparison_is_in_it_and_says_what_it_cannot(written: Path) -> None:
    text = written.read_text()
    assert "3 against 3 runs cannot reach p &lt; 0.05" in text
    assert "cannot say: too few runs" in text


def test_a_comparison_that_makes_no_sense_is_a_sentence(hostile: Study) -> None:
    twice = hostile.runs.assign(seed=0)
    assert "more than once" in render(replace(hostile, runs=twice))


@pytest.mark.parametrize("what", ["encounters", "generations"])
def test_a_study_that_has_just_begun_has_a_report(hostile: Study, what: str) -> None:
    frames = {name: getattr(hostile, name).head(0) for name in ("generations", "resources")}
    if what == "encounters":
        frames |= {name: getattr(hostile, name).head(0) for name in ("encounters", "agents", "replies")}
    text = render(replace(hostile, runs=hostile.runs.assign(status="unfinished", generations=0), **frames))
    assert "No generation has ended yet" in text and "did not finish" in text


def test_scripted_studies_say_that_nobody_was_asked(tmp_path: Path) -> None:
    scenario = agentsim.load_scenario(SCENARIOS / "scripted-baselines.yaml", sets=["generations=2"], seeds="0")
    study = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    path = write_report(study)
    assert path == tmp_path / "scripted-baselines" / "report.html"
    assert "none: no model was called" in path.read_text()


def test_what_answered_is_told_by_group(hostile: Study) -> None:
    replies = hostile.replies.copy()
    replies["fingerprint"] = pd.array(["fp_<b>1</b>" if n % 2 else None for n in range(len(replies))], dtype="string")
    replies["cached_tokens"] = pd.array([5 if n % 2 else None for n in range(len(replies))], dtype="Int64")
    text = render(replace(hostile, replies=replies))
    assert "fp_&lt;b&gt;1" in text and "fp_<b>1" not in text.split('id="data"')[0]
    assert "<h3>What answered</h3>" in text
    table = served_table(replace(hostile, replies=replies))
    assert table is not None
    cached = [row[table.head.index("from a cache")] for row in table.rows]
    assert sum(int(said.replace(",", "")) for said in cached if said != "–") == 5 * (len(replies) // 2)
    assert "–" in cached  # of those that did not say it


def test_where_it_cannot_be_written_is_a_sentence(hostile: Study, tmp_path: Path) -> None:
    with pytest.raises(AgentsimError, match="is a folder"):
        write_report(hostile, tmp_path)
    with pytest.raises(AgentsimError, match="cannot be written"):
        write_report(hostile, tmp_path / "nowhere" / "report.html")


def test_the_band_by_hand() -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "act": ["give", "give", "missing", "give"],
            "fraction": [0.5, 0.1, None, 0.0],
            "replaced_by": pd.array([None, None, None, "zero"], dtype="string"),
            "donor_before": [10.0, 10.0, 10.0, 10.0],
        }
    )
    band = fraction_band(frame)
    assert list(band)[:3] == pytest.approx([0.3, 0.15, 0.65])


def test_where_nothing_is_lost_the_band_is_the_number(tmp_path: Path) -> None:
    scenario = agentsim.load_scenario(SCENARIOS / "scripted-baselines.yaml", sets=["generations=2"], seeds="0")
    study = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    bands = sensitivity(study)
    for name in ("fraction", "resources"):
        assert bands[f"{name}_low"].tolist() == pytest.approx(bands[name].tolist())
        assert bands[f"{name}_high"].tolist() == pytest.approx(bands[name].tolist())
