"""Results of scripted societies under the same rules: baselines for models, computed without logs."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from agentsim.analysis.spread import SEEDS_AT_ONCE, spread
from agentsim.core.policies import AllGive, AllKeep, ConstantShare, Discriminator, ScriptedPlayer
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised import play_many, without_twin

__all__ = ["YARDSTICKS", "baselines"]

YARDSTICKS: Final[Mapping[str, ScriptedPlayer]] = {
    "all keep": AllKeep(),
    "all give half": ConstantShare(),
    "all give all": AllGive(),
    "all discriminate": Discriminator(),
}


def baselines(
    rules: SocietyRules,
    players: Mapping[str, ScriptedPlayer | Sequence[ScriptedPlayer]] = YARDSTICKS,
    *,
    seeds: Iterable[int] = range(100),
    workers: int = 1,
) -> pd.DataFrame:
    """Play scripted societies under the rules or a scenario's: one row for each society and generation.

    They are the societies that `run` would play with the same seeds. The scenario's players and variations are ignored.

    Args:
        players: by a name that you choose, one player for all agents, or one for each agent of the first generation.
        seeds: for each of `players`, one society is played with each seed.
        workers: how many processes of this machine play; the result does not depend on it.

    Returns:
        Columns: `players` (the name), `seed`, `generation`, `mean_final_resources` (units), `mean_fraction` (0 to 1,
        over acts that did not fail; missing if no donor had anything; in other games than the donor game, the mean
        level of such moves), and `share`, the share of agents with the first agent's player: 1 if all have the same.

    Warns:
        UserWarning: rules, games or policies have no vectorised twin; each society is played by itself.

    Raises:
        ScenarioError: the number of players is not that of the agents, or there are to be no workers.
        AgentsimError: a worker cannot begin, or has died.
    """
    seed_list = tuple(seeds)
    everyone = [
        one for assigned in players.values() for one in (assigned if isinstance(assigned, Sequence) else [assigned])
    ]
    if alone := without_twin(rules, everyone):
        warnings.warn(f"{', '.join(alone)}: societies are played one by one, which is slow", stacklevel=2)
    at_once = max(1, len(seed_list)) if workers == 1 else SEEDS_AT_ONCE
    starts = range(0, max(1, len(seed_list)), at_once)
    tasks = [
        (rules, name, assigned, seed_list[start : start + at_once])
        for name, assigned in players.items()
        for start in starts
    ]
    frame = pd.concat(spread(_played, tasks, workers=workers), ignore_index=True)
    types = {"players": "string", "seed": "Int64", "generation": "Int64"}
    return frame.astype(types | dict.fromkeys(("mean_final_resources", "mean_fraction", "share"), "Float64"))


def _played(
    task: tuple[SocietyRules, str, ScriptedPlayer | Sequence[ScriptedPlayer], tuple[int, ...]],
) -> pd.DataFrame:
    rules, name, assigned, seeds = task
    shape = (len(seeds), rules.generations)
    many = play_many(rules, assigned, seeds=seeds)
    columns = {
        "players": np.full(shape, name, dtype=object),
        "seed": np.broadcast_to(np.array(seeds, dtype=np.int64)[:, None], shape),
        "generation": np.broadcast_to(np.arange(1, rules.generations + 1), shape),
        "mean_final_resources": many.mean_final_resources,
        "mean_fraction": many.mean_fraction,
        "share": many.share_of(0),
    }
    return pd.DataFrame({column: values.reshape(-1) for column, values in columns.items()})
