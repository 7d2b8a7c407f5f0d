"""Terminal tables of invasions: the matrix of who invades whom, each condition's numbers, and the pairs."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final

import pandas as pd
from rich.table import Table

from agentsim.analysis.invasions import MARKS, Invasions, matrix_rows
from agentsim.cli.tables.cells import called, plain, titled

__all__ = ["invasion_tables"]

MAX_COLUMNS: Final = 8
"""The most contestants of a matrix that fits a terminal."""
MAX_ROWS: Final = 42
"""The most conditions or pairs that are listed; the files have the rest."""


def invasion_tables(result: Invasions) -> Iterator[Table]:
    """Yield the matrix if it fits, the conditions and the pairs."""
    names, cells = matrix_rows(result)
    if cells and len(names) <= MAX_COLUMNS:
        yield _matrix(names, cells)
    yield _conditions(result.conditions)
    if not result.pairs.empty:
        yield _pairs(result.pairs)


def _matrix(names: list[str], cells: Mapping[tuple[str, str], Mapping[Any, Any]]) -> Table:
    table = titled(
        "How often invaders fixed under selection (rows: residents, columns: invaders)",
        caption="▲ more often than chance, ▼ less often, · cannot say (p < 0.05 after Holm)",
    )
    table.add_column("resident", overflow="fold")
    for name in names:
        table.add_column(called(name), justify="right", overflow="fold")
    for resident in names:
        row = [cells.get((resident, invader)) for invader in names]
        table.add_row(
            called(resident),
            *("-" if cell is None else f"{_rate(cell)} {MARKS[cell['verdict']]}" for cell in row),
        )
    return table


def _conditions(conditions: pd.DataFrame) -> Table:
    """One row for each resident and invader, with the rate under selection and the rate without."""
    is_neutral = conditions["is_neutral"].astype(bool)
    under = conditions[~is_neutral] if not is_neutral.all() else conditions
    controls = {(row["resident"], row["invader"]): row for row in conditions[is_neutral].to_dict("records")}
    more = len(under) - MAX_ROWS
    first = under.to_dict("records")[0]
    table = titled(
        f"{first['n_invaders']} invading among {first['n_agents']}, {first['n_generations']} generations, selection:"
        f" {plain(first['selection']).plain}",
        caption="fixed: invaders took over; lost: they died out; open: undecided when the generations ended (censored),"
        f" so the rate has bounds; without: the rate without selection; chance is {first['neutral']:.1%}; p: exact,"
        " against chance, after Holm; advantage: mean score of invaders minus that of residents in generation 1"
        " (units), ▲ more, ▼ less, · cannot say, by labels permuted within societies (p < 0.05 after Holm); intervals:"
        " 95 %, not corrected" + (f"; {more} more are in invasions.csv" if more > 0 else ""),
    )
    for name in ("resident", "invader", "fixed/lost/open", "rate", "without", "p", "advantage"):
        is_name = name in ("resident", "invader")
        table.add_column(
            name, justify="left" if is_name else "right", min_width=9 if is_name else None, overflow="fold"
        )
    for row in under.head(MAX_ROWS).to_dict("records"):
        control = controls.get((row["resident"], row["invader"]))
        table.add_row(
            *(called(row[name]) for name in ("resident", "invader")),
            "/".join(f"{row[name]:,}" for name in ("n_fixed", "n_extinct", "n_censored")),
            f"{_rate(row)} {MARKS[row['verdict']]}\n[{100 * row['low']:.0f}, {100 * row['high']:.0f}]",
            "-" if control is None else _rate(control),
            f"{row['p_holm']:.2g}" if row["p_holm"] >= 0.001 else "<0.001",
            _advantage(row),
        )
    return table


def _pairs(pairs: pd.DataFrame) -> Table:
    more = len(pairs) - MAX_ROWS
    table = titled(
        "Pairs, in both directions",
        caption="by fixation: from how often invaders fixed, against chance; by fitness: from their scores while rare"
        + (f"; {more} more pairs are in pairs.csv" if more > 0 else ""),
    )
    for name in ("contestants", "by fixation", "by fitness"):
        table.add_column(name, overflow="fold")
    for row in pairs.head(MAX_ROWS).to_dict("records"):
        table.add_row(
            called(row["first"], row["second"], joint=" and "),
            *(plain(row[name]) for name in ("by_fixation", "by_fitness")),
        )
    return table


def _rate(row: Mapping[Hashable, Any]) -> str:
    if row["n_censored"] == 0:
        return f"{row['rate_low']:.0%}"
    return f"{100 * row['rate_low']:.1f} - {row['rate_high']:.1%}"


def _advantage(row: Mapping[Hashable, Any]) -> str:
    mark = "" if pd.isna(row["verdict_advantage"]) else f" {MARKS[row['verdict_advantage']]}"
    mean = f"{row['advantage']:+,.1f}{mark}"
    if pd.isna(row["advantage_low"]):
        return mean
    if row["advantage_low"] == row["advantage_high"]:
        return f"{mean}\nalways"
    return f"{mean}\n[{row['advantage_low']:+,.1f}, {row['advantage_high']:+,.1f}]"
