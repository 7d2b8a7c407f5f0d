"""What a comparison holds apart: groups are compared only where everything else that their studies vary is equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import pandas as pd

from agentsim.analysis.frames.columns import TABLES
from agentsim.analysis.frames.players import one_player_each
from agentsim.analysis.frames.study import Study
from agentsim.analysis.words import counted, listed
from agentsim.errors import LogError

__all__ = ["Strata", "overlap", "strata_of", "varied"]

WHOLE: Final = ("condition", "study", "player")
"""Columns whose groups are compared as they are, whatever differs between them."""
OF_MODELS: Final = ("model", "models_answered", "players", "players.model", "players.name")
"""Columns and settings that all say which model plays."""


@dataclass(frozen=True)
class Strata:
    """The groups of a comparison by one column, and which of them are compared."""

    names: pd.Series[Any]
    """The group of each run, by the index of the runs."""
    pairs: tuple[tuple[str, str], ...]
    """The groups that are compared."""
    apart: tuple[str, ...]
    """The other settings that vary, which are equal in both groups of a pair."""
    notes: tuple[str, ...]


def varied(study: Study, runs: pd.DataFrame) -> list[str]:
    """Return the settings that the studies vary and that differ among these runs; each is a column of `runs`."""
    paths = dict.fromkeys(path for started in study.started.values() for path in started.settings)
    return [path for path in paths if path in runs and runs[path].nunique(dropna=False) > 1]


def overlap(one: str, other: str) -> bool:
    """Return whether one of two dotted paths is the other or holds it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def strata_of(study: Study, runs: pd.DataFrame, by: str) -> Strata:
    """Return the groups of runs by a column, and the pairs of them that agree in everything else that is varied.

    Their names add what is held apart, and then what tells players apart (`one_player_each`).

    Raises:
        LogError: no two groups agree in everything else.
    """
    apart = [] if by in WHOLE else [path for path in varied(study, runs) if not _is_of(by, path)]
    values = runs[apart].astype("string").fillna("not set")
    names = runs[by].astype("string")
    if apart:
        said = dict.fromkeys("model" if path in OF_MODELS else path for path in apart)
        told = runs[list(said)].astype("string").fillna("not set")
        names = names + " (" + told.apply(lambda row: ", ".join(f"{path} {row[path]}" for path in said), axis=1) + ")"
    names, notes = one_player_each(runs, names, study.started)
    names = names.str.replace(") (", ", ", regex=False) if apart else names
    cells = {str(name): set(rows.itertuples(index=False, name=None)) for name, rows in values.groupby(names, sort=True)}
    every = list(combinations(cells, 2))
    pairs = [(a, b) for a, b in every if not apart or cells[a] == cells[b]]
    if every and not pairs:
        raise LogError(
            f"{study.name}: no two groups by {by!r} are equal in {listed(apart)}, so none can be compared;"
            " compare by 'condition'"
        )
    if len(pairs) < len(every):
        notes.append(
            f"Groups by {by} are compared only where {listed(apart)} {'is' if len(apart) == 1 else 'are'} the same:"
            f" {counted(len(pairs), 'pair')} of {len(every)}; --by condition has all."
        )
    return Strata(names, tuple(pairs), tuple(apart), tuple(notes))


def _is_of(by: str, path: str) -> bool:
    """Return whether a varied setting is what the column `by` says."""
    if by in OF_MODELS:
        return path in OF_MODELS or path == by
    column = TABLES["runs"].columns.get(by)
    said: Sequence[str] = [by, column.path.removeprefix("condition.")] if column and column.path else [by]
    return any(overlap(one, path) for one in said)
