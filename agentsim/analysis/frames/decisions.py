"""Whose decision an encounter is: the donor's own, carried out or failed, or lost. The one place that says so."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

__all__ = ["decisions", "failed", "lost", "lost_moves", "own_fraction", "own_level", "own_level_of_moves"]

SHARED: Final = [
    "study", "run", "generation", "agent", "attempts", "problem", "replaced_by", "reading", "is_lost",
]  # fmt: skip
"""The columns of `decisions`."""


def decisions(encounters: pd.DataFrame, moves: pd.DataFrame) -> pd.DataFrame:
    """Return the decisions of all games in the same columns: a donation of each encounter, and every move."""
    donations = encounters.assign(is_lost=lost(encounters)).rename(columns={"donor": "agent"})[SHARED]
    if moves.empty:
        return donations
    others = moves.assign(is_lost=lost_moves(moves)).rename(columns={"actor": "agent"})[SHARED]
    return others if donations.empty else pd.concat([donations, others], ignore_index=True)


def lost(encounters: pd.DataFrame) -> pd.Series[bool]:
    """Return whether each encounter's decision is not the donor's own: missing, or replaced by a gift of 0."""
    return ((encounters["act"] == "missing") | encounters["replaced_by"].notna()).fillna(True).astype(bool)


def lost_moves(moves: pd.DataFrame) -> pd.Series[bool]:
    """Return the same of each move: whether it could not be read, or the scenario's fallback stands for it."""
    return moves["option"].isna() | moves["replaced_by"].notna()


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


def own_level_of_moves(moves: pd.DataFrame) -> pd.Series[Any]:
    """Return the same of moves; missing where a move has no level, or is not what its actor decided on."""
    return moves["level"].where(moves["problem"].isna() & moves["intended"].isna())
