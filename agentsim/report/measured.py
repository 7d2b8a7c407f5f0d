"""Measures as tables of the page: of runs, of mixed societies, of punishment, and of groups of agents."""

from __future__ import annotations

from typing import Final

import numpy as np

from agentsim.analysis.cooperation import GIVING, cooperation
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.decisions import failed, lost
from agentsim.analysis.frames.study import Study
from agentsim.analysis.labels import labels_of
from agentsim.analysis.measures import by_group, mixed_societies, punishment_summary, summary
from agentsim.report.data import labels
from agentsim.report.tables import Table, from_frame

__all__ = ["groups", "measures"]

OUTCOMES: Final = ["mean_final_resources", "efficiency", "implied_share", "gini", "took_off_at", "collapsed_at"]
GIVEN: Final = ["mean_fraction", "slope", "first_order", "second_order", "punishment_rate", "differential"]
EVOLUTION: Final = ["selection", "transmission", "mean_words"]


PUNISHED: Final = {
    "n_decided": "decisions",
    "n_punished": "punished",
    "rate": "share",
    "spent": "spent (units)",
    "removed": "removed (units)",
    "rate_of_miser": "of misers",
    "rate_of_giver": "of givers",
    "rate_of_no_record": "of unknown recipients",
}
PUNISHED_NOTE: Final = (
    "Punishment by condition. Misers gave less than half of their resources the last time they were donors, givers half"
    " or more; the shares are of encounters with such recipients."
)


MIXED: Final = {
    "n_agents": "agents",
    "share": "of the generation",
    "n_survived": "survive",
    "mean_score": "mean score (units)",
    "n_decisions": "decisions",
    "n_lost": "lost",
    "mean_fraction": "given",
    "to_own": "to its own model",
    "to_others": "to others",
}
MIXED_NOTE: Final = (
    "Models in mixed societies, in the first and the last generation of each run. Given: mean fraction, to agents of"
    " the same model and to others. A model that has died out is not listed."
)
MIXED_LEVELS_NOTE: Final = (
    "Models in mixed societies, in the first and the last generation of each run. A model that has died out is not"
    " listed."
)


GROUPS_SHOWN: Final = 300
"""The most rows of groups that the page lists."""


def groups(study: Study, shown: Study) -> list[Table]:
    """Return what each group of agents did, where societies have groups, and what was given within and across them."""
    frame = by_group(shown.agents)
    if frame.empty:
        return []
    names, words = labels(shown), cooperation(study)
    last = frame.groupby(KEY)["generation"].transform("max") == frame["generation"]
    rows = frame[last].drop(columns=[name for name in ("mean_fraction", "mean_level") if name != words.column])
    n_more = len(rows) - GROUPS_SHOWN
    rows = rows.head(GROUPS_SHOWN)
    rows = rows.assign(run=[names[key] for key in rows[KEY].itertuples(index=False, name=None)]).drop(columns=["study"])
    note = "Each group in the last generation of its run that has begun." + (
        f" {n_more:,} more rows: agentsim.measures.by_group has them all." if n_more > 0 else ""
    )
    titles = {"n_agents": "agents", "score": "mean score (units)", "n_survivors": "survivors", words.column: words.name}
    tables = [from_frame(rows, titles=titles, note=note)]
    met = study.encounters
    if "donor_group" in met.columns and met["donor_group"].notna().any():
        known = met[met["donor_group"].notna() & met["recipient_group"].notna()]
        known = known[~lost(known) & ~failed(known)]
        to = np.where(known["donor_group"] == known["recipient_group"], "its own group", "another group")
        given = known.assign(condition=study.conditions(known), to=to).groupby(["condition", "to"], sort=True)[
            "fraction"
        ]
        across = given.agg(["count", "mean"]).reset_index()
        across["condition"] = across["condition"].map(labels_of(across["condition"]))
        titles = {"count": "decisions", "mean": "mean fraction given"}
        tables.append(from_frame(across, titles=titles, note="What was given within and across groups, over all runs."))
    return tables


def measures(study: Study, shown: Study) -> list[Table]:
    """Return the measures of every run shown, in two tables so that they fit the page's width."""
    if shown.generations.empty:
        return []
    frame = summary(shown)
    names = labels(shown)
    keys = frame[KEY].itertuples(index=False, name=None)
    frame.insert(0, "label", [names[key] for key in keys])
    note = "Of the last finished generation; differential, selection and transmission are means over generations."
    wide = frame.rename(columns={"label": "name"})
    punished = punishment_summary(study)
    mixed = mixed_societies(shown)
    societies = [names[key] for key in mixed[KEY].itertuples(index=False, name=None)]
    words = cooperation(study)
    is_giving = words is GIVING
    unused = ["mean_level"] if is_giving else ["mean_fraction", "to_own", "to_others"]
    mixed = mixed.drop(columns=["study", *unused], errors="ignore").assign(run=societies)
    outcomes = [name for name in OUTCOMES if is_giving or name != "implied_share"]
    acts = GIVEN if is_giving else [words.column, "differential"]
    return [
        *(
            []
            if mixed.empty
            else [from_frame(mixed, titles=MIXED, note=MIXED_NOTE if is_giving else MIXED_LEVELS_NOTE)]
        ),
        *([] if punished.empty else [from_frame(punished, titles=PUNISHED, note=PUNISHED_NOTE)]),
        from_frame(
            wide[["name", *outcomes]], titles={"name": "run", "mean_final_resources": "mean final resources (units)"}
        ),
        from_frame(wide[["name", *acts, *EVOLUTION]], titles={"name": "run"}, note=note),
    ]
