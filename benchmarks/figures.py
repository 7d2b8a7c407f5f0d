"""Figures with goals, which one sitting of all benchmarks (`sitting.py`) collects; alone, a benchmark tells nobody."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["FILE", "Figure", "collected", "figure"]

FILE: Final = "AGENTSIM_BENCHMARK_FIGURES"
"""The environment variable that names the file in which they are collected."""


class Figure(NamedTuple):
    """One figure."""

    what: str
    value: float
    goal: float
    unit: str
    is_least: bool
    """Whether the goal is the least that is good, and not the most."""

    @property
    def is_reached(self) -> bool:
        """Whether the goal is reached."""
        return self.value >= self.goal if self.is_least else self.value <= self.goal


def figure(what: str, value: float, goal: float, unit: str = "", *, is_least: bool = False) -> None:
    """Tell the sitting, if there is one, a figure and its goal."""
    if path := os.environ.get(FILE):
        with Path(path).open("a") as file:
            file.write(json.dumps(Figure(what, float(value), goal, unit, is_least)) + "\n")


def collected(path: Path) -> list[Figure]:
    """Return the figures that were told so far."""
    return [Figure(*json.loads(line)) for line in path.read_text().splitlines()]
