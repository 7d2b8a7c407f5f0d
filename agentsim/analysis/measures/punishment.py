"""Costly punishment: how often, how much, and of whom."""

from __future__ import annotations

from typing import Final

import pandas as pd

from agentsim.analysis.measures.cooperation import with_records

__all__ = ["punishment", "punishment_targets"]

GENERATION: Final = ["study", "run", "generation"]


def punishment(encounters: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation how often donors punished, and what it cost both sides.

    Columns: study, run, generation, `n_encounters`, `n_punished`, `rate` (of the encounters with a decision),
    `spent` and `removed` (units). A spender of x removes 2x at most, never more than its recipient has (Vallinder &
    Hughes 2024).
    """
    is_punished = (encounters["act"] == "punish").fillna(False).astype(bool)
    frame = encounters[GENERATION].assign(
        n_encounters=1,
        decided=(encounters["act"] != "missing").fillna(False).astype(int),
        n_punished=is_punished.astype(int),
        spent=encounters["amount"].where(is_punished, 0.0),
        removed=encounters["removed"].where(is_punished, 0.0),
    )
    sums = frame.groupby(GENERATION, sort=True).sum().reset_index()
    sums["rate"] = (sums["n_punished"] / sums["decided"].where(sums["decided"] > 0)).astype("Float64")
    return sums[[*GENERATION, "n_encounters", "n_punished", "rate", "spent", "removed"]]


def punishment_targets(encounters: pd.DataFrame, *, split: float = 0.5) -> pd.DataFrame:
    """Return by run whom donors punished: recipients who last gave less than `split` of their resources, or more.

    Columns: study, run, `target` (miser, giver, no record), `n_encounters` with such recipients and a decision,
    `n_punished`, `rate`. Punishing givers is antisocial punishment (Herrmann, Thöni & Gächter 2008).
    """
    frame = with_records(encounters)
    frame = frame[(frame["act"] != "missing").fillna(False).astype(bool)]
    record = frame["recipient_record"]
    target = pd.Series("no record", index=frame.index).mask((record < split).fillna(False).astype(bool), "miser")
    frame = frame.assign(target=target.mask((record >= split).fillna(False).astype(bool), "giver"))
    frame["punished"] = (frame["act"] == "punish").astype(int)
    groups = frame.groupby(["study", "run", "target"], sort=True)["punished"]
    found = groups.agg(n_encounters="size", n_punished="sum").reset_index()
    return found.assign(rate=(found["n_punished"] / found["n_encounters"]).astype("Float64"))
