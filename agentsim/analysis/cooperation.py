"""What says how cooperative agents were, and in what words: the one place that knows the games of a study apart.

In the donor game it is the fraction given, in all other games the level of a move.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from agentsim.analysis.frames.study import Study

__all__ = ["GIVING", "LEVEL", "Cooperation", "cooperation", "cooperation_in", "games_of", "is_linear"]


class Cooperation(NamedTuple):
    """A column of agents and generations that says how cooperative they were, with its names."""

    column: str
    name: str
    """As in an axis or a sentence."""
    title: str
    """The name with what it means, where there is room for that."""
    short: str
    """As the head of a narrow column."""
    acted: str
    """What the column is a mean over."""


GIVING: Final = Cooperation(
    column="mean_fraction",
    name="mean fraction given",
    title="mean fraction given",
    short="given",
    acted="donations that donors decided themselves",
)
LEVEL: Final = Cooperation(
    column="mean_level",
    name="mean level",
    title="mean level (how cooperative, 0 to 1)",
    short="level",
    acted="moves that agents decided themselves",
)


def games_of(study: Study) -> tuple[str, ...]:
    """Return the kinds of games that are played in a study, as far as its logs can be read."""
    return tuple(sorted(str(kind) for kind in study.runs["game"].dropna().unique()))


def cooperation(study: Study) -> Cooperation:
    """Return what says how cooperative the agents of a study were."""
    return cooperation_in(games_of(study))


def cooperation_in(kinds: Iterable[str]) -> Cooperation:
    """Return what says how cooperative the agents were that played games of these kinds."""
    return GIVING if set(kinds) <= {"donor"} else LEVEL


def is_linear(study: Study) -> bool:
    """Return whether what encounters bring adds up, so that final resources belong on a linear axis.

    In the donor game resources multiply, unless gifts are fixed or everyone begins with nothing.
    """
    runs = study.runs
    is_fixed = (runs["gift"] == "fixed").fillna(False).astype(bool)
    return cooperation(study) is LEVEL or bool(is_fixed.any() or (runs["endowment"] == 0).any())
