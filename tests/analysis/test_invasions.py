"""Outcomes of invasions: counted, bounded where they are not decided, and judged against chance."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import binomtest

import agentsim
from agentsim.analysis.figures import invasion_matrix
from agentsim.analysis.figures.style import write_svg
from agentsim.analysis.invasions import (
    CONDITIONS,
    COURSES,
    Courses,
    Invasions,
    contestant_name,
    courses_of,
    invasions,
    needed_runs,
    until_decided,
)
from agentsim.analysis.result_files import write_invasions
from agentsim.analysis.statistics import holm
from agentsim.analysis.within import Lineages
from agentsim.cli.tables.invasions import invasion_tables
from agentsim.errors import LogError

HOSTILE = "\x1b[2J[red]$x^2$ \u202e<script>\n=1+1"


def made(outcomes: dict[tuple[str, str], tuple[int, int, int]], *, advantage: float = 1.0, **changes: Any) -> Courses:
    """Invasions of one among 12 with so many fixed, extinct and censored, by resident and invader."""
    conditions, rows = [], []
    for place, ((resident, invader), counts) in enumerate(outcomes.items()):
        condition = {
            "condition": f"c{place}",
            "resident": resident,
            "invader": invader,
            "selection": "top",
            "is_neutral": False,
            "rules": "r",
            "n_agents": 12,
            "n_invaders": 1,
            "n_generations": 3,
            "share_lost": 0.0,
        }
        conditions.append(condition | changes)
        ends = [12] * counts[0] + [0] * counts[1] + [5] * counts[2]
        for seed, end in enumerate(ends):
            for generation, n in enumerate([1, 5 if end != 0 else 1, end], start=1):
                rows.append((f"c{place}", seed, generation, n, 10.0, 10.0 + advantage * (1 + seed % 3)))
    courses = pd.DataFrame(rows, columns=list(COURSES)).astype(COURSES)
    is_invader = np.arange(12) == 0
    first = {
        f"c{place}": [
            Lineages(np.where(is_invader, 10 + advantage * (1 + seed % 3), 10.0), np.ones(12), is_invader)
            for seed in range(sum(counts))
        ]
        for place, counts in enumerate(outcomes.values())
    }
    return Courses(pd.DataFrame(conditions).astype(CONDITIONS), until_decided(courses, n_agents=12), first=first)


def row_of(found: Invasions, place: int = 0) -> dict[Any, Any]:
    return found.conditions.to_dict("records")[place]


def test_outcomes_are_counted_and_the_censored_are_neither_lost_nor_fixed() -> None:
    found = invasions(made({("a", "b"): (20, 50, 30)}))
    row = row_of(found)
    assert (row["n_runs"], row["n_fixed"], row["n_extinct"], row["n_censored"]) == (100, 20, 50, 30)
    assert (row["rate_low"], row["rate_high"]) == (0.2, 0.5)
    assert found.runs["outcome"].value_counts().to_dict() == {"extinct": 50, "censored": 30, "fixed": 20}
    assert any("30 runs of 100 ended undecided" in note for note in found.notes)


def test_the_interval_covers_whatever_became_of_the_censored() -> None:
    row = row_of(invasions(made({("a", "b"): (20, 50, 30)})))
    assert row["low"] == pytest.approx(binomtest(20, 100).proportion_ci(method="exact").low)
    assert row["high"] == pytest.approx(binomtest(50, 100).proportion_ci(method="exact").high)


@pytest.mark.parametrize(
    ("counts", "at", "verdict"),
    [
        ((30, 70, 0), 30, "more"),
        ((30, 40, 30), 30, "more"),
        ((0, 100, 0), 0, "less"),
        ((0, 98, 2), 2, "less"),
        ((8, 92, 0), None, "cannot say"),
        ((0, 50, 50), None, "cannot say"),
        ((0, 0, 100), None, "cannot say"),
    ],
)
def test_the_test_is_exact_on_the_bound_nearer_to_chance(
    counts: tuple[int, int, int], at: int | None, verdict: str
) -> None:
    row = row_of(invasions(made({("a", "b"): counts})))
    assert row["neutral"] == pytest.approx(1 / 12) and row["verdict"] == verdict
    if at is not None:
        assert row["p"] == pytest.approx(binomtest(at, 100, 1 / 12).pvalue)
    if counts[0] / 100 < 1 / 12 < (counts[0] + counts[2]) / 100:
        assert row["p"] == 1


def test_p_is_corrected_over_all_conditions_with_selection_alone() -> None:
    counts = {("a", "b"): (16, 84, 0), ("b", "a"): (8, 92, 0), ("a", "c"): (8, 92, 0)}
    found = invasions(made(counts))
    assert row_of(found)["p_holm"] == pytest.approx(3 * row_of(found)["p"])
    neutral = made({("n", "m"): (8, 92, 0)}, is_neutral=True, condition="n0")
    neutral.courses["condition"] = pd.array(["n0"] * len(neutral.courses), dtype="string")
    one = made(counts)
    both = Courses(pd.concat([one.conditions, neutral.conditions]), pd.concat([one.courses, neutral.courses]))
    assert row_of(invasions(both))["p_holm"] == pytest.approx(3 * row_of(found)["p"])


@pytest.mark.parametrize(
    ("b_in_a", "a_in_b", "said"),
    [
        ((50, 50, 0), (0, 100, 0), "b dominates"),
        ((0, 100, 0), (50, 50, 0), "a dominates"),
        ((0, 100, 0), (0, 100, 0), "each resists the other"),
        ((50, 50, 0), (50, 50, 0), "each invades the other"),
        ((50, 50, 0), (8, 92, 0), "cannot say"),
    ],
)
def test_a_pair_is_judged_in_both_directions(
    b_in_a: tuple[int, int, int], a_in_b: tuple[int, int, int], said: str
) -> None:
    pairs = invasions(made({("a", "b"): b_in_a, ("b", "a"): a_in_b})).pairs.to_dict("records")
    assert [pair["by_fixation"] for pair in pairs] == [said]
    assert (pairs[0]["first"], pairs[0]["second"]) == ("a", "b")


def test_an_invasion_in_one_direction_makes_no_pair() -> None:
    assert invasions(made({("a", "b"): (50, 50, 0), ("c", "b"): (50, 50, 0)})).pairs.empty


def alike(n_runs: int, n_conditions: int, seed: int) -> Courses:
    """Invasions of a policy among copies of itself: scores as skewed as those of games."""
    rng = np.random.default_rng(seed)
    names = [f"p{place}" for place in range(n_conditions)]
    one = made({(name, "q"): (0, n_runs, 0) for name in names})
    is_invader = np.arange(12) == 0
    first = {
        f"c{place}": [Lineages(rng.lognormal(0, 1, 12), np.ones(12), is_invader) for _ in range(n_runs)]
        for place in range(n_conditions)
    }
    for condition, own in first.items():
        scores = np.array([each.values[0] - each.values[1:].mean() for each in own])
        here = (one.courses["condition"] == condition) & (one.courses["generation"] == 1)
        one.courses.loc[here, "invader_score"] = scores + 10
    return replace(one, first=first)


def test_a_policy_among_copies_of_itself_is_not_said_to_earn_less() -> None:
    verdicts = [invasions(alike(3, 1, seed)).conditions["verdict_advantage"][0] for seed in range(60)]
    assert sum(verdict != "cannot say" for verdict in verdicts) <= 7  # of 60 at 5 %: P(more) = 0.01


def test_the_advantages_of_a_matrix_are_one_family() -> None:
    found = invasions(alike(5, 6, 0)).conditions
    assert found["p_advantage_holm"].tolist() == pytest.approx(holm(found["p_advantage"].tolist()))
    assert (found["p_advantage_holm"] > found["p_advantage"]).any()


def test_runs_that_cannot_show_an_advantage_are_said_to_be_too_few() -> None:
    found = invasions(made({("a", "b"): (0, 1, 0), ("b", "a"): (0, 1, 0)}, advantage=5.0))
    assert set(found.conditions["verdict_advantage"]) == {"cannot say"}
    assert any("1 run cannot show what rare invaders earn" in note for note in found.notes)


def test_the_advantage_while_few_has_an_interval_over_runs() -> None:
    row = row_of(invasions(made({("a", "b"): (10, 90, 0)}, advantage=-2.0)))
    assert row["advantage_low"] < row["advantage"] < row["advantage_high"] < 0
    assert row["advantage"] == pytest.approx(-2 * sum(1 + seed % 3 for seed in range(100)) / 100)
    pairs = invasions(made({("a", "b"): (10, 90, 0), ("b", "a"): (10, 90, 0)}, advantage=3.0)).pairs
    assert list(pairs["by_fitness"]) == ["each invades the other"]


def test_too_few_runs_are_said_to_be_too_few() -> None:
    n = needed_runs(1 / 12, n_tests=2)
    assert binomtest(0, n, 1 / 12).pvalue * 2 < 0.05 <= binomtest(0, n - 1, 1 / 12).pvalue * 2
    few = invasions(made({("a", "b"): (0, n - 1, 0), ("b", "a"): (0, n - 1, 0)}))
    assert any(f"{n} runs of each condition" in note for note in few.notes)
    assert set(few.conditions["verdict"]) == {"cannot say"}
    enough = invasions(made({("a", "b"): (0, n, 0), ("b", "a"): (0, n, 0)}))
    assert not enough.notes and set(enough.conditions["verdict"]) == {"less"}


def test_a_course_ends_where_it_is_decided() -> None:
    found = made({("a", "b"): (1, 1, 1)}).courses
    assert found.groupby("seed")["generation"].max().to_list() == [3, 3, 3]
    frame = pd.DataFrame({"condition": "c", "seed": 0, "generation": [1, 2, 3, 4], "n_invaders": [1, 0, 0, 0]})
    frame = frame.assign(resident_score=1.0, invader_score=1.0).astype(COURSES)
    assert until_decided(frame, n_agents=12)["generation"].to_list() == [1, 2]


def test_names_leave_provider_and_role_away() -> None:
    player = {"model": "openai/gpt-4o", "name": "resident seed-0-g3-2_1"}
    assert contestant_name(player) == "gpt-4o seed-0-g3-2_1"
    assert contestant_name({"model": "scripted/all-keep", "name": "invader"}) == "all-keep"


def test_the_matrix_has_a_cell_for_every_ordered_pair(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    counts = {(one, other): (50, 40, 10) for one in names for other in names if one != other}
    found = invasions(made(counts))
    texts = [text.get_text() for text in invasion_matrix(found).axes[0].texts]
    assert len(texts) == 6 and all("50% – 60% ▲" in text and "×6 – 7.2" in text for text in texts)
    paths = write_invasions(found, made(counts), tmp_path)
    assert {path.name for path in paths} >= {"invasions.csv", "pairs.csv", "runs.csv", "matrix.svg", "matrix.png"}
    assert len(pd.read_csv(tmp_path / "invasions.csv")) == 6
    first = (tmp_path / "matrix.svg").read_bytes()
    write_invasions(found, made(counts), tmp_path)
    assert (tmp_path / "matrix.svg").read_bytes() == first


def test_one_matrix_is_of_one_set_of_rules() -> None:
    one = made({("a", "b"): (1, 9, 0)})
    other = Courses(one.conditions.assign(condition="d0", rules="s").astype(CONDITIONS), one.courses.copy())
    other.courses["condition"] = pd.array(["d0"] * len(other.courses), dtype="string")
    both = Courses(pd.concat([one.conditions, other.conditions]), pd.concat([one.courses, other.courses]))
    with pytest.raises(LogError, match="several rules"):
        invasion_matrix(invasions(both))


def test_with_controls_alone_there_are_numbers_and_no_matrix(tmp_path: Path) -> None:
    courses = made({("a", "b"): (1, 9, 0)}, is_neutral=True)
    found = invasions(courses)
    assert {path.name for path in write_invasions(found, courses, tmp_path)} == {
        "invasions.csv",
        "pairs.csv",
        "runs.csv",
        "courses.csv",
        "notes.txt",
    }
    assert len(list(invasion_tables(found))) == 1
    with pytest.raises(LogError, match="no matrix"):
        invasion_matrix(found)


def test_a_study_without_invasions_is_told_what_one_is() -> None:
    study = agentsim.load(Path(agentsim.__file__).parent.parent / "results" / "example-scripted")
    with pytest.raises(LogError, match="no complete invasion"):
        courses_of(study)


def test_hostile_names_are_inert_in_figure_terminal_and_files(tmp_path: Path) -> None:
    courses = made({(HOSTILE, "b"): (1, 9, 0), ("b", HOSTILE): (1, 9, 0)})
    found = invasions(courses)
    svg = io.BytesIO()
    write_svg(invasion_matrix(found), svg)
    assert b"<script" not in svg.getvalue() and b"\x1b" not in svg.getvalue()
    output = io.StringIO()
    for table in invasion_tables(found):
        Console(file=output, width=200, force_terminal=False).print(table)
    assert "[red]" in output.getvalue() and not set("\x1b\u202e") & set(output.getvalue())
    write_invasions(found, courses, tmp_path)
    assert all("\x1b" not in path.read_text() for path in tmp_path.glob("*.csv"))
