"""The published curves of the experiment, to lay under one's own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from agentsim.analysis.measures.outcomes import geometric_means

if TYPE_CHECKING:
    from agentsim.analysis.frames import Study

__all__ = ["SOURCE", "published", "published_like", "published_summary"]

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


RULES: Final[Mapping[str, object]] = {
    "agents": 12,
    "game.kind": "donor",
    "game.rounds": 12,
    "game.endowment": 10,
    "game.multiplier": 2,
    "game.games": 2,
    "observation.kind": "trace",
    "observation.depth": 3,
    "selection.kind": "top",
    "selection.fraction": 0.5,
    "transmission.kind": "advice",
    **dict.fromkeys(("observation.noise", "observation.delay", "observation.known"), None),
    **dict.fromkeys(("game.error", "game.continuation"), None),  # a log holds such settings only where they are in use
}
"""The rules of the published runs, as far as the curves are said to hang on them; the schedule is not among them, as
the paper describes one and its figures fit another."""
SUMMARY: Final = ["label", "generation", "n", "mean", "standard_error", "geometric_mean", "low", "high"]


def published_like(study: Study) -> pd.DataFrame:
    """Return the published runs of the rules that models of this study played under, to lay under its own.

    Of the published models that play in the study, or of all three where none of them does. Columns: those of
    `published`, and `label`. No rows where no model played under these rules.
    """
    frame = published()
    wanted: set[bool] = set()
    names: set[str] = set()
    for started in study.started.values():
        is_punishing = _kind(started.condition)
        players = started.players
        if is_punishing is not None and len(players) == 1 and not players[0].startswith("scripted/"):
            wanted.add(is_punishing)
            names.add(players[0].rpartition("/")[2])
    frame = frame[frame["punishment"].isin(wanted)]
    if names & set(frame["model"]):
        frame = frame[frame["model"].isin(names)]
    label = "published: " + frame["model"]
    return frame.assign(label=label.mask(frame["punishment"], label + ", punishment")).reset_index(drop=True)


def published_summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return published runs by label and generation.

    Columns: label, generation; `n` runs; `mean` and `standard_error` over runs, as the paper gives them; and
    `geometric_mean` with `low` and `high`, one standard error of the logarithm around it (all in units).
    """
    if runs.empty:
        return pd.DataFrame(columns=SUMMARY)
    groups = runs.groupby(["label", "generation"], sort=True)["mean_final_resources"]
    plain = groups.agg(mean="mean", standard_error="sem").reset_index()
    logs = geometric_means(runs.rename(columns={"label": "condition"})).rename(
        columns={"condition": "label", "mean": "geometric_mean"}
    )
    return plain.merge(logs, on=["label", "generation"])[SUMMARY]


def _kind(condition: Mapping[str, Any]) -> bool | None:
    """Return whether donors may punish, or `None` where the rules are not those of the published runs."""
    for path, value in RULES.items():
        found: Any = condition
        for key in path.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        if found != value:
            return None
    punishment = condition["game"].get("punishment")
    if punishment is None:
        return False
    return True if punishment["effect"] == 2 * punishment["cost"] else None
