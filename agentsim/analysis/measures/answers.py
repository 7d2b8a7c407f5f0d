"""Outcomes of all decisions that were asked for."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.decisions import decisions

__all__ = ["answers"]


GROUP: Final = ["study", "model", "prompts", "generation"]


def answers(
    encounters: pd.DataFrame, agents: pd.DataFrame, runs: pd.DataFrame, moves: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return by study, model, prompt set and generation how many decisions had each outcome.

    Columns: study, model (of who decides), prompts (as in `runs`), generation, `outcome`, `n`, `share` of that group's
    decisions; `moves` are those of other games than the donor game. Outcomes: `read at once`; `asked again`, readable
    in the end; `clamped`, more than the donor had and lowered to that, as the scenario says; `replaced`, counted as a
    gift of 0, as the scenario says; otherwise the reason why it is missing: unreadable, ambiguous, out_of_range, empty,
    refused, filtered, cut_off; `unknown` if the log does not say.
    """
    models = agents[[*GENERATION, "agent", "model"]]
    every = decisions(encounters, pd.DataFrame() if moves is None else moves)
    frame = every.merge(models, on=[*GENERATION, "agent"], how="left")
    frame = frame.merge(runs[[*KEY, "prompts"]], on=KEY, how="left")
    is_replaced = frame["replaced_by"].notna().to_numpy(dtype=bool)
    is_repeated = (frame["attempts"] > 1).fillna(False).to_numpy(dtype=bool)
    problems = frame["problem"].fillna("unknown").to_numpy(dtype=object)
    is_clamped = (frame["reading"] == "clamped").fillna(False).to_numpy(dtype=bool)
    outcome = np.select(
        [is_replaced, frame["is_lost"].to_numpy(dtype=bool), is_clamped, is_repeated],
        ["replaced", problems, "clamped", "asked again"],
        "read at once",
    )
    counts = (
        frame.assign(outcome=pd.array(outcome, dtype="string"))
        .groupby([*GROUP, "outcome"], sort=True)
        .size()
        .rename("n")
        .reset_index()
    )
    totals = counts.groupby(GROUP)["n"].transform("sum")
    return counts.assign(share=(counts["n"] / totals).astype("Float64"))
