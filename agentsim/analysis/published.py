"""The published curves of the experiment, to lay under one's own."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import pandas as pd

__all__ = ["SOURCE", "published"]

SOURCE: Final = (
    "A. Vallinder & E. Hughes: Cultural Evolution of Cooperation among LLM Agents (2024), arXiv:2412.10270; the runs'"
    " results as released with the paper"
)


def published() -> pd.DataFrame:
    """Return the published mean final resources of every run and generation: three models, five runs, ten generations.

    Columns: model; punishment (boolean; the models' runs with costly punishment too); run, from 0; generation, from 1;
    mean_final_resources (units). 12 agents, 12 rounds, multiplier 2, endowment 10. Source: `SOURCE`.
    """
    with files("agentsim").joinpath("data/vallinder-hughes-2024.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file)
    kinds = {"model": "string", "punishment": "boolean", "run": "Int64", "generation": "Int64"}
    return frame.astype(kinds | {"mean_final_resources": "Float64"})
