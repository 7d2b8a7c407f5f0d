"""Values for the tuple `DRAWN`, in which a figure's file declares what is drawn for every study."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["OfRun", "OfStudy"]


class OfStudy(NamedTuple):
    """A figure of a whole study, drawn once."""

    name: str
    """Name of its files, without the extension."""
    title: str
    draw: Callable[..., Figure]
    """Takes the study and `look.Options`; raises LogError if the study has no data for it."""
    place: int = 1
    """Figures are drawn in the order of their places, then of their names."""
    are_conditions: bool = True
    """Whether what it draws are conditions, which labels and order then name; otherwise they are models."""


class OfRun(NamedTuple):
    """A figure of one run, drawn for as many runs as the user asks for."""

    name: str
    """Name of its files, without the extension and the run's name; capitalised, it is the title."""
    draw: Callable[..., Figure]
    """Takes the study, the result of `slots.living`, the run's name and `look.Options`."""
    needs: str = ""
    """The frame that must have rows of the run; empty for none."""
