"""Drawing all figures that a study has data for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Final, NamedTuple, Unpack

from agentsim.analysis.figures.declared import OfRun, OfStudy
from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.slots import living
from agentsim.analysis.figures.style import DPI, save
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.disk.whole_files import make_folder
from agentsim.errors import AgentsimError, LogError

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


def drawings(
    study: Study, *, n_societies: int | None = N_SOCIETIES, only: Collection[str] = (), **options: Unpack[Options]
) -> Iterator[Drawing]:
    """Yield the figures of a study; drawing one raises LogError if the study has no data for it.

    Args:
        study: what is drawn.
        n_societies: how many runs have figures of their own, 0 or more; None: all of them.
        only: names of figures of studies, or of figures of runs, such as `society`; empty for all.
        options: how they are to look. Labels and order name conditions, and go to the figures that have these.

    Raises:
        AgentsimError: `only` names a figure that there is not.
    """
    of_studies, of_runs = declared()
    names = [*(one.name for one in of_studies), *(one.name for one in of_runs)]
    if unknown := [name for name in only if name not in names]:
        raise AgentsimError(f"figure {unknown[0]!r}: there is none of this name; there are {', '.join(names)}")
    plain = Options(**{name: value for name, value in options.items() if name in ("width", "height")})  # type: ignore[typeddict-item] # two of its keys
    for of_study in of_studies:
        if not only or of_study.name in only:
            drawn = options if of_study.are_conditions else plain
            yield Drawing(of_study.name, of_study.title, partial(of_study.draw, study, **drawn))
    figures = [one for one in of_runs if not only or one.name in only]
    is_one = len(study.folders) == 1
    runs = _begun(study)
    first = runs.groupby(["study", "condition"], sort=False).cumcount()
    in_turn = runs.assign(first=first).sort_values("first", kind="stable")
    has = {
        one.needs: set(study.frame(one.needs)[KEY].itertuples(index=False, name=None)) for one in figures if one.needs
    }
    for row in in_turn.head(len(runs) if n_societies is None else n_societies).to_dict("records"):
        name, run = str(row["study"]), str(row["run"])
        label = run if is_one else f"{name}--{run}"
        agents = cache(partial(living, study, run, name=name))
        for figure in figures:
            if figure.needs and (name, run) not in has[figure.needs]:
                continue
            title = f"{figure.name.capitalize()} of {label}"
            draw = partial(_of, study, agents, run, partial(figure.draw, **plain))
            yield Drawing(f"{figure.name}-{label}", title, draw, kind=figure.name)


def _begun(study: Study) -> pd.DataFrame:
    """Return the runs that can be drawn, because a generation has ended."""
    return study.runs.merge(study.generations[KEY].drop_duplicates(), on=KEY)


def _of(
    study: Study, agents: Callable[[], pd.DataFrame], run: str, draw: Callable[[Study, pd.DataFrame, str], Figure]
) -> Figure:
    return draw(study, agents(), run)


def write_figures(
    study: Study,
    folder: Path,
    *,
    n_societies: int | None = N_SOCIETIES,
    only: Collection[str] = (),
    formats: Sequence[str] = ("svg", "png"),
    dpi: float = DPI,
    **options: Unpack[Options],
) -> tuple[list[Path], list[str]]:
    """Write the figures, by default as SVG and PNG; return the paths, and why others are not drawn.

    Args:
        study: what is drawn.
        folder: where the files are written.
        n_societies: how many runs have figures of their own, 0 or more; None: all of them.
        only: names of figures, as in `drawings`; empty for all.
        formats: any of `svg`, `png` and `pdf`.
        dpi: dots per inch of bitmaps.
        options: how they are to look, as in `drawings`.

    Raises:
        AgentsimError: the folder cannot be written to, there is nothing to draw at all, or an option cannot be met.
    """
    look = Look.of(**options)
    if look.order or look.labels:
        look.names(study.conditions(study.runs).dropna())
    make_folder(folder)
    paths: list[Path] = []
    undrawn = []
    for drawing in drawings(study, n_societies=n_societies, only=only, **options):
        try:
            figure = drawing.draw()
        except LogError as error:
            undrawn.append(f"{drawing.title}: not drawn. {error}")
            continue
        paths += save(figure, folder / drawing.name, formats=formats, dpi=dpi)
    if not paths:
        raise AgentsimError(
            undrawn[0] if only and undrawn else f"{study.name}: there is nothing to draw yet; no generation has ended"
        )
    n_runs = len(_begun(study))
    drawn = [one.name for one in declared()[1] if (not only or one.name in only) and not one.needs]
    if n_societies is not None and n_runs > n_societies and drawn:
        undrawn.append(
            f"{' and '.join(drawn).capitalize()} of {n_runs - n_societies} of {n_runs} runs: not drawn."
            " --societies draws as many as it says, or all of them: --societies all"
        )
    return paths, undrawn
