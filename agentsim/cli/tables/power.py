"""How many seeds tell two models apart, as a table and in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from agentsim.analysis.power import Power

from agentsim.cli.tables.cells import is_missing, titled

__all__ = ["power_sentences", "power_table"]


def power_table(found: Power) -> Table:
    """One row a number of seeds: the power, and what that many runs of two models ask and cost."""
    table = titled(
        f"Telling apart two models that differ {found.effect:g}-fold, {found.design}",
        caption="seeds: a run of each model at each; power at p < 0.05, with the exact 95 % interval of the simulation;"
        " calls and US$ of both models' runs",
    )
    for name in ("seeds", "power", "95 %", "calls", "US$"):
        table.add_column(name, justify="right")
    for row in found.table.to_dict("records"):
        table.add_row(
            str(row["seeds"]),
            f"{row['power']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            "-" if is_missing(row["calls"]) else f"{row['calls']:,.0f}",
            "-" if is_missing(row["cost_usd"]) else f"{row['cost_usd']:,.2f}",
        )
    return table


def power_sentences(found: Power, *, target: float) -> Iterator[str]:
    """Yield what the simulation comes to: the fewest seeds, by how much that is uncertain, and what looks save."""
    from agentsim.analysis.power import MAX_SEEDS

    if found.seeds is None:
        yield f"{MAX_SEEDS} seeds do not reach a power of {target:g}."
    else:
        yield f"{found.seeds} seeds for a power of {target:g}."
    if found.fewest is not None or found.most is not None:
        low = found.fewest if found.fewest is not None else f"more than {MAX_SEEDS}"
        high = found.most if found.most is not None else f"more than {MAX_SEEDS}"
        yield f"The pilot is small: its spread allows anything from {low} to {high} seeds (95 %, were logs normal)."
    for each in found.sequential:
        looks = ", ".join(str(n) for n in each.looks)
        levels = ", ".join(f"{level:.2g}" for level in each.levels)
        yield (
            f"Group-sequential, looking at {looks} seeds and stopping at p < {levels} (O'Brien & Fleming 1979):"
            f" {each.looks[-1]} seeds at most, {each.expected:.0f} on average if the effect is there, for a power of"
            f" {each.power:.2f}. Looking oftener, or at p < 0.05 each time, is not that design."
        )
