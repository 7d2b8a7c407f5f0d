"""Splitting a study of mixed societies by model: each model's agents become a run, which can be measured as one."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures.cooperation import with_records
from agentsim.analysis.measures.models import by_model

__all__ = ["players_apart"]


def players_apart(study: Study) -> Study:
    """Return the study with one run for each model of each run, named `run: model`.

    Scores are means over the agents of that model. Encounters are those in which they were donors, with the records
    that their recipients really had. Minimum and maximum are those of all agents. So every measure of a part is a
    measure by model. Models that share a society share its seed, so they are compared within it. A model that has died
    out has no score, which is not 0; `measures.by_model` says what became of it.
    """
    parts = by_model(study.agents, study.encounters, study.moves)
    parts["part"] = parts["run"] + ": " + parts["model"]
    generations = parts.merge(study.generations[[*GENERATION, "maximum", "minimum"]], on=GENERATION)
    generations = generations.assign(run=generations["part"], mean_final_resources=generations["mean_score"])
    last = study.generations.groupby(KEY)["generation"].max().rename("last").reset_index()
    at_last = parts.merge(last, on=KEY)
    ends = at_last[at_last["generation"] == at_last["last"]].set_index(["study", "part"])["mean_score"]
    sums = parts.groupby([*KEY, "model", "part"])[["n_decisions", "n_lost"]].sum().reset_index()
    replaced = ["model", "mean_final_resources", "n_missed", "n_replaced", "n_encounters"]
    runs = sums.merge(study.runs.drop(columns=replaced), on=KEY)
    runs["mean_final_resources"] = pd.MultiIndex.from_frame(runs[["study", "part"]]).map(ends.to_dict())
    runs = runs.assign(
        run=runs["part"],
        mean_final_resources=runs["mean_final_resources"].astype("Float64"),
        n_encounters=runs["n_decisions"],
        n_missed=runs["n_lost"],
        n_replaced=pd.array([0] * len(runs), dtype="Int64"),
        player=runs["model"],
    )
    runs["models_answered"] = _answered(study, runs)
    names = parts[[*KEY, "part"]].drop_duplicates().itertuples(index=False, name=None)
    started = {(name, part): study.started[name, run] for name, run, part in names}
    models = study.agents[[*KEY, "agent", "model"]].drop_duplicates([*KEY, "agent"])
    resources = study.resources.merge(models, on=[*KEY, "agent"], how="left")
    return replace(
        study,
        runs=runs,
        generations=generations,
        started=started,
        agents=_of(study.agents, study.agents["model"]),
        encounters=_of(with_records(study.encounters), study.encounters["donor_model"]),
        moves=_of(study.moves, study.moves["actor_model"]),
        resources=_of(study.resources, resources["model"]),
        replies=_of(study.replies, study.replies["player"]),
    )


def _answered(study: Study, runs: pd.DataFrame) -> pd.Series[str]:
    """Return the models that answered for each player of each run, comma-separated."""
    said = study.replies.dropna(subset=["model_answered"])
    names = said.groupby([*KEY, "player"])["model_answered"].agg(
        lambda society_keys: ", ".join(sorted(set(society_keys)))
    )
    keys = [*KEY, "player"]
    society_keys = runs[keys].assign(run=runs["run"].str.split(": ", n=1).str[0])
    return society_keys.join(names, on=keys)["model_answered"].astype("string")


def _of(frame: pd.DataFrame, model: pd.Series[str]) -> pd.DataFrame:
    return frame.assign(run=frame["run"] + ": " + model.set_axis(frame.index))
