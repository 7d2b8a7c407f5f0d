"""How a figure is to look: what every function of this folder takes beside its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from textwrap import fill
from typing import Any, Final, Literal, TypedDict, Unpack

from agentsim.analysis.figures.style import shown
from agentsim.analysis.labels import labels_of
from agentsim.errors import AgentsimError

__all__ = ["WIDTHS", "Look", "Options", "Width"]

Width = Literal["single-column", "double-column"]
WIDTHS: Final[Mapping[str, float]] = {"single-column": 3.5, "double-column": 7.2}
"""In inches: 89 and 183 mm, as most journals have them."""
NARROW: Final = 5.0
"""Narrower figures have smaller titles."""
LEAST, MOST = 1.0, 60.0
"""Of a side, in inches."""


class Options(TypedDict, total=False):
    """How a figure is to look; whatever is left out is chosen."""

    width: Width | float
    """`single-column` (3.5 in), `double-column` (7.2 in), or inches."""
    height: float
    """In inches."""
    title: str
    """Empty: no title, as where the caption has it."""
    labels: Mapping[str, str]
    """What conditions, groups, models or agents are called, by their names."""
    order: Sequence[str]
    """The names in the order in which they are drawn; those left out follow."""


@dataclass(frozen=True)
class Look:
    """Options, checked."""

    width: float | None = None
    height: float | None = None
    own_title: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    @classmethod
    def of(cls, **options: Unpack[Options]) -> Look:
        """Return options that were checked.

        Raises:
            AgentsimError: a side is no length, or there is no such option.
        """
        if unknown := sorted(set(options) - set(Options.__annotations__)):
            known = ", ".join(Options.__annotations__)
            raise AgentsimError(f"figures: {unknown[0]!r} is no option of a figure; there are {known}")
        width: Any = options.get("width")
        if isinstance(width, str):
            if width not in WIDTHS:
                raise AgentsimError(f"width {width!r}: is not known; state {', '.join(WIDTHS)}, or inches")
            width = WIDTHS[width]
        return cls(
            width=_side("width", width),
            height=_side("height", options.get("height")),
            own_title=options.get("title"),
            labels={str(name): str(label) for name, label in options.get("labels", {}).items()},
            order=tuple(str(name) for name in options.get("order", ())),
        )

    def size(self, width: float, height: float, *, scales: bool = True) -> tuple[float, float]:
        """Return width and height, in inches, for a figure with these defaults.

        `scales`: a figure that is made narrower becomes lower, too; otherwise its rows decide.
        """
        chosen = self.width or width
        shape = min(1.0, max(0.75, chosen / width)) if scales else 1.0
        return chosen, self.height or height * shape

    def names(self, found: Iterable[object]) -> dict[str, str]:
        """Return the names to be drawn, in order, each with its label; `found` is in the order without options.

        Raises:
            AgentsimError: an option names something that is not there.
        """
        names = list(dict.fromkeys(str(name) for name in found))
        short = labels_of(names)
        full = {label: name for name, label in short.items()} | {name: name for name in names}
        for what, asked in (("order", self.order), ("labels", self.labels)):
            for name in asked:
                if name not in full:
                    near = get_close_matches(name, full, n=1)
                    hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(map(repr, names[:8]))}"
                    raise AgentsimError(f"{what}: {name!r} is not drawn here{hint}")
        first = list(dict.fromkeys(full[name] for name in self.order))
        called = {full[name]: label for name, label in self.labels.items()}
        ordered = [*first, *(name for name in names if name not in first)]
        return {name: shown(called.get(name, short[name])) for name in ordered}

    def title(self, usual: str, *, width: float) -> str:
        """Return the title in lines that fit a figure of this width, in inches; it may be empty."""
        text = usual if self.own_title is None else shown(self.own_title, max_chars=300)
        return fill(text, max(16, int((width - 0.3) / (0.072 if width < NARROW else 0.088))))

    def refuse_order(self, what: str) -> None:
        """Raise AgentsimError if an order was asked for in a figure whose data prescribe one."""
        if self.order:
            raise AgentsimError(f"order: {what}; leave it out")


def _side(what: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not LEAST <= value <= MOST:
        raise AgentsimError(f"{what} {value!r}: is no length in inches; state {LEAST:g} to {MOST:g}")
    return float(value)
