"""How the report opens: one sentence that says no more than the comparison, one sorted chart, and what is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import agentsim
from agentsim.analysis.compare import Comparison
from agentsim.analysis.frames.study import Study
from agentsim.report import content, headline, render
from agentsim.report.asked import asked
from agentsim.report.charts import COLOURS, specifications
from agentsim.report.tables import number

SCENARIO = {
    "name": "opening",
    "agents": 4,
    "generations": 2,
    "game": {"kind": "donor", "rounds": 2},
    "vary": {
        "players": [
            {"model": "scripted/constant-share", "share": 0.2},
            {"model": "scripted/random"},
            {"model": "scripted/all-give"},
        ]
    },
    "seeds": [0, 1, 2, 3, 4, 5],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    scenario = agentsim.scenario_from(SCENARIO)
    return agentsim.load(agentsim.run(scenario, results=tmp_path_factory.mktemp("opening")).folder)


@pytest.fixture(scope="module")
def comparison(study: Study) -> Comparison:
    return agentsim.compare(study, by="condition")


def test_what_differs_is_counted_and_the_clearest_ratio_stated(study: Study, comparison: Comparison) -> None:
    said = headline.sentence(study, comparison, "")
    assert set(comparison.table["verdict"]) == {"differ"}
    assert said.startswith(
        "All 3 pairs of conditions differ in final resources after correction, by most all-give ended"
    )
    table = comparison.table.assign(verdict=["differ", "no difference shown", "no difference shown"])
    said = headline.sentence(study, replace(comparison, table=table), "")
    assert said.startswith("1 of 3 pairs") and said.endswith("whether the others do cannot be said.")


@pytest.mark.parametrize(
    "verdict", ["cannot say: too few runs", "no difference shown", "not yet: 2 more to look at", "differ in survival"]
)
@pytest.mark.parametrize("n_pairs", [1, 3])
def test_what_cannot_be_said_is_not_said(study: Study, comparison: Comparison, verdict: str, n_pairs: int) -> None:
    table = comparison.table.head(n_pairs).assign(verdict=verdict)
    said = headline.sentence(study, replace(comparison, table=table), "")
    assert "cannot be said" in said or "is not shown" in said or "none is shown" in said
    assert " times the final resources" not in said


def test_of_no_run_one_run_and_one_condition(study: Study) -> None:
    runs = study.runs
    none = replace(study, runs=runs.assign(status="unfinished"))
    assert headline.sentence(none, None, "").endswith("none of 18 runs is complete.")
    assert headline.chart(none, None) is None
    only = runs[runs["condition"] == "random"]
    said = headline.sentence(replace(study, runs=only), None, "")
    assert said.startswith("6 runs of random ended with a geometric mean of") and "nothing here to compare" in said
    said = headline.sentence(replace(study, runs=only.head(1)), None, "")
    assert "cannot be said from a single run" in said
    assert "cannot be compared: why not" in headline.sentence(study, None, "why not.")
    some = replace(study, runs=runs.assign(status=["unfinished", *runs["status"][1:]]))
    assert "(from the 17 of 18 runs that are complete)" in headline.sentence(some, None, "")


def test_the_chart_is_sorted_and_holds_the_comparisons_intervals(study: Study, comparison: Comparison) -> None:
    chart = headline.chart(study, comparison)
    assert chart is not None and chart.is_log
    assert [row.name for row in chart.rows] == ["all-give", "random", "constant-share, share-0.2"]
    random = chart.rows[1]
    assert random.low is not None and random.mean is not None and random.high is not None
    assert 0 <= random.low < random.mean < random.high <= 100 and len(random.dots) == 6
    [row] = comparison.groups[comparison.groups["group"] == "random"].to_dict("records")
    assert random.words == number(row["geometric_mean"]) + (f" ({number(row['low'])} to {number(row['high'])})")
    scores = study.runs["mean_final_resources"].where(study.runs["seed"] > 0, 0.0)
    zero = headline.chart(replace(study, runs=study.runs.assign(mean_final_resources=scores)), None)
    assert zero is not None and not zero.is_log and all(row.low is None for row in zero.rows)


def test_what_is_missing_is_counted_and_folded(study: Study) -> None:
    runs = study.runs.assign(status=study.runs["status"].where(study.runs["seed"] < 2, "unfinished"))
    [found] = content.missing(replace(study, runs=runs))
    assert found.sentence == "12 of 18 runs did not finish: seeds 2 to 5 of all 3 conditions."
    assert len(found.runs) == 12
    odd = runs.assign(status=runs["status"].where(runs["condition"] == "random", "complete"))
    assert (
        content.missing(replace(study, runs=odd))[0].sentence == "4 of 18 runs did not finish: seeds 2 to 5 of random."
    )
    odd = runs.assign(status=["unfinished", *["complete"] * 17])
    [found] = content.missing(replace(study, runs=odd))
    assert found.sentence == f"Run {runs['run'].iloc[0]} did not finish: 2 of 2 generations ended." and not found.runs


def test_the_sentence_and_the_chart_come_before_the_comparison_and_this_before_the_rest(study: Study) -> None:
    page = render(study)
    ids = re.findall(r'<h2 id="([a-z]+)"', page)
    assert ids[:4] == ["short", "comparison", "conclusions", "missing"]
    short, rest = page.split('<h2 id="comparison"')[:2]
    assert short.count('class="headline"') == 1 and short.count("<svg") == 4  # three groups and an axis
    pairs = re.findall(r"<td>([^<]* / [^<]*)</td>", rest)
    assert pairs == ["all-give / constant-share", "all-give / random", "random / constant-share"]
    assert rest.count("What the columns say") >= 3


def test_colour_and_shape_of_conditions_repeat_late() -> None:
    chart = specifications(has_zero=False, has_published=False, conditions=[str(place) for place in range(49)])
    colour, shape = (chart["fractions"]["layer"][2]["encoding"][name]["scale"]["range"] for name in ("color", "shape"))
    assert len(set(zip(colour, shape, strict=True))) == 49 and set(colour) == set(COLOURS)


def test_prompts_can_be_read(hostile: Study) -> None:
    found = asked(hostile)
    conditions = list(dict.fromkeys(one.condition for one in found))
    assert len(conditions) == 2
    kinds = [one.what for one in found if one.condition == conditions[0]]
    assert kinds[0].startswith("g1/strategy/") and kinds[1].startswith("g3/strategy/") and len(kinds) == 4
    assert all(one.messages and one.reply in set(hostile.replies["text"]) for one in found if "\u2028" not in one.reply)


def test_a_plan_says_of_each_line_whether_it_is_as_planned(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from agentsim.cli import app

    file = tmp_path / "study.yaml"
    file.write_text(PLANNED)
    plan, results = tmp_path / "plan.json", tmp_path / "results"
    run = CliRunner().invoke
    assert run(app, ["prereg", str(file), "--by", "condition", "-o", str(plan)]).exit_code == 0
    assert run(app, ["run", str(file), "--results", str(results), "--quiet"]).exit_code == 0
    result = run(app, ["report", str(results / "planned"), "--prereg", str(plan)])
    assert result.exit_code == 0, result.output
    text = (results / "planned" / "report.html").read_text()
    assert "held against a plan written at" in text and "<td>as planned</td>" in text


PLANNED = """
name: planned
agents: 4
generations: 2
game: {kind: donor, rounds: 2}
players: {model: scripted/all-give}
vary: {players: [{model: scripted/all-give}, {model: scripted/random}]}
seeds: 0-3
"""


def test_groups_and_networks_have_their_part(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from(
        SCENARIO
        | {"vary": {}, "players": {"model": "scripted/random"}, "seeds": [0], "name": "net"}
        | {"agents": 9, "pairing": {"kind": "network", "graph": "lattice"}}
    )
    page = render(agentsim.load(agentsim.run(scenario, results=tmp_path).folder))
    assert page.count("Network of random--seed-0") == 2  # its caption and what readers of screens hear
    scenario = agentsim.scenario_from(
        SCENARIO
        | {"vary": {}, "players": {"model": "scripted/random"}, "seeds": [0], "name": "grouped"}
        | {"agents": 8, "groups": {"number": 2}}
    )
    page = render(agentsim.load(agentsim.run(scenario, results=tmp_path).folder))
    assert '<h2 id="groups"' in page and "its own group" in page
