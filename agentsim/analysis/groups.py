"""Which runs are compared as one group: complete ones, of one player with its settings, each seed once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from agentsim.cast import settings_in
from agentsim.errors import LogError

if TYPE_CHECKING:
    from agentsim.analysis.frames import Study
    from agentsim.runlog import RunStarted

__all__ = ["complete_runs", "counted", "listed", "one_player_each", "refuse_repeated_seeds", "rules_noted"]

KEY: Final = ["study", "run"]
MAX_NAMED: Final = 8
"""Runs or settings that a sentence names; it counts the rest."""
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
    found, notes = names.astype("string").copy(), []
    for name, places in by_name.items():
        own = [casts[place] for place in places]
        paths = [
            path
            for path in dict.fromkeys(path for cast in own for path in cast)
            if len({_text(c, path) for c in own}) > 1
        ]
        if not paths:
            continue
        for place, cast in zip(places, own, strict=True):
            found.iloc[place] = f"{name} ({', '.join(f'{path} {_text(cast, path)}' for path in paths)})"
        n_groups = found.iloc[places].nunique()
        differing = [f"{path} ({listed(sorted({_text(cast, path) for cast in own}))})" for path in paths]
        notes.append(f"Runs of {name} differ in {listed(differing)}, so they are {n_groups} groups, not one.")
    return found, notes


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


def complete_runs(study: Study, by: str) -> pd.DataFrame:
    """Return the complete runs that have a score and a value in the column `by`.

    Raises:
        LogError: there is no such column, or fewer than two values in it.
    """
    if by not in study.runs:
        allowed = [column for column in study.runs if study.runs[column].nunique() > 1 and column != "run"]
        raise LogError(
            f"{study.name}: runs have no column {by!r} to compare by; those that differ here are"
            f" {', '.join(str(column) for column in allowed) or 'none'}"
        )
    complete = study.runs[study.runs["status"] == "complete"]
    scores = complete["mean_final_resources"]
    return complete[complete[by].notna() & scores.notna() & np.isfinite(scores.astype(float))]


def rules_noted(study: Study, runs: pd.DataFrame, by: str) -> list[str]:
    """Refuse a comparison of players under different rules; of a comparison of rules, say in what they differ.

    Raises:
        LogError: the runs' rules differ, and `by` names neither conditions nor studies nor the one rule that differs.
    """
    if runs["rules_digest"].nunique() <= 1:
        return []
    keys = runs[KEY].itertuples(index=False, name=None)
    started = [study.started[key] for key in keys if key in study.started]
    conditions = [_flat({k: v for k, v in each.condition.items() if k != "players"}) for each in started]
    paths = sorted({path for condition in conditions for path in condition})
    differing = [path for path in paths if len({str(condition.get(path)) for condition in conditions}) > 1]
    if not differing and len({each.templates_read for each in started} - {None}) <= 1:
        return []  # templates differ that scripted policies do not read
    others = [path for path in differing if path != by and not path.startswith(f"{by}.")]
    what = f" in {listed(others)}" if others else ""
    if by in ("condition", "study"):
        return [f"The rules differ as well{what}: a difference cannot be put down to the model alone."]
    if by in differing and not others:
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
    """Raise LogError where a group holds two runs of one seed: these share pairings and names."""
    twice = runs[runs["seed"].duplicated(keep=False)].sort_values("seed")
    if not twice.empty:
        same = twice[twice["seed"] == twice["seed"].iloc[0]]
        names = [f"{row['study']}/{row['run']}" for row in same.to_dict("records")]
        raise LogError(
            f"seed {same['seed'].iloc[0]} of {name!r} was played more than once ({listed(names)}): these are no"
            " independent runs of one group; compare by 'condition' or 'study'"
        )


def counted(n: int, what: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def listed(names: Sequence[str]) -> str:
    """Return the first names, comma-separated, and how many more there are."""
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
