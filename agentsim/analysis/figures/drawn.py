"""All figures that a study has data for, in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from agentsim.analysis.figures.efficiency import efficiency
from agentsim.analysis.figures.final_resources import final_resources
from agentsim.analysis.figures.giving import giving
from agentsim.analysis.figures.lineage import lineage_of
from agentsim.analysis.figures.slots import living
from agentsim.analysis.figures.society import society_of
from agentsim.analysis.figures.style import save
from agentsim.analysis.figures.unreadable import unreadable
from agentsim.analysis.frames.study import Study
from agentsim.disk.whole_files import make_folder
from agentsim.errors import AgentsimError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Drawing", "drawings", "write_figures"]

N_SOCIETIES: Final = 3
"""Runs that are drawn one by one unless more are asked for; each condition's first run comes first."""


class Drawing(NamedTuple):
    """One figure, not yet drawn."""

    name: str
    """Of its files, without ending."""
    title: str
    draw: Callable[[], Figure]
    kind: Literal["study", "society", "lineage"] = "study"
    """What it shows: the study, or a single run's society or lineage."""


def drawings(study: Study, *, n_societies: int | None = N_SOCIETIES) -> Iterator[Drawing]:
    """Yield the figures of a study; drawing one raises LogError where the study has no data for it.

    `n_societies`: how many runs have figures of their own, from 0 on; None: all of them.
    """
    yield Drawing("final-resources", "Mean final resources by generation", lambda: final_resources(study))
    yield Drawing(
        "final-resources-linear",
        "Mean final resources by generation, linear axis",
        lambda: final_resources(study, scale="linear"),
    )
    yield Drawing("efficiency", "Efficiency by generation", lambda: efficiency(study))
    yield Drawing("giving", "Giving against the recipient's record", lambda: giving(study))
    yield Drawing("unreadable", "Decisions that were not readable at once", lambda: unreadable(study))
    is_one = len(study.folders) == 1
    runs = _begun(study)
    first = runs.groupby(["study", "condition"], sort=False).cumcount()
    in_turn = runs.assign(first=first).sort_values("first", kind="stable")
    for row in in_turn.head(len(runs) if n_societies is None else n_societies).to_dict("records"):
        name, run = str(row["study"]), str(row["run"])
        label = run if is_one else f"{name}--{run}"
        agents = cache(partial(living, study, run, name=name))
        yield Drawing(f"society-{label}", f"Society of {label}", partial(_of, agents, run, society_of), "society")
        yield Drawing(f"lineage-{label}", f"Lineage of {label}", partial(_of, agents, run, lineage_of), "lineage")


def _begun(study: Study) -> pd.DataFrame:
    """Return the runs that have ended a generation, and so can be drawn."""
    return study.runs.merge(study.generations[["study", "run"]].drop_duplicates(), on=["study", "run"])


def _of(agents: Callable[[], pd.DataFrame], run: str, draw: Callable[[pd.DataFrame, str], Figure]) -> Figure:
    return draw(agents(), run)


def write_figures(study: Study, folder: Path, *, n_societies: int | None = N_SOCIETIES) -> tuple[list[Path], list[str]]:
    """Write the figures as SVG and PNG; return the paths, and why others are not drawn.

    `n_societies`: how many runs have figures of their own, from 0 on; None: all of them.

    Raises:
        AgentsimError: the folder cannot be written to, or there is nothing to draw at all.
    """
    make_folder(folder)
    paths: list[Path] = []
    undrawn = []
    for drawing in drawings(study, n_societies=n_societies):
        try:
            figure = drawing.draw()
        except AgentsimError as error:
            undrawn.append(f"{drawing.title}: not drawn. {error}")
            continue
        paths += save(figure, folder / drawing.name)
    if not paths:
        raise AgentsimError(f"{study.name}: there is nothing to draw yet; no generation has ended")
    n_runs = len(_begun(study))
    if n_societies is not None and n_runs > n_societies:
        undrawn.append(
            f"Society and lineage of {n_runs - n_societies} of {n_runs} runs: not drawn."
            " --societies draws as many as it says, or all of them: --societies all"
        )
    return paths, undrawn
