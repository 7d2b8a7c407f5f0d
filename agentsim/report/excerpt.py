"""What of a large study a page shows run by run: as many runs as a browser opens quickly, some of each condition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from agentsim.analysis.frames.columns import KEY, TABLES
from agentsim.analysis.frames.study import Study

__all__ = ["excerpt", "excerpt_said"]

MAX_RUNS: Final = 200
MAX_ROWS: Final = 60_000
"""The most encounters, moves and messages together: some 40 runs of the published size, or 5 MB."""
COUNTED: Final = ("encounters", "moves", "messages")


def excerpt(study: Study) -> Study:
    """Return the study with the runs that its page shows one by one; the study itself if these are all.

    The first run of each condition comes first, then the second of each, as long as the page has room.
    """
    sizes = sum(
        (study.frame(name).groupby(KEY).size().reindex(pd.MultiIndex.from_frame(study.runs[KEY]), fill_value=0))
        for name in COUNTED
    )
    n_rows = np.asarray(sizes, dtype=np.int64)
    if len(study.runs) <= MAX_RUNS and n_rows.sum() <= MAX_ROWS:
        return study
    turn = study.runs.groupby(["study", "condition"], sort=False).cumcount().to_numpy()
    in_turn = np.argsort(turn, kind="stable")
    has_room = n_rows[in_turn].cumsum() <= MAX_ROWS
    n_shown = max(1, min(MAX_RUNS, int(has_room.argmin()) if not has_room.all() else len(has_room)))
    places = np.sort(in_turn[:n_shown])
    keys = pd.MultiIndex.from_frame(study.runs[KEY].iloc[places])
    shown: dict[str, Any] = {name: _of_runs(study.frame(name), keys) for name in TABLES}
    further = {name: shown.pop(name) for name in study.further}
    started = {key: first for key, first in study.started.items() if key in keys}
    return replace(study, started=started, further=further, **shown)


def excerpt_said(study: Study, shown: Study) -> str | None:
    """Say which runs are shown one by one, and where the others are; None if all are shown."""
    if shown is study:
        return None
    return (
        f"Run by run this page shows {len(shown.runs):,} of {len(study.runs):,} runs, the first of each condition, so"
        " that it opens quickly. Sentences, means, bands, comparisons and figures are of all runs, and"
        " agentsim export writes all rows."
    )


def _of_runs(frame: pd.DataFrame, keys: pd.MultiIndex) -> pd.DataFrame:
    run = frame["run"]
    some = frame[run.isin(keys.get_level_values(1).unique())]
    return some[pd.MultiIndex.from_frame(some[KEY]).isin(keys)].reset_index(drop=True)
