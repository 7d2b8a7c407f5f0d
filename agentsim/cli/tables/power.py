"""How many seeds are needed to tell two models apart, as a table and in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from agentsim.analysis.planned_power import PlannedPower
    from agentsim.analysis.power import Power

from agentsim.cli.tables.cells import is_missing, titled

__all__ = ["planned_sentence", "power_sentences", "power_table"]


def power_table(result: Power) -> Table:
    """One row for each number of seeds: the power, and the calls and cost of both models' runs."""
    table = titled(
        f"Telling apart two models that differ {result.effect:g}-fold, {result.design}",
        caption="seeds: each model plays one run with each seed; power at p < 0.05, with the exact 95 % interval of the"
        " simulation; calls and US$ of both models' runs",
    )
    for name in ("seeds", "power", "95 %", "calls", "US$"):
        table.add_column(name, justify="right")
    for row in result.table.to_dict("records"):
        table.add_row(
            str(row["seeds"]),
            f"{row['power']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            "-" if is_missing(row["calls"]) else f"{row['calls']:,.0f}",
            "-" if is_missing(row["cost_usd"]) else f"{row['cost_usd']:,.2f}",
        )
    return table


def power_sentences(result: Power, *, target: float) -> Iterator[str]:
    """Yield the result: the fewest seeds, how uncertain they are, and what a group-sequential design saves."""
    from agentsim.analysis.power import MAX_SEEDS

    if result.seeds is None:
        yield f"{MAX_SEEDS} seeds do not reach a power of {target:g}."
    else:
        yield f"{result.seeds} seeds reach a power of {target:g}."
    if result.fewest is not None or result.most is not None:
        low = result.fewest if result.fewest is not None else f"more than {MAX_SEEDS}"
        high = result.most if result.most is not None else f"more than {MAX_SEEDS}"
        yield f"The pilot is small: its spread allows {low} to {high} seeds (95 %, if log scores are normal)."
    for design in result.sequential:
        looks = ", ".join(str(n) for n in design.looks)
        levels = ", ".join(f"{level:.2g}" for level in design.levels)
        yield (
            f"Group-sequential, looking at {looks} seeds and stopping at p < {levels} (O'Brien & Fleming 1979):"
            f" {design.looks[-1]} seeds at most, {design.expected:.0f} on average if the effect is there, for a power"
            f" of {design.power:.2f}. Looking more often, or testing at p < 0.05 each time, is not that design."
        )


def planned_sentence(result: PlannedPower) -> str:
    """Return what a plan would find."""
    looks = ", ".join(
        f"{n} seeds (p < {level:.2g}) {share:.2f}"
        for n, level, share in zip(result.looks, result.levels, result.reached, strict=True)
    )
    family = (
        f" With {result.n_contrasts} contrasts, p is compared with 5 % divided by their number, as Holm's first step."
        if result.n_contrasts > 1
        else ""
    )
    equal = (
        ""
        if result.equivalent is None
        else f" Equal groups are shown to be equivalent within {result.equivalence:g} in {result.equivalent:.2f} of all"
        " studies."
    )
    return (
        f"The plan has a power of {result.reached[-1]:.2f} for a difference of {result.effect:g}-fold, with"
        f" {result.expected:.1f} seeds on average. By look: {looks}.{family}{equal}"
    )
