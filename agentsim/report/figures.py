"""The figures for papers as inline images: an SVG in a data URI runs no script and loads nothing."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, NamedTuple

from agentsim.analysis.figures.style import write_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Image", "image"]


class Image(NamedTuple):
    """One figure, inlined."""

    title: str
    uri: str


def image(figure: Figure, *, title: str) -> Image:
    """Return a figure as an SVG in a data URI; the same figure gives the same bytes."""
    file = io.BytesIO()
    write_svg(figure, file)
    return Image(title, "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode())
