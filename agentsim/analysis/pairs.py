"""Pairs of a comparison as charts and pages show them: the larger side first, the clearest ratio on top."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["turned"]


def turned(table: pd.DataFrame, *, order: Sequence[str] = ()) -> pd.DataFrame:
    """Return `Comparison.table` with each pair turned so that its ratio is at least 1, sorted from the largest.

    With an `order` of all groups, pairs stand in it instead: the earlier group comes first, whatever the ratio. A
    pair without a ratio comes last, as it is.
    """
    place = {name: number for number, name in enumerate(order)}
    if place:
        firsts, seconds = (table[side].map(place) for side in ("first", "second"))
        is_turned = (firsts > seconds).to_numpy(dtype=bool)
    else:
        is_turned = (table["ratio"] < 1).fillna(False).to_numpy(dtype=bool)
    pairs = table.copy()
    for one, other in (("first", "second"), ("n_first", "n_second")):
        pairs[one], pairs[other] = (
            table[one].where(~is_turned, table[other]),
            table[other].where(~is_turned, table[one]),
        )
    pairs["ratio"] = table["ratio"].where(~is_turned, 1 / table["ratio"])
    pairs["low"] = table["low"].where(~is_turned, 1 / table["high"])
    pairs["high"] = table["high"].where(~is_turned, 1 / table["low"])
    if place:
        keys = [pairs[side].map(place).to_numpy() for side in ("second", "first")]
        return pairs.iloc[np.lexsort(keys)].reset_index(drop=True)
    return pairs.sort_values("ratio", ascending=False, na_position="last", kind="stable", ignore_index=True)
