"""Reports of games other than the donor game: true to their moves, and as inert as any other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import agentsim
from agentsim.analysis.frames.study import Study
from agentsim.report import render, write_report
from agentsim.report.content import PLAYED, missing, said, unreadable
from tests.games import GAMES, play
from tests.report.conftest import ALL_VECTORS

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def _data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found.group(1))
    return data


@pytest.mark.parametrize("name", GAMES)
def test_each_game_is_told_in_its_own_words(name: str, tmp_path: Path) -> None:
    study = play(name, tmp_path)
    page = render(study)
    words = re.sub(r"<script.*?</script>|<style.*?</style>|<pre>.*?</pre>", "", page, flags=re.DOTALL)
    words = words.replace("is known in the donor game alone", "")  # why a figure is not drawn
    assert PLAYED[study.runs["game"].iloc[0]] in words.replace("&#39;", "'")
    assert "How cooperative: mean level" in words and "level says how cooperative it was" in words
    assert not re.search(
        "donor|fraction given|multiplied for its recipient|logarithmic axis|geometric mean of a", words
    )
    data = _data(page)
    assert data["spoken"]["column"] == "mean_level"
    assert set(data["agents"]["mean_level"]) - {None} and set(data["generations"]["mean_level"]) - {None}
    own = data["moves"]
    assert len(own["run"]) == len(study.moves) == sum(data["agents"]["n_decisions"])
    [first] = (
        study.outcomes[(study.outcomes["run"] == study.moves["run"].iloc[0]) & (study.outcomes["round"] == 1)]
        .query("agent == @study.moves['actor'].iloc[0]")[["before", "after"]]
        .to_numpy()
        .tolist()
    )
    place = [data["texts"][actor] for actor in own["actor"]].index(study.moves["actor"].iloc[0])
    assert [own["before"][place], own["after"][place]] == pytest.approx(first)


def test_sanctions_talk_and_several_games_are_said(talkers: Study, tmp_path: Path) -> None:
    goods = play("public-goods-with-punishment", tmp_path)
    assert "take some from named others" in said(goods)[0][-1]
    assert "write to each other" in said(talkers)[0][-1]
    both = agentsim.load(*goods.folders.values(), *talkers.folders.values())
    assert "Units and levels of different games are not compared." in said(both)[0][-1]
    assert "are different games" in render(both)  # in place of a comparison


def test_what_could_not_be_read_is_counted_in_moves_and_messages(talkers: Study) -> None:
    sentences = " ".join(one.sentence for one in missing(talkers))
    n_unread, n_turned = int(talkers.messages["message"].isna().sum()), int(talkers.moves["intended"].notna().sum())
    assert 0 < n_unread < len(talkers.messages) and n_turned
    assert f"{n_unread} of {len(talkers.messages)} messages" in sentences
    n_all = len(talkers.moves)
    assert f"In {n_turned} of {n_all} moves ({n_turned / n_all:.1%}) chance made another option" in sentences
    table = unreadable(talkers)
    assert table is not None and sum(int(row[2]) for row in table.rows) == len(talkers.moves)


def test_messages_and_moves_are_shown_and_nothing_in_them_runs(
    talkers: Study, browser: Browser, tmp_path: Path
) -> None:
    texts = " ".join(talkers.messages["message"].dropna())
    assert sum(vector in texts for vector in ALL_VECTORS) > 50
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(600_000)
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(write_report(talkers, tmp_path / "report.html").as_uri())
    for chart in ("chart-resources", "chart-fractions", "chart-society", "chart-life"):
        page.wait_for_selector(f"#{chart} svg path")
    for name in page.eval_on_selector_all("#society-agent option", "options => options.map(o => o.value)"):
        page.select_option("#society-agent", name)
        shown = page.eval_on_selector_all("#talk .words", "found => found.map(one => one.textContent)")
        own = talkers.messages[(talkers.messages["author"] == name) | (talkers.messages["recipients"] == name)]
        assert sorted(shown) == sorted(own["message"].fillna("–"))  # to the letter
    page.click("#move-table button.link:has-text('read')")
    page.select_option("#message-filter-generation", "2")
    n = int((talkers.messages["generation"] == 2).sum())
    assert page.inner_text("#message-table .note").startswith(f"{n} of {len(talkers.messages)} messages")
    option = talkers.moves["option"].iloc[0]
    assert option in page.eval_on_selector_all(
        "#filter-option, #move-filter-option option", "all => all.map(o => o.textContent)"
    )
    assert any(
        option in cell for cell in page.eval_on_selector_all("#move-table td", "all => all.map(o => o.textContent)")
    )
    assert page.locator("input[name=axis]").count() == 0  # resources add up, so the axis is linear
    assert page.evaluate("window.pwned") is None
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()
