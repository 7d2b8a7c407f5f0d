"""What scripted societies come to under the same rules: yardsticks for models, computed and not logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from agentsim.core.policies import AllGive, AllKeep, ConstantShare, Discriminator, ScriptedPlayer
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised import play_many

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
) -> pd.DataFrame:
    """Play scripted societies under the rules (a scenario is one): one row a society and generation.

    They are the societies that `run` would play, seed for seed. Who plays in the scenario, and its variations, are not
    looked at.

    Args:
        players: by a name of your own, one player for all agents, or one for each agent of the first generation.
        seeds: one society each, of each of `players`.

    Returns:
        Columns: `players` (the name), `seed`, `generation`, `mean_final_resources` (units), `mean_fraction` (0 to 1,
        over acts that did not fail; missing where no donor had anything), and `share`, the share of agents with the
        first one's player: 1 where all are alike.

    Raises:
        ScenarioError: the rules cannot be played many societies at once, or the players are not as many as the agents.
    """
    own = tuple(seeds)
    shape = (len(own), rules.generations)
    frames = []
    for name, each in players.items():
        many = play_many(rules, each, seeds=own)
        columns = {
            "players": np.full(shape, name, dtype=object),
            "seed": np.broadcast_to(np.array(own, dtype=np.int64)[:, None], shape),
            "generation": np.broadcast_to(np.arange(1, rules.generations + 1), shape),
            "mean_final_resources": many.mean_final_resources,
            "mean_fraction": many.mean_fraction,
            "share": many.share_of(0),
        }
        frames.append(pd.DataFrame({column: values.reshape(-1) for column, values in columns.items()}))
    found = pd.concat(frames, ignore_index=True)
    types = {"players": "string", "seed": "Int64", "generation": "Int64"}
    return found.astype(types | dict.fromkeys(("mean_final_resources", "mean_fraction", "share"), "Float64"))
