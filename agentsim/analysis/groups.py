"""Which runs form a group in a comparison: complete runs of one player with its settings, each seed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.words import listed
from agentsim.errors import LogError

__all__ = ["complete_runs", "refuse_repeated_seeds", "rules_noted"]


def complete_runs(study: Study, by: str) -> pd.DataFrame:
    """Return the complete runs that have a score and a value in the column `by`.

    Raises:
        LogError: there is no such column, or fewer than two values in it.
    """
    if by not in study.runs:
        allowed = [column for column in study.runs if study.runs[column].nunique() > 1 and column != "run"]
        raise LogError(
            f"{study.name}: runs have no column {by!r} to compare by; columns that differ here:"
            f" {', '.join(str(column) for column in allowed) or 'none'}"
        )
    complete = study.runs[study.runs["status"] == "complete"]
    scores = complete["mean_final_resources"]
    return complete[complete[by].notna() & scores.notna() & np.isfinite(scores.astype(float))]


def rules_noted(study: Study, runs: pd.DataFrame, by: str, *, apart: Sequence[str] = ()) -> list[str]:
    """Refuse a comparison of players under different rules; in a comparison of rules, say how they differ.

    Rules that are held `apart` are the same in both groups of every pair that is compared, and may differ.

    Raises:
        LogError: the runs' rules differ, and `by` names neither conditions nor studies nor the one rule that differs.
    """
    if runs["rules_digest"].nunique() <= 1:
        return []
    keys = runs[KEY].itertuples(index=False, name=None)
    started = [study.started[key] for key in keys if key in study.started]
    conditions = [_flat({k: v for k, v in run_started.condition.items() if k != "players"}) for run_started in started]
    paths = sorted({path for condition in conditions for path in condition})
    differing = [path for path in paths if len({str(condition.get(path)) for condition in conditions}) > 1]
    if not differing and len({run_started.templates_read for run_started in started} - {None}) <= 1:
        return []  # only templates differ, which scripted policies do not read
    others = [path for path in differing if not any(f"{path}.".startswith(f"{one}.") for one in (by, *apart))]
    what = f" in {listed(others)}" if others else ""
    if by in ("condition", "study"):
        return [f"The rules differ as well{what}: a difference cannot be attributed to the model alone."]
    if differing and not others:
        return []
    raise LogError(
        f"{study.name}: these runs were played under different rules{what}, so they cannot be compared by {by!r};"
        " compare by 'condition', or name studies that differ in one thing"
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, Mapping) else {f"{prefix}{key}": inner}
    return flat


def refuse_repeated_seeds(name: str, runs: pd.DataFrame) -> None:
    """Raise LogError if a group holds two runs with the same seed: these share pairings and names."""
    twice = runs[runs["seed"].duplicated(keep=False)].sort_values("seed")
    if not twice.empty:
        same = twice[twice["seed"] == twice["seed"].iloc[0]]
        names = [f"{row['study']}/{row['run']}" for row in same.to_dict("records")]
        raise LogError(
            f"seed {same['seed'].iloc[0]} of {name!r} was played more than once ({listed(names)}): these runs are not"
            " independent; compare by 'condition' or 'study'"
        )
