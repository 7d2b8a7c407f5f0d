"""Counts and lists for use in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["counted", "listed"]

MAX_NAMED: Final = 8
"""The most names in a list; the rest is counted."""


def counted(n: int, what: str) -> str:
    """Return `1 run`, `2 runs`, `1,000 runs`."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def listed(names: Sequence[str]) -> str:
    """Return the first names, comma-separated, and how many more there are."""
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
