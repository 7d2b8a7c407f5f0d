"""The decision ledger: what became of every decision that was asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.analysis.measures.decisions import lost

__all__ = ["answers"]


def answers(encounters: pd.DataFrame, agents: pd.DataFrame) -> pd.DataFrame:
    """Return by study, model and generation how many decisions came out how.

    Columns: study, model (the donor's), generation, `outcome`, `n`, `share` of the encounters of that model and
    generation. Outcomes: `read at once`; `asked again`, readable in the end; `replaced`, counted as a gift of 0 because
    the scenario says so; else why it is missing: unreadable, ambiguous, out_of_range, empty, refused, filtered,
    cut_off; `unknown` where the log does not say.
    """
    models = agents[["study", "run", "generation", "agent", "model"]].rename(columns={"agent": "donor"})
    columns = ["study", "run", "generation", "donor", "act", "attempts", "problem", "replaced_by"]
    frame = encounters[columns].merge(models, on=["study", "run", "generation", "donor"], how="left")
    is_replaced = frame["replaced_by"].notna().to_numpy(dtype=bool)
    is_repeated = (frame["attempts"] > 1).fillna(False).to_numpy(dtype=bool)
    problems = frame["problem"].fillna("unknown").to_numpy(dtype=object)
    outcome = np.where(
        is_replaced, "replaced", np.where(lost(frame), problems, np.where(is_repeated, "asked again", "read at once"))
    )
    counts = (
        frame.assign(outcome=pd.array(outcome, dtype="string"))
        .groupby(["study", "model", "generation", "outcome"], sort=True)
        .size()
        .rename("n")
        .reset_index()
    )
    totals = counts.groupby(["study", "model", "generation"])["n"].transform("sum")
    return counts.assign(share=(counts["n"] / totals).astype("Float64"))
