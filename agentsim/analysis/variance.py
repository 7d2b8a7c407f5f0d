"""The split of variance of a study: which of its settings are crossed, and what the numbers do not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from agentsim.analysis.frames.players import one_player_each
from agentsim.analysis.frames.study import Study
from agentsim.analysis.groups import complete_runs, rules_noted
from agentsim.analysis.measures.variance import variance_split
from agentsim.analysis.strata import OF_MODELS, varied
from agentsim.analysis.words import listed
from agentsim.errors import AgentsimError

__all__ = ["split_of"]

FEW: Final = 3
"""Fewer levels than this are one difference: they say nothing of how much further levels would vary."""


def split_of(study: Study) -> tuple[pd.DataFrame | None, list[str]]:
    """Return the split of the variance of log final resources, and sentences for a person.

    There is none, and no sentence, unless the complete runs differ in their prompt sets or in at least two settings
    (the model counts as one). If they do and their design allows no split, one sentence says why.
    """
    runs = complete_runs(study, "condition")
    paths = varied(study, runs)
    factors = [path for path in paths if path not in OF_MODELS]
    if runs["model"].nunique() > 1:
        factors.append("model")
    if "prompts" not in factors and len(factors) < 2:
        return None, []
    try:
        rules_noted(study, runs, factors[0], apart=factors)
        cells = runs[factors].astype("string").fillna("not set").agg(", ".join, axis=1)
        _, differing = one_player_each(runs, cells, study.started)
        if differing:
            raise AgentsimError(f"no split of variance, because a cell is not one group: {differing[0].rstrip('.')}")
        split = variance_split(runs, factors)
    except AgentsimError as error:
        return None, [f"{str(error)[:1].upper()}{str(error)[1:]}."]
    return split, list(_warned(split, factors))


def _warned(split: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    levels = split.set_index("source")["n_levels"]
    few = [factor for factor in factors if levels[factor] < FEW]
    if not few:
        return []
    return [
        f"{listed(few)}: only 2 levels, so the share is that of one difference; it says nothing of how much other"
        " levels would vary."
    ]
