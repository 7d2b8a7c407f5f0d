"""A probe's log as tidy dataframes: what strategies would do, and how children differ from their parents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd

from agentsim.analysis.kernel import families, levels_of
from agentsim.analysis.probe_rows import (
    SCORES,
    SHIFT,
    SUMMARY,
    answers_of,
    fit_row,
    fitted,
    frame_of,
    mean_row,
    shift_row,
    situation_row,
    subjects_of,
    summary_row,
)
from agentsim.core.facts import Scored
from agentsim.core.probe_design import Design
from agentsim.errors import LogError
from agentsim.log.files import LOG_NAME, PROBE_NAME
from agentsim.log.reading import read_log
from agentsim.log.records import RunFinished, RunStarted
from agentsim.scenario.plugins import what_is_missing

__all__ = ["ALL", "Probe", "is_probe", "load_probe"]

ALL: Final = "all"
"""The name in `summary` and `surface` for all strategies of one role together."""
MEASURES: Final = ("score", "mean_fraction", "slope", "partner_if_kept", "partner_if_gave")
"""The measures in which children are compared with their parents."""
PROBE: Final = "probe"


@dataclass(frozen=True, eq=False)
class Probe:
    """One probe: its design, its answers, and what follows from them."""

    name: str
    folder: Path
    started: RunStarted
    design: Design
    is_complete: bool
    subjects: pd.DataFrame
    """One row for each strategy, including children's: `subject`, `role`, `generation`, `score` (units, from the run's
    log), `strategy` (its text), `problem` (why a child's strategy could not be read), `parents`."""
    answers: pd.DataFrame
    """One row for each answer: `subject`, `role`, `situation`, its `record`, `partner`, `reputation`, `level` (of the
    record, in [0, 1]) and `resources`, `repetition`, `act`, `fraction` (given or spent on punishing), `given` (the
    fraction given; 0 for a punishment; missing if no decision could be read), `problem`, `attempts`, `key`."""
    scores: pd.DataFrame
    """One row for each strategy and society: `subject`, `role`, `society`, `score` (units), `mean_fraction`,
    `n_decisions`, `n_missed`."""

    @cached_property
    def surface(self) -> pd.DataFrame:
        """One row for each strategy and situation: the mean fraction given, `low` and `high` (95 %, Student's t over
        repetitions, within [0, 1]; missing for fewer than two answers), `n` answers and `n_missing`."""
        keys = ["subject", "role", "situation", "record", "partner", "reputation", "level", "resources"]
        rows = [
            {**dict(zip(keys, key, strict=True)), **mean_row(answers)}
            for key, answers in self.answers.groupby(keys, sort=False, dropna=False)
        ]
        kinds = {"mean": "Float64", "low": "Float64", "high": "Float64", "n": "Int64", "n_missing": "Int64"}
        dtypes = {name: str(self.answers[name].dtype) for name in keys} | kinds
        return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row for each strategy, and one for all strategies of a role if there are several.

        `n` answers, `n_missing` without a readable decision, `n_punished`; `mean_fraction`; `to_unknown` (to a
        recipient with no known record); `slope`, `partner_if_kept`, `partner_if_gave`, `resources_slope`, each with
        `_low` and `_high`; the corners; `norm`, the verdict: an assessment rule, unconditional, graded, no rule fits,
        or cannot say; `is_norm`, whether that is an assessment rule; `nearest`, the candidate with the lowest BIC, with
        `distance`, `low_level`, `high_level`, `threshold`, `support`; `ties`, rules that are as near or that the grid
        cannot distinguish from it.
        """
        rows = [
            {"subject": subject, "role": role, **summary_row(answers, self._cells)}
            for subject, role, answers in self._groups()
        ]
        return pd.DataFrame(rows, columns=list(SUMMARY)).astype(SUMMARY)

    @cached_property
    def norms(self) -> pd.DataFrame:
        """One row for each strategy and rule, the nearest first: `distance`, `low_level`, `high_level`, `threshold`,
        `bic`, `support`."""
        rows = [
            {"subject": subject, "role": role, **fit_row(fit)}
            for subject, role, answers in self._groups()
            for fit in fitted(answers, self._cells)[1]
        ]
        kinds = {name: SUMMARY[name] for name in ("subject", "role", "norm", "distance", "low_level", "high_level")}
        kinds |= {"threshold": "Float64", "bic": "Float64", "support": "Float64"}
        return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)

    @cached_property
    def shift(self) -> pd.DataFrame:
        """One row for each measure: its mean over parents and over children, and `shift`, the children's mean minus the
        parents', with `low` and `high` (95 %, BCa bootstrap over children; the parents are taken as fixed).

        `n_parents` and `n_children` that have the measure; `n_without`, children without it, because they stated no
        strategy or made no readable decision; `problem`, why there is no interval. Empty if no children were asked.
        """
        children = self.subjects[self.subjects["role"] == "child"]
        if children.empty:
            return pd.DataFrame(columns=list(SHIFT)).astype(SHIFT)
        by_subject = self.summary[self.summary["subject"] != ALL].set_index("subject")
        values = by_subject.reindex(columns=list(MEASURES[1:]))
        values.insert(0, "score", self.scores.groupby("subject")["score"].mean())
        values = values.reindex(self.subjects["subject"])
        if not self.design.n:  # giving in societies replaces giving in situations only if no situation was asked
            values["mean_fraction"] = self.scores.groupby("subject")["mean_fraction"].mean().reindex(values.index)
        roles = self.subjects.set_index("subject")["role"]
        rows = [shift_row(name, values[name], roles) for name in MEASURES]
        return pd.DataFrame([row for row in rows if row], columns=list(SHIFT)).astype(SHIFT)

    @cached_property
    def families(self) -> pd.DataFrame:
        """One row for each family of newborns, and one for founders, which has no `family`.

        `parents`, `n_parents` and their mean level, `parent_level`; of their newborns' levels `mean`, `low` and `high`
        (95 %, Student's t, within [0, 1]) and `sd`; `n_children` that have a level, `n_without` that have none.
        """
        return families(self.subjects, self.levels)

    @cached_property
    def levels(self) -> pd.Series:
        """The level of each strategy, by name: the mean fraction it gave in the situations that were asked, else in the
        scoring societies."""
        return levels_of(self.answers, self.scores)

    @property
    def is_of_donor_game(self) -> bool:
        """Whether records and answers are shares given; in other games they are levels of moves."""
        return bool(self.started.condition.get("game", {}).get("kind", "donor") == "donor")

    @property
    def _cells(self) -> list[dict[str, Any]]:
        return [situation_row(situation) for situation in self.design.situations]

    def _groups(self) -> Iterator[tuple[str, str, pd.DataFrame]]:
        for role, answers in self.answers.groupby("role", sort=False):
            if answers["subject"].nunique() > 1:
                yield ALL, str(role), answers
        for subject, answers in self.answers.groupby("subject", sort=False):
            yield str(subject), str(answers["role"].iloc[0]), answers


def is_probe(folder: str | Path) -> bool:
    """Return whether a folder holds a probe rather than a study."""
    return (Path(folder) / PROBE_NAME).is_file()


def load_probe(folder: str | Path) -> Probe:
    """Read a probe from its log, finished or not.

    Raises:
        LogError: the folder holds no probe, or its log cannot be used.
    """
    folder = Path(folder)
    if not (folder / PROBE / LOG_NAME).exists():
        raise LogError(f"{folder}: holds no probe; name the folder that agentsim probe wrote, as results/probe-...")
    records = read_log(folder / PROBE).records
    started = records[0] if records else None
    if not isinstance(started, RunStarted) or started.probe is None:
        raise LogError(f"{folder / PROBE / LOG_NAME}: does not begin with a probe's design; restore it")
    if lacking := what_is_missing(started.plugins):
        raise LogError(f"{folder}: {lacking}")
    try:
        design = Design.model_validate(started.probe)
    except ValueError as error:
        raise LogError(f"{folder / PROBE / LOG_NAME}: this version cannot read its design: {error}") from error
    subjects = subjects_of(design, records)
    roles = {str(row.subject): str(row.role) for row in subjects.itertuples()}
    return Probe(
        name=folder.name,
        folder=folder,
        started=started,
        design=design,
        is_complete=isinstance(records[-1], RunFinished),
        subjects=subjects,
        answers=answers_of(design, records, roles),
        scores=frame_of(
            SCORES,
            (
                {**record.model_dump(), "role": roles[record.subject]}
                for record in records
                if isinstance(record, Scored)
            ),
        ),
    )
