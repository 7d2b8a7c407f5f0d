"""What is measured, each a function from dataframes to a dataframe, with its formula and source.

A row is always one run (`study`, `run`), or one of its generations. What cannot be computed is missing, never 0.
"""

from agentsim.analysis.measures.answers import answers
from agentsim.analysis.measures.cooperation import (
    conditional_slope,
    discrimination,
    giving_by_record,
    mean_fraction,
    with_records,
)
from agentsim.analysis.measures.evolution import price_equation, strategy_length, survival_differential, variances
from agentsim.analysis.measures.models import by_model, mixed_societies
from agentsim.analysis.measures.outcomes import (
    collapse,
    efficiency,
    gini,
    implied_share,
    mean_final_resources,
    take_off,
    take_off_sensitivity,
)
from agentsim.analysis.measures.punishment import (
    punishment,
    punishment_summary,
    punishment_targets,
    who_punishes_whom,
)
from agentsim.analysis.measures.sensitivity import score_sensitivity, sensitivity
from agentsim.analysis.measures.summary import summary

__all__ = [
    "answers",
    "by_model",
    "collapse",
    "conditional_slope",
    "discrimination",
    "efficiency",
    "gini",
    "giving_by_record",
    "implied_share",
    "mean_final_resources",
    "mean_fraction",
    "mixed_societies",
    "price_equation",
    "punishment",
    "punishment_summary",
    "punishment_targets",
    "score_sensitivity",
    "sensitivity",
    "strategy_length",
    "summary",
    "survival_differential",
    "take_off",
    "take_off_sensitivity",
    "variances",
    "who_punishes_whom",
    "with_records",
]
