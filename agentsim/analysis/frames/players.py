"""Which runs were played by the same players: a group is a cast with all its settings, as answered by one model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.words import listed
from agentsim.log.records import RunStarted
from agentsim.scenario.players import settings_in

__all__ = ["one_player_each"]

MAX_VALUE_CHARS: Final = 40
"""Of a setting's value in a group's name."""


def one_player_each(
    runs: pd.DataFrame, names: pd.Series[Any], started: Mapping[tuple[str, str], RunStarted]
) -> tuple[pd.Series[Any], list[str]]:
    """Return a name for the group of each run, and a sentence for each group that had to be split.

    A group is a cast of players with all their settings, as answered by one model: runs of one name that differ in any
    of these (a temperature, a policy's share, the snapshot that the server says has answered) get names of their own,
    which add what differs in brackets. `names`: of the groups as they are asked for, by the index of `runs`.
    """
    known = {key: _cast(started[key]) if key in started else {} for key in map(tuple, runs[KEY].to_numpy())}
    casts = [dict(known[tuple(key)]) for key in runs[KEY].to_numpy()]
    answered = runs["models_answered"] if "models_answered" in runs else pd.Series(pd.NA, index=runs.index)
    for cast, model in zip(casts, answered, strict=True):
        cast["answered by"] = "nobody who gave a name" if pd.isna(model) else str(model)
    by_name: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if not pd.isna(name):
            by_name.setdefault(str(name), []).append(place)
    groups, notes = names.astype("string").copy(), []
    for name, places in by_name.items():
        of_name = [casts[place] for place in places]
        paths = [
            path
            for path in dict.fromkeys(path for cast in of_name for path in cast)
            if len({_text(c, path) for c in of_name}) > 1
        ]
        if not paths:
            continue
        for place, cast in zip(places, of_name, strict=True):
            groups.iloc[place] = f"{name} ({', '.join(f'{path} {_text(cast, path)}' for path in paths)})"
        n_groups = groups.iloc[places].nunique()
        differing = [f"{path} ({listed(sorted({_text(cast, path) for cast in of_name}))})" for path in paths]
        notes.append(f"Runs of {name} differ in {listed(differing)}, so they are {n_groups} groups, not one.")
    return groups, notes


def _cast(started: RunStarted) -> dict[str, str]:
    """Return the settings of a run's players, each as text; those of a mixed society under each player's label."""
    cast = settings_in(started.condition)
    prefixed = len(cast) > 1
    return {
        (f"{label}: {path}" if prefixed else path): value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True)
        for label, settings in cast.items()
        for path, value in settings.items()
    }


def _text(cast: Mapping[str, str], path: str) -> str:
    text = cast.get(path, "not set")
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 1]}…"
