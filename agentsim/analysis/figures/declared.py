"""How a figure's file says that its figure belongs to every study: by a tuple `DRAWN` of these values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agentsim.analysis.frames.study import Study

__all__ = ["OfRun", "OfStudy"]


class OfStudy(NamedTuple):
    """A figure of a whole study, drawn once."""

    name: str
    """Name of its files, without the ending."""
    title: str
    draw: Callable[[Study], Figure]
    """Raises LogError where the study has no data for it."""
    place: int = 1
    """Figures are drawn in the order of their places, those of the same place in the order of their names."""


class OfRun(NamedTuple):
    """A figure of one run, drawn for as many runs as are asked for."""

    name: str
    """Name of its files without the ending and the run's name; capitalised, its title."""
    draw: Callable[[pd.DataFrame, str], Figure]
    """Takes what `slots.living` returns, and the run's name."""
