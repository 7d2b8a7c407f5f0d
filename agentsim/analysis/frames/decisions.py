"""Whose decision an encounter is: the donor's own, carried out or failed, or lost. The one place that says so."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["failed", "lost", "own_fraction", "own_level"]


def lost(encounters: pd.DataFrame) -> pd.Series[bool]:
    """Return whether each encounter's decision is not the donor's own: missing, or replaced by a gift of 0."""
    return ((encounters["act"] == "missing") | encounters["replaced_by"].notna()).fillna(True).astype(bool)


def failed(encounters: pd.DataFrame) -> pd.Series[bool]:
    """Return whether the donor decided, but its act failed and nothing moved."""
    if "intended" not in encounters:  # frames made before acts could fail
        return pd.Series(False, index=encounters.index)
    return encounters["intended"].notna()


def own_fraction(encounters: pd.DataFrame) -> pd.Series[Any]:
    """Return the fraction that each donor gave by a decision of its own; missing where it did not decide on a gift.

    Missing too where the act failed: which fail is drawn whatever was decided, so means over the others are unbiased.
    """
    is_gift = (encounters["act"] == "give").fillna(False).astype(bool) & ~lost(encounters) & ~failed(encounters)
    return encounters["fraction"].where(is_gift)


def own_level(encounters: pd.DataFrame) -> pd.Series[Any]:
    """Return how cooperative each donor's own decision was, from 0 to 1: the fraction given, and 0 for punishing."""
    is_punishment = (encounters["act"] == "punish").fillna(False).astype(bool)
    is_own = is_punishment & ~lost(encounters) & ~failed(encounters) & encounters["fraction"].notna()
    return own_fraction(encounters).mask(is_own, 0.0)
