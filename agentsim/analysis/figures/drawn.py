"""Drawing all figures that a study has data for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Final, NamedTuple

from agentsim.analysis.figures.declared import OfRun, OfStudy
from agentsim.analysis.figures.slots import living
from agentsim.analysis.figures.style import save
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.disk.whole_files import make_folder
from agentsim.errors import AgentsimError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Drawing", "declared", "drawings", "write_figures"]

N_SOCIETIES: Final = 3
"""The default number of runs with figures of their own; each condition's first run comes first."""


class Drawing(NamedTuple):
    """One figure, not yet drawn."""

    name: str
    """Name of its files, without the extension."""
    title: str
    draw: Callable[[], Figure]
    kind: str = "study"
    """`study`, or the name of a figure of single runs, such as `society`."""


@cache
def declared() -> tuple[tuple[OfStudy, ...], tuple[OfRun, ...]]:
    """Return the figures of studies and those of runs that this folder's files declare in `DRAWN`, in order."""
    package = __name__.rpartition(".")[0]
    names = [module.name for module in iter_modules([str(Path(__file__).parent)])]
    figures = [one for name in names for one in getattr(import_module(f"{package}.{name}"), "DRAWN", ())]
    of_studies = [one for one in figures if isinstance(one, OfStudy)]
    of_runs = [one for one in figures if isinstance(one, OfRun)]
    return tuple(sorted(of_studies, key=lambda one: (one.place, one.name))), tuple(of_runs)


def drawings(study: Study, *, n_societies: int | None = N_SOCIETIES) -> Iterator[Drawing]:
    """Yield the figures of a study; drawing one raises LogError if the study has no data for it.

    `n_societies`: how many runs have figures of their own, 0 or more; None: all of them.
    """
    of_studies, of_runs = declared()
    for one in of_studies:
        yield Drawing(one.name, one.title, partial(one.draw, study))
    is_one = len(study.folders) == 1
    runs = _begun(study)
    first = runs.groupby(["study", "condition"], sort=False).cumcount()
    in_turn = runs.assign(first=first).sort_values("first", kind="stable")
    for row in in_turn.head(len(runs) if n_societies is None else n_societies).to_dict("records"):
        name, run = str(row["study"]), str(row["run"])
        label = run if is_one else f"{name}--{run}"
        agents = cache(partial(living, study, run, name=name))
        for figure in of_runs:
            title = f"{figure.name.capitalize()} of {label}"
            yield Drawing(f"{figure.name}-{label}", title, partial(_of, agents, run, figure.draw), kind=figure.name)


def _begun(study: Study) -> pd.DataFrame:
    """Return the runs that can be drawn, because a generation has ended."""
    return study.runs.merge(study.generations[KEY].drop_duplicates(), on=KEY)


def _of(agents: Callable[[], pd.DataFrame], run: str, draw: Callable[[pd.DataFrame, str], Figure]) -> Figure:
    return draw(agents(), run)


def write_figures(study: Study, folder: Path, *, n_societies: int | None = N_SOCIETIES) -> tuple[list[Path], list[str]]:
    """Write the figures as SVG and PNG; return the paths, and why others are not drawn.

    `n_societies`: how many runs have figures of their own, 0 or more; None: all of them.

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
        names = " and ".join(one.name for one in declared()[1])
        undrawn.append(
            f"{names.capitalize()} of {n_runs - n_societies} of {n_runs} runs: not drawn."
            " --societies draws as many as it says, or all of them: --societies all"
        )
    return paths, undrawn
