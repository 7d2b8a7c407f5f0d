"""What the rules let donors see of their recipients' past: for measures of how giving depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from agentsim.analysis.frames.columns import KEY, TABLES
from agentsim.core.rng import uniforms
from agentsim.core.rules import logged_observation

if TYPE_CHECKING:
    from agentsim.log.records import RunStarted

__all__ = ["with_sight"]

ALL: Final = (0, 2, 1.0)
"""The delay, the records shown and the chance to be shown anything where a trace shows two acts or more in time."""


def with_sight(encounters: pd.DataFrame, started: Mapping[tuple[str, str], RunStarted]) -> pd.DataFrame:
    """Add to each encounter what its donor could see, where any run's rule shows less than all.

    The columns are among those that encounters have `sometimes`.
    """
    shown = {key: _sight(run.condition) for key, run in started.items()}
    if encounters.empty or all(sight == ALL for sight in shown.values()):
        return encounters
    keys = pd.MultiIndex.from_frame(encounters[KEY])
    codes, names = keys.factorize()
    seen = [shown.get(tuple(name), ALL) for name in names]
    seeds = np.array([started[tuple(name)].seed if tuple(name) in started else 0 for name in names])
    delay, records, known = (np.array(values)[codes] for values in zip(*seen, strict=True))
    informed = np.ones(len(encounters), dtype=bool)
    is_chance = known < 1
    if is_chance.any():
        some = encounters[is_chance]
        donors = some["donor"].astype(str).str.split("_", expand=True).astype("int64")
        places = [some[name].to_numpy(dtype=np.int64) for name in ("generation", "game", "round")]
        drawn = uniforms("known", seeds[codes][is_chance], *places, *(donors[at].to_numpy() for at in (0, 1)))
        informed[is_chance] = drawn < known[is_chance]
    values = {"shown_delay": delay, "shown_records": records, "was_informed": informed}
    declared = TABLES["encounters"].sometimes
    added: dict[str, Any] = {name: pd.array(of, dtype=declared[name].dtype) for name, of in values.items()}
    return encounters.assign(**added)


def _sight(condition: Mapping[str, Any]) -> tuple[int, int, float]:
    """Return the delay, the records shown, and the chance to be shown anything."""
    rule = logged_observation(condition)
    settings = rule.model_dump()
    return settings.get("delay", 0), rule.n_records, settings.get("known", 1.0)
