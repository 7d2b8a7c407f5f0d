"""Whose decision an encounter is: the donor's own, or lost."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["lost", "own_fraction"]


def lost(encounters: pd.DataFrame) -> pd.Series[bool]:
    """Return whether each encounter's decision is not the donor's own: missing, or replaced by a gift of 0."""
    return ((encounters["act"] == "missing") | encounters["replaced_by"].notna()).fillna(True).astype(bool)


def own_fraction(encounters: pd.DataFrame) -> pd.Series[Any]:
    """Return the fraction that each donor gave by a decision of its own; missing where it did not decide on a gift."""
    is_gift = (encounters["act"] == "give").fillna(False).astype(bool) & ~lost(encounters)
    return encounters["fraction"].where(is_gift)
