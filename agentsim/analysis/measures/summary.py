"""The measures of a study in one table, with one row for each run."""

from __future__ import annotations

import pandas as pd

from agentsim.analysis.cooperation import cooperation
from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures.cooperation import conditional_slope, discrimination, with_records
from agentsim.analysis.measures.evolution import price_equation, strategy_length, survival_differential
from agentsim.analysis.measures.outcomes import collapse, efficiency, gini, implied_share, take_off
from agentsim.analysis.measures.punishment import punishment
from agentsim.core.registry import REGISTRY
from agentsim.errors import PluginError

__all__ = ["summary"]


def summary(study: Study) -> pd.DataFrame:
    """Return one row for each run that has finished a generation: measures of its last generation and of its course.

    Of the last finished generation: `mean_final_resources` (units), `efficiency`, `implied_share`, `mean_fraction`,
    `mean_level`, `slope`, `first_order`, `second_order`, `punishment_rate`, `gini`, `mean_words` of strategies formed
    in it. Of the course: `took_off`, `took_off_at`, `collapsed`, `collapsed_at` (generations); `differential`,
    `selection` and `transmission`, means over its generations, of the level where another game than the donor game is
    played. The function with the measure's name describes it. The columns of the measures that plug-ins bring come
    last.
    """
    ends = study.generations.groupby(KEY, sort=True)["generation"].max().reset_index()
    last = with_records(study.encounters.merge(ends, on=GENERATION))
    frame = ends.merge(study.runs[[*KEY, "condition", "model", "seed", "status"]], on=KEY)
    trait = cooperation(study).column
    parts = [
        study.generations[[*GENERATION, "mean_final_resources", "mean_fraction", "mean_level"]],
        efficiency(study.generations, study.runs),
        implied_share(study.generations, last, study.started).drop(columns="problem"),
        conditional_slope(last).drop(columns="n"),
        discrimination(last).drop(columns="n"),
        punishment(last)[[*GENERATION, "rate"]].rename(columns={"rate": "punishment_rate"}),
        gini(study.resources),
        strategy_length(study.agents)[[*GENERATION, "mean_words"]],
    ]
    for part in parts:
        frame = frame.merge(part, on=GENERATION, how="left")
    risen = take_off(study.generations, study.runs)[[*KEY, "took_off", "generation"]]
    fallen = collapse(study.generations, trait=trait)[[*KEY, "collapsed", "generation"]]
    frame = frame.merge(risen.rename(columns={"generation": "took_off_at"}), on=KEY, how="left")
    frame = frame.merge(fallen.rename(columns={"generation": "collapsed_at"}), on=KEY, how="left")
    for part, names in (
        (survival_differential(study.agents, trait=trait), ["differential"]),
        (price_equation(study.agents, trait=trait), ["selection", "transmission"]),
    ):
        frame = frame.merge(part.groupby(KEY)[names].mean().reset_index(), on=KEY, how="left")
    for name, member in REGISTRY.of("measure").items():
        frame = frame.merge(_checked(name, member.thing(study), known=frame.columns), on=KEY, how="left")
    return frame


def _checked(name: str, measured: pd.DataFrame, *, known: pd.Index[str]) -> pd.DataFrame:
    """Return what a plug-in's measure gave, if it has one row a run and new columns."""
    if not set(KEY) <= set(measured.columns) or measured.duplicated(KEY).any():
        raise PluginError(f"the measure {name!r} must return one row for each run, with the columns {', '.join(KEY)}")
    if taken := [str(column) for column in measured.columns if column in known and column not in KEY]:
        raise PluginError(f"the measure {name!r} returns {', '.join(taken)}, which the summary has; rename it")
    return measured
