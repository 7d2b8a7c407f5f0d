"""What all figures have in common: size, colours told apart by anyone, and the same bytes for the same data."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from agentsim.errors import AgentsimError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "MARKERS", "blank", "save", "shown", "write_svg"]

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe & Ito's palette, told apart with any colour vision."""
MARKERS: Final = "osD^vPX"
MAX_SHOWN: Final = 60


def blank(width: float = 7.2, height: float = 4.4) -> Figure:
    """Return an empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def shown(text: object, *, max_chars: int = MAX_SHOWN) -> str:
    """Return foreign text for a figure: one line, cut, and with no mathematics in it (matplotlib reads $...$)."""
    from agentsim.analysis.tables import plain

    return plain(str(text), max_chars=max_chars).plain.replace("$", r"\$")


def save(figure: Figure, path: Path) -> list[Path]:
    """Write the figure as `path` with the endings .svg and .png, in the same bytes each time; return both paths.

    Raises:
        AgentsimError: the files cannot be written.
    """
    svg, png = (path.with_name(f"{path.name}{ending}") for ending in (".svg", ".png"))
    try:
        with svg.open("wb") as file:
            write_svg(figure, file)
        figure.savefig(png, metadata={"Software": None})
    except OSError as error:
        raise AgentsimError(f"{path}: the figure cannot be written ({error.strerror or error})") from error
    return [svg, png]


def write_svg(figure: Figure, file: IO[bytes]) -> None:
    """Write the figure as SVG, in the same bytes each time."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "agentsim", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
