"""The table of a plan: what was fixed."""

from __future__ import annotations

from rich.table import Table

from agentsim.analysis.preregistration import MEASURES, Prereg
from agentsim.analysis.spending import levels
from agentsim.cli.tables.cells import plain, titled

__all__ = ["prereg_table"]


def prereg_table(plan: Prereg) -> Table:
    """Return what a plan fixes, a row for each thing."""
    table = titled(
        f"Plan of {plain(plan.scenario).plain}", caption="nothing in it may change: compare --prereg names what does"
    )
    table.add_column("what", overflow="fold")
    table.add_column("fixed as", overflow="fold")
    looks = ", ".join(
        f"{n} seeds: p < {level:.4f}"
        for n, level in zip(
            plan.looks, levels(plan.looks, spending=plan.spending, is_paired=plan.design == "paired"), strict=True
        )
    )
    rows = {
        "scenario": f"SHA-256 {plan.scenario_digest}",
        "prompts": "; ".join(f"{name}: SHA-256 {digest}" for name, digest in plan.prompts_digests.items()),
        "groups": f"by {plan.by}, {plan.design}",
        "contrasts": "; ".join(f"{one.first} / {one.second}" for one in plan.contrasts),
        "measure": f"{plan.measure}: {MEASURES[plan.measure]}",
        "equivalence": "not tested" if plan.equivalence is None else f"within {plan.equivalence:g}",
        "runs": f"{len(plan.seeds)} of each condition, seeds {', '.join(map(str, plan.seeds))}",
        "looks": f"once, at the end: {looks}" if plan.is_whole else f"{plan.spending}; {looks}",
        "written": plan.time,
        "digest": f"SHA-256 {plan.digest}",
    }
    for name, value in rows.items():
        table.add_row(name, plain(value, max_chars=2000))
    return table
