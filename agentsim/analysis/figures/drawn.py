"""All figures that a study has data for, in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from agentsim.analysis.figures.efficiency import efficiency
from agentsim.analysis.figures.final_resources import final_resources
from agentsim.analysis.figures.giving import giving
from agentsim.analysis.figures.ledger import ledger
from agentsim.analysis.figures.lineage import lineage_of
from agentsim.analysis.figures.slots import living
from agentsim.analysis.figures.society import society_of
from agentsim.analysis.figures.style import save
from agentsim.analysis.files import make_folder
from agentsim.analysis.frames import Study
from agentsim.errors import AgentsimError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Drawing", "drawings", "write_figures"]

MAX_SOCIETIES: Final = 12
"""Runs that are drawn one by one; each condition's first run comes first."""


class Drawing(NamedTuple):
    """One figure, not yet drawn."""

    name: str
    """Of its files, without ending."""
    title: str
    draw: Callable[[], Figure]
    kind: Literal["study", "society", "lineage"] = "study"
    """What it shows: the study, or a single run's society or lineage."""


def drawings(study: Study) -> Iterator[Drawing]:
    """Yield the figures of a study; drawing one raises LogError where the study has no data for it."""
    yield Drawing("final-resources", "Mean final resources by generation", lambda: final_resources(study))
    yield Drawing(
        "final-resources-linear",
        "Mean final resources by generation, linear axis",
        lambda: final_resources(study, scale="linear"),
    )
    yield Drawing("efficiency", "Efficiency by generation", lambda: efficiency(study))
    yield Drawing("giving", "Giving against the recipient's record", lambda: giving(study))
    yield Drawing("ledger", "Decisions that were not readable at once", lambda: ledger(study))
    is_one = len(study.folders) == 1
    ended = study.generations[["study", "run"]].drop_duplicates()
    runs = study.runs.merge(ended, on=["study", "run"])
    first = runs.groupby(["study", "condition"], sort=False).cumcount()
    for row in runs.assign(first=first).sort_values("first", kind="stable").head(MAX_SOCIETIES).to_dict("records"):
        name, run = str(row["study"]), str(row["run"])
        label = run if is_one else f"{name}--{run}"
        agents = cache(partial(living, study, run, name=name))
        yield Drawing(f"society-{label}", f"Society of {label}", partial(_of, agents, run, society_of), "society")
        yield Drawing(f"lineage-{label}", f"Lineage of {label}", partial(_of, agents, run, lineage_of), "lineage")


def _of(agents: Callable[[], pd.DataFrame], run: str, draw: Callable[[pd.DataFrame, str], Figure]) -> Figure:
    return draw(agents(), run)


def write_figures(study: Study, folder: Path) -> tuple[list[Path], list[str]]:
    """Write every figure as SVG and PNG; return the paths, and why others could not be drawn.

    Raises:
        AgentsimError: the folder cannot be written to, or there is nothing to draw at all.
    """
    make_folder(folder)
    paths: list[Path] = []
    undrawn = []
    for drawing in drawings(study):
        try:
            figure = drawing.draw()
        except AgentsimError as error:
            undrawn.append(f"{drawing.title}: not drawn. {error}")
            continue
        paths += save(figure, folder / drawing.name)
    if not paths:
        raise AgentsimError(f"{study.name}: there is nothing to draw yet; no generation has ended")
    return paths, undrawn
