"""The style of all figures: strokes for all kinds of colour vision, margins, and the same bytes for the same data."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from io import BytesIO
from math import ceil
from pathlib import Path
from struct import pack
from textwrap import fill
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

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
    "DPI",
    "FORMATS",
    "FRACTIONS",
    "MARKERS",
    "Stroke",
    "above_legend",
    "blank",
    "colour_scale",
    "label",
    "legend_below",
    "placed",
    "save",
    "shown",
    "stroke",
    "title_room",
    "titled",
    "write_svg",
]

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe & Ito's palette for colour-blind readers."""
DASHES: Final = ((6, 2), (2, 2), (6, 2, 2, 2), (8, 3, 2, 3, 2, 3))
"""Dash patterns of published runs, one for each model."""
MARKERS: Final = "osD^vPX"
LINES: Final[tuple[Any, ...]] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
"""Line styles of conditions: whole for as many as there are colours, then dashed, dotted, and both."""
MAX_SHOWN: Final = 60
LEGEND, LEGEND_LINE, LEGEND_GAP = 0.1, 0.14, 0.045
"""Height of a legend without its rows, of one line, and between rows, in inches."""
LEGEND_CHAR, LEGEND_HANDLE = 0.068, 0.55
"""Width of a character of a legend's labels, and of what stands before each, in inches."""
LEAST_HEIGHT: Final = 2.0
"""Of axes above a legend, in inches, where the figure may grow; where its height is stated, half of that."""
TITLE_LINE: Final = 0.19
"""Height of a line of the title, in inches."""
FORMATS: Final = ("svg", "png", "pdf")
DPI: Final = 300
"""Of bitmaps, as journals ask for."""
FRACTIONS: Final[dict[str, Any]] = {"cmap": "viridis", "vmin": 0, "vmax": 1}
"""The colour map of fractions from 0 to 1."""


def blank(width: float = 7.2, height: float = 4.4, *, is_placed: bool = False) -> Figure:
    """Return an empty figure, in inches; `is_placed`: what it holds is put in its place by `placed`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout=None if is_placed else "constrained")


class Stroke(NamedTuple):
    """How the lines and points of one condition are drawn."""

    colour: str
    marker: str
    line: Any


def stroke(index: int) -> Stroke:
    """Return the stroke of the condition at a place, from 0: colour, marker and line together repeat after 196."""
    turn = index // len(COLOURS)
    return Stroke(COLOURS[index % len(COLOURS)], MARKERS[(index + turn) % len(MARKERS)], LINES[turn % len(LINES)])


def shown(text: object, *, max_chars: int = MAX_SHOWN) -> str:
    """Return foreign text for a figure: one line, cut, and with no mathematics in it (matplotlib reads $...$)."""
    return one_line(text, max_chars=max_chars).replace("$", r"\$")


def save(figure: Figure, path: Path | str, *, formats: Sequence[str] = ("svg", "png"), dpi: float = DPI) -> list[Path]:
    """Write the figure as `path` with the ending of each format, in the same bytes each time; return the paths.

    Args:
        figure: what is written.
        path: without an ending.
        formats: any of `svg`, `png` and `pdf`; the first and the last are vectors.
        dpi: dots per inch of a bitmap.

    Raises:
        AgentsimError: the files cannot be written, or there is no such format.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise AgentsimError(f"format {unknown[0]!r}: is not known; state any of {', '.join(FORMATS)}")
    if not 20 <= dpi <= 2400:
        raise AgentsimError(f"dpi {dpi:g}: is out of range; state 20 to 2400, as 300 for print")
    path = Path(path)
    paths = []
    try:
        for ending in dict.fromkeys(formats):
            drawn = BytesIO()
            if ending == "svg":
                write_svg(figure, drawn)
            elif ending == "png":
                _write_png(figure, drawn, dpi)
            else:
                _write_pdf(figure, drawn)
            place = path.with_name(f"{path.name}.{ending}")
            replace_whole(place, lambda path, drawn=drawn: path.write_bytes(drawn.getbuffer()))  # type: ignore[misc]
            paths.append(place)
    except OSError as error:
        raise AgentsimError(f"{path}: the figure cannot be written ({error.strerror or error})") from error
    return paths


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


def _write_png(figure: Figure, file: IO[bytes], dpi: float) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    settle(figure)
    before = figure.dpi
    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    file.write(_png(np.asarray(canvas.buffer_rgba())[:, :, :3], dpi=dpi))
    figure.set_dpi(before)


