"""Tables fit the terminal, and neither a name nor a number in them is cut or broken."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

import agentsim
from agentsim.analysis.compare import compare
from agentsim.cli.tables.cells import called, titled
from agentsim.cli.tables.comparison import comparison_tables
from agentsim.cli.tables.fitting import common_beginning
from agentsim.cli.tables.plan import plan_table
from agentsim.cli.tables.status import status_table
from agentsim.cli.tables.study import study_tables
from agentsim.experiments.plan import plan
from agentsim.scenario.names import natural
from tests.orchestrator.test_study import scenario

NAMES = ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]
SHORT = ["…0.5b", "…1.5b"]


def drawn(table: RenderableType, width: int) -> str:
    out = Console(file=io.StringIO(), width=width, force_terminal=False)
    out.print(table)
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


@pytest.mark.parametrize(("width", "shown"), [(100, NAMES), (80, SHORT), (60, SHORT), (30, NAMES)])
def test_two_models_that_differ_in_one_place_are_told_apart_at_any_width(width: int, shown: list[str]) -> None:
    vary = {"players.model": [f"fake/{name}" for name in NAMES]}
    text = drawn(plan_table(plan(scenario(vary=vary, seeds=list(range(12))))), width)
    assert [word for word in text.split() if word in shown] == shown
    assert ("…: qwen2.5-coder-" in text) == (shown is SHORT)


def test_runs_are_in_the_order_people_sort_and_every_table_fits(tmp_path: Path) -> None:
    models = ["scripted/constant-share", "scripted/discriminator"]
    vary = {"players.model": models, "game.punishment": [None, {"cost": 1, "effect": 2}]}
    result = agentsim.run(scenario(vary=vary, seeds=[0, 2, 10], providers={}), results=tmp_path)
    study = agentsim.load(result.folder)
    for width in (80, 60):
        tables = [status_table(study), *study_tables(study), *comparison_tables(compare(study, by="condition"))]
        text = "".join(drawn(table, width) for table in tables)
        for name in ("seed-0", "seed-2", "seed-10", "punishment-cost-1-", "discriminator"):
            assert name in text
    seeds = [
        line.split()[0].rpartition("-")[2] for line in drawn(status_table(study), 80).splitlines() if "seed-" in line
    ]
    assert seeds == ["0", "2", "10"] * 4


WORD = st.text(st.sampled_from("abcxyz.-/ "), min_size=1, max_size=30).filter(str.strip)


@settings(max_examples=25)
@given(
    names=st.lists(WORD, min_size=1, max_size=4),
    number=st.integers(1000, 10**9),
    n_columns=st.integers(1, 8),
    width=st.integers(24, 120),
)
def test_no_number_is_ever_broken(names: list[str], number: int, n_columns: int, width: int) -> None:
    table = titled("Title", caption="what it is")
    table.add_column("name", justify="left")
    for n in range(n_columns):
        table.add_column(f"column {n}", justify="right")
    for name in names:
        table.add_row(called(name), *(f"{number + n:,}" for n in range(n_columns)))
    text = drawn(table, width)
    for n in range(n_columns):
        assert text.replace("\u00a0", " ").replace(";", " ").split().count(f"{number + n:,}") == len(names)


@pytest.mark.parametrize("width", [80, 60, 40])
def test_what_tells_short_names_apart_stays_on_their_line(width: int) -> None:
    table = titled("Title", caption=None)
    for head in ("run", *(f"{n} heading" for n in range(7))):
        table.add_column(head, justify="left" if head == "run" else "right")
    for seed in (0, 1):
        table.add_row(called(f"a-model-of-some-size--seed-{seed}"), *["29,263"] * 7)
    text = drawn(table, width)
    assert all(f"seed-{seed}" in text for seed in (0, 1))


@pytest.mark.parametrize(
    ("names", "beginning"),
    [
        (NAMES, "qwen2.5-coder-"),
        (["x-model--seed-2", "x-model--seed-10"], "x-model--"),
        (["gpt-4o", "gpt-4o-mini"], "gpt-"),
        (["coop", "coop--depth-3"], ""),
        (["study/a", "study/b"], "study/"),
        (["one"], ""),
        (["a-1", "a-2"], ""),
        (["abc1", "abc2"], ""),
    ],
)
def test_what_names_have_in_common_ends_where_a_part_ends(names: list[str], beginning: str) -> None:
    assert common_beginning(names) == beginning


def test_numbers_in_names_are_sorted_as_numbers() -> None:
    names = ["seed-10", "seed-2", "b", "seed-2b", "10"]
    assert sorted(names, key=natural) == ["10", "b", "seed-2", "seed-2b", "seed-10"]
