"""The style of all figures: size, colours for all kinds of colour vision, and the same bytes for the same data."""

from __future__ import annotations

import zlib
from io import BytesIO
from math import ceil
from pathlib import Path
from struct import pack
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.foreign import one_line
from agentsim.disk.whole_files import replace_whole
from agentsim.errors import AgentsimError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "DASHES",
    "FRACTIONS",
    "MARKERS",
    "above_legend",
    "blank",
    "colour_scale",
    "label",
    "legend_below",
    "placed",
    "save",
    "shown",
    "write_svg",
]

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe & Ito's palette for colour-blind readers."""
DASHES: Final = ((6, 2), (2, 2), (6, 2, 2, 2), (8, 3, 2, 3, 2, 3))
"""Dash patterns of published runs, one for each model."""
MARKERS: Final = "osD^vPX"
MAX_SHOWN: Final = 60
LEGEND, LEGEND_ROW, LEGEND_COLUMNS = 0.1, 0.19, 2
"""Height of a legend without its rows, and of one row, in inches; how many labels stand in a row."""
LEAST_HEIGHT: Final = 2.0
"""Of axes above a legend, in inches."""
FRACTIONS: Final[dict[str, Any]] = {"cmap": "viridis", "vmin": 0, "vmax": 1}
"""The colour map of fractions from 0 to 1."""


def blank(width: float = 7.2, height: float = 4.4, *, is_placed: bool = False) -> Figure:
    """Return an empty figure, in inches; `is_placed`: what it holds is put in its place by `placed`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout=None if is_placed else "constrained")


def shown(text: object, *, max_chars: int = MAX_SHOWN) -> str:
    """Return foreign text for a figure: one line, cut, and with no mathematics in it (matplotlib reads $...$)."""
    return one_line(text, max_chars=max_chars).replace("$", r"\$")


def save(figure: Figure, path: Path) -> list[Path]:
    """Write the figure as `path` with the endings .svg and .png, in the same bytes each time; return both paths.

    Raises:
        AgentsimError: the files cannot be written.
    """
    svg, png = (path.with_name(f"{path.name}{ending}") for ending in (".svg", ".png"))
    try:
        for place, write in ((svg, write_svg), (png, _write_png)):
            drawn = BytesIO()
            write(figure, drawn)
            replace_whole(place, lambda path, drawn=drawn: path.write_bytes(drawn.getbuffer()))  # type: ignore[misc]
    except OSError as error:
        raise AgentsimError(f"{path}: the figure cannot be written ({error.strerror or error})") from error
    return [svg, png]


def write_svg(figure: Figure, file: IO[bytes]) -> None:
    """Write the figure as SVG, in the same bytes each time."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    settle(figure)
    dpi = figure.dpi  # an SVG is drawn at 72 points an inch
    with matplotlib.rc_context({"svg.hashsalt": "agentsim", "svg.fonttype": "path"}):
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(file, metadata={"Date": None, "Creator": None})
    figure.set_dpi(dpi)


def _write_png(figure: Figure, file: IO[bytes]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    settle(figure)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    file.write(_png(np.asarray(canvas.buffer_rgba())[:, :, :3], dpi=figure.dpi))


def _png(pixels: npt.NDArray[np.uint8], *, dpi: float) -> bytes:
    """Return pixels, (height, width, 3), as a PNG file (W3C's specification, third edition, sections 5 and 11).

    Rows are not filtered: filters suit photographs, and choosing them took half of the time.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each begins with the number of its filter, 0
    rows[:, 1:] = pixels.reshape(height, -1)
    a_metre = round(dpi / 0.0254)
    chunks = (
        (b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),  # 8 bits a channel, three channels
        (b"pHYs", pack(">IIB", a_metre, a_metre, 1)),
        (b"IDAT", zlib.compress(rows.tobytes(), 3)),
        (b"IEND", b""),
    )
    parts = (pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def thin_lines(axes: Axes, runs: pd.DataFrame, *, x: str, y: str, **style: Any) -> None:
    """Draw one thin line a run, all as one artist; `runs` has the columns study, run, x and y."""
    from matplotlib.collections import LineCollection

    places = np.column_stack([runs[name].to_numpy(dtype=float, na_value=np.nan) for name in (x, y)])
    study, run = (pd.factorize(runs[name])[0] for name in ("study", "run"))
    begins = np.flatnonzero((np.diff(study) != 0) | (np.diff(run) != 0)) + 1
    axes.add_collection(LineCollection(np.split(places, begins), **style))


def settle(figure: Figure) -> None:
    """Work out once where everything stands, and keep it there.

    To place axes takes longer than to draw them, and `Figure.savefig` does so anew for each format.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    figure.set_layout_engine("none")


def placed(figure: Figure, *, left: float, right: float, bottom: float, top: float) -> Axes:
    """Add axes with these margins, in inches, and return them.

    For figures drawn by the dozen, whose labels are known in advance, so nothing has to be measured.
    """
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


def above_legend(figure: Figure, *, left: float, n_labels: int, note: str = "") -> Axes:
    """Add axes that leave room for a legend of `n_labels` labels below (`legend_below`) and a note in between.

    `left`: the margin of the ticks and their label, in inches.
    """
    legend = LEGEND + LEGEND_ROW * ceil(n_labels / LEGEND_COLUMNS)
    bottom, top = legend + 0.14 * len(note.splitlines()) + 0.55, 0.35
    figure.set_figheight(max(figure.get_figheight(), bottom + top + LEAST_HEIGHT))  # whatever the legend takes
    if note:
        figure.supxlabel(note, y=legend / figure.get_figheight(), fontsize=7)
    return placed(figure, left=left, right=0.15, bottom=bottom, top=top)


def legend_below(figure: Figure) -> None:
    """Put what the figure's lines are called below its axes, which `above_legend` has made."""
    figure.legend(loc="lower center", fontsize=8, frameon=False, ncols=LEGEND_COLUMNS, handlelength=3.5)


def label(axes: Axes, *, x: str = "", y: str = "", x_below: float = 0.32, y_beside: float = 0.42) -> None:
    """Label the axes at these distances, in inches, instead of where their ticks' labels end."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    place = axes.get_position()
    width, height = place.width * figure.get_figwidth(), place.height * figure.get_figheight()
    axes.set_xlabel(x, fontsize=9)
    axes.xaxis.set_label_coords(0.5, -x_below / height)
    axes.set_ylabel(y, fontsize=9)
    axes.yaxis.set_label_coords(-y_beside / width, 0.5)


def colour_scale(axes: Axes, *, title: str) -> None:
    """Draw the colours of fractions from 0 to 1 into axes of their own."""
    axes.imshow([[step / 255] for step in range(256)], origin="lower", extent=(0, 1, 0, 1), aspect="auto", **FRACTIONS)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.tick_params(axis="y", labelsize=8)
    label(axes, y=title, y_beside=-0.57)