def _write_pdf(figure: Figure, file: IO[bytes]) -> None:
    import matplotlib
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    settle(figure)
    dpi = figure.dpi
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # journals want fonts that can be edited
        canvas: Any = FigureCanvasPdf(figure)
        canvas.print_pdf(file, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    figure.set_dpi(dpi)


def _png(pixels: npt.NDArray[np.uint8], *, dpi: float) -> bytes:
    """Return pixels, (height, width, 3), as a PNG file (W3C's specification, third edition, sections 5 and 11).

    Rows are not filtered: filters suit photographs, and choosing them took half of the time.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each begins with the number of its filter, 0
    for channel in range(3):  # one by one: pixels have a fourth, and to copy around it took twice as long
        rows[:, 1 + channel :: 3] = pixels[:, :, channel]
    a_metre = round(dpi / 0.0254)
    chunks = (
        (b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),  # 8 bits a channel, three channels
        (b"pHYs", pack(">IIB", a_metre, a_metre, 1)),
        (b"IDAT", zlib.compress(rows.data, 1)),
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


def above_legend(
    figure: Figure, *, left: float, labels: Sequence[str], note: str = "", title: str = "", is_fixed: bool = False
) -> Axes:
    """Add axes that leave room for their title, a legend of these labels below (`legend_below`) and a note in between.

    `left`: the margin of the ticks and their label, in inches; `is_fixed`: the figure keeps its height.

    Raises:
        AgentsimError: the legend would leave no room in a figure of a fixed height.
    """
    columns, rows = _legend(labels, figure.get_figwidth())
    n_rows = ceil(len(rows) / columns)
    n_lines = sum(max(row.count("\n") + 1 for row in rows[place::n_rows]) for place in range(n_rows))
    legend = LEGEND + LEGEND_LINE * n_lines + LEGEND_GAP * n_rows if rows else 0.0
    bottom, top = legend + 0.14 * len(note.splitlines()) + 0.55, title_room(title)
    least = bottom + top + LEAST_HEIGHT / (2 if is_fixed else 1)
    if is_fixed and figure.get_figheight() < least:
        raise AgentsimError(
            f"height {figure.get_figheight():g}: leaves no room above the legend; state {least:.1f} inches or more"
        )
    figure.set_figheight(max(figure.get_figheight(), least))  # whatever the legend takes
    if note:
        figure.supxlabel(note, y=legend / figure.get_figheight(), fontsize=7)
    return placed(figure, left=left, right=0.15, bottom=bottom, top=top)


def legend_below(figure: Figure) -> None:
    """Put what the figure's lines are called below its axes, which `above_legend` has made."""
    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = [handle for of_axes, _ in found for handle in of_axes]
    columns, rows = _legend([label for _, of_axes in found for label in of_axes], figure.get_figwidth())
    figure.legend(
        handles, rows, loc="lower center", fontsize=8, frameon=False, ncols=columns, handlelength=3.5, labelspacing=0.4
    )


def _legend(labels: Sequence[str], width: float) -> tuple[int, list[str]]:
    """Return how many columns a legend of a width in inches has, and its labels in lines that fit: none is cut."""
    longest = max(map(len, labels), default=0)
    columns = min(3, max(1, len(labels)), max(1, int(width / (LEGEND_HANDLE + 0.15 + LEGEND_CHAR * longest))))
    fits = max(12, int((width / columns - LEGEND_HANDLE - 0.15) / LEGEND_CHAR))
    return columns, [fill(label, fits) if len(label) > fits else label for label in labels]


def title_room(title: str) -> float:
    return 0.16 + TITLE_LINE * len(title.splitlines())


def titled(axes: Axes, title: str) -> None:
    """Put a title above axes that `above_legend` or `placed` has made."""
    figure = axes.get_figure(root=True)
    is_narrow = figure is not None and figure.get_figwidth() < 5
    place = axes.get_position()
    middle = (0.5 - place.x0) / place.width if is_narrow else 0.5  # of the figure, where the axes have no room
    axes.set_title(title, fontsize=9 if is_narrow else 11, y=1, x=middle)


def label(axes: Axes, *, x: str = "", y: str = "", x_below: float = 0.32, y_beside: float = 0.42) -> None:
    """Label the axes at these distances, in inches, instead of where their ticks' labels end."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    place = axes.get_position()
    width, height = place.width * figure.get_figwidth(), place.height * figure.get_figheight()
    axes.set_xlabel(fill(x, int(figure.get_figwidth() / 0.075)), fontsize=9)
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
