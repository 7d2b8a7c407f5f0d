"""A probe's log as tidy dataframes: what strategies would do, and how children differ from their parents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from agentsim.analysis.norms import (
    CANNOT_SAY,
    GRADED,
    TIE,
    Fit,
    Slopes,
    Surface,
    fit_norms,
    is_assessment,
    named,
    resampled,
    slopes,
)
from agentsim.analysis.statistics import bca_interval
from agentsim.core.facts import Probed, Scored, StrategyFormed
from agentsim.core.keys import ChildKey, parse
from agentsim.core.probe_design import Design, level, situation_name
from agentsim.errors import LogError
from agentsim.log.files import LOG_NAME, PROBE_NAME
from agentsim.log.reading import read_log
from agentsim.log.records import Record, RunFinished, RunStarted
from agentsim.scenario.plugins import what_is_missing

__all__ = ["ALL", "Probe", "is_probe", "load_probe"]

ALL: Final = "all"
"""The name in `summary` and `surface` for all strategies of one role together."""
CORNERS: Final = ("gave_good", "gave_bad", "kept_good", "kept_bad")
"""Mean fractions given to recipients with the best and worst records, whose partner had the best or worst record."""
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
            {**dict(zip(keys, key, strict=True)), **_mean_of(answers)}
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
            {"subject": subject, "role": role, **_read(answers, self._cells)}
            for subject, role, answers in self._groups()
        ]
        return pd.DataFrame(rows, columns=list(SUMMARY)).astype(SUMMARY)

    @cached_property
    def norms(self) -> pd.DataFrame:
        """One row for each strategy and rule, the nearest first: `distance`, `low_level`, `high_level`, `threshold`,
        `bic`, `support`."""
        rows = [
            {"subject": subject, "role": role, **_fit_row(fit)}
            for subject, role, answers in self._groups()
            for fit in _fits(answers, self._cells)[1]
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
        rows = [_shift_row(name, values[name], roles) for name in MEASURES]
        return pd.DataFrame([row for row in rows if row], columns=list(SHIFT)).astype(SHIFT)

    @property
    def is_of_donor_game(self) -> bool:
        """Whether records and answers are shares given; in other games they are levels of moves."""
        return bool(self.started.condition.get("game", {}).get("kind", "donor") == "donor")

    @property
    def _cells(self) -> list[dict[str, Any]]:
        return [_situation_row(situation) for situation in self.design.situations]

    def _groups(self) -> Iterator[tuple[str, str, pd.DataFrame]]:
        for role, answers in self.answers.groupby("role", sort=False):
            if answers["subject"].nunique() > 1:
                yield ALL, str(role), answers
        for subject, answers in self.answers.groupby("subject", sort=False):
            yield str(subject), str(answers["role"].iloc[0]), answers


INTERVALS: Final = ("slope", "partner_if_kept", "partner_if_gave", "resources_slope")
SUMMARY: Final[dict[str, str]] = {
    "subject": "string",
    "role": "string",
    "n": "Int64",
    "n_missing": "Int64",
    "n_punished": "Int64",
    "mean_fraction": "Float64",
    "to_unknown": "Float64",
    **{name + end: "Float64" for name in INTERVALS for end in ("", "_low", "_high")},
    **dict.fromkeys(CORNERS, "Float64"),
    "norm": "string",
    "is_norm": "boolean",
    "nearest": "string",
    "distance": "Float64",
    "low_level": "Float64",
    "high_level": "Float64",
    "threshold": "Float64",
    "support": "Float64",
    "ties": "string",
}
SHIFT: Final[dict[str, str]] = {
    "measure": "string",
    "parents": "Float64",
    "children": "Float64",
    "shift": "Float64",
    "low": "Float64",
    "high": "Float64",
    "n_parents": "Int64",
    "n_children": "Int64",
    "n_without": "Int64",
    "problem": "string",
}
ANSWERS: Final[dict[str, str]] = {
    "subject": "string",
    "role": "string",
    "situation": "string",
    "record": "Float64",
    "partner": "Float64",
    "reputation": "string",
    "level": "Float64",
    "resources": "Float64",
    "repetition": "Int64",
    "act": "string",
    "fraction": "Float64",
    "given": "Float64",
    "problem": "string",
    "attempts": "Int64",
    "key": "string",
}
SUBJECTS: Final[dict[str, str]] = {
    "subject": "string",
    "role": "string",
    "generation": "Int64",
    "score": "Float64",
    "strategy": "string",
    "problem": "string",
    "parents": "string",
}
SCORES: Final[dict[str, str]] = {
    "subject": "string",
    "role": "string",
    "society": "Int64",
    "score": "Float64",
    "mean_fraction": "Float64",
    "n_decisions": "Int64",
    "n_missed": "Int64",
}


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
    subjects = _subjects(design, records)
    roles = {str(row.subject): str(row.role) for row in subjects.itertuples()}
    return Probe(
        name=folder.name,
        folder=folder,
        started=started,
        design=design,
        is_complete=isinstance(records[-1], RunFinished),
        subjects=subjects,
        answers=_answers(design, records, roles),
        scores=_frame(
            SCORES,
            (
                {**record.model_dump(), "role": roles[record.subject]}
                for record in records
                if isinstance(record, Scored)
            ),
        ),
    )


def _frame(dtypes: dict[str, str], rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(dtypes)).astype(dtypes)


def _child(key: str) -> str:
    """Return the name of a child's strategy."""
    child = parse(key)
    assert isinstance(child, ChildKey)
    return child.subject


def _subjects(design: Design, records: list[Record]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {"subject": subject.name, **subject.model_dump(include={"role", "generation", "score", "strategy"})}
        for subject in design.subjects
    ]
    rows += [
        {
            "subject": _child(record.key),
            "role": "child",
            "generation": record.generation,
            "strategy": record.agent.strategy,
            "problem": record.problem,
            "parents": ", ".join(record.agent.parents),
        }
        for record in sorted(
            (record for record in records if isinstance(record, StrategyFormed)), key=lambda record: record.key
        )
    ]
    return _frame(SUBJECTS, rows)


def _situation_row(situation: Any) -> dict[str, Any]:
    return {
        "situation": situation_name(situation),
        "record": situation.record,
        "partner": situation.partner,
        "reputation": None if situation.reputation is None else str(situation.reputation),
        "level": level(situation),
        "resources": situation.resources,
    }


def _answers(design: Design, records: list[Record], roles: dict[str, str]) -> pd.DataFrame:
    """Return one row for each answer, in the order of the design rather than of arrival."""
    cells = {situation_name(situation): _situation_row(situation) for situation in design.situations}
    places = {name: index for index, name in enumerate(cells)}
    order = {name: index for index, name in enumerate(roles)}
    probed = sorted(
        (record for record in records if isinstance(record, Probed)),
        key=lambda record: (order[record.subject], places[record.situation], record.repetition),
    )
    return _frame(
        ANSWERS,
        (
            {
                **cells[record.situation],
                "subject": record.subject,
                "role": roles[record.subject],
                "repetition": record.repetition,
                "act": record.act or "missing",
                "fraction": record.fraction,
                "given": 0.0 if record.act == "punish" else record.fraction,
                "problem": record.problem,
                "attempts": record.attempts,
                "key": record.key,
            }
            for record in probed
        ),
    )


def _mean_of(answers: pd.DataFrame) -> dict[str, Any]:
    from scipy.special import stdtrit

    given = answers["given"].dropna().to_numpy(dtype=float)
    row: dict[str, Any] = {
        "n": len(given),
        "n_missing": len(answers) - len(given),
        "mean": None,
        "low": None,
        "high": None,
    }
    if len(given):
        row["mean"] = mean = float(given.mean())
        if len(given) > 1:
            half = float(stdtrit(len(given) - 1, 0.975) * given.std(ddof=1) / np.sqrt(len(given)))
            row["low"], row["high"] = max(0.0, mean - half), min(1.0, mean + half)
    return row


def _surface(answers: pd.DataFrame, cells: list[dict[str, Any]]) -> Surface:
    by_cell = dict(list(answers.dropna(subset=["given"]).groupby("situation")))

    def column(name: str) -> Any:
        return np.array([np.nan if cell[name] is None else cell[name] for cell in cells], dtype=float)

    def fractions(name: str) -> list[Any]:
        if name not in by_cell:
            return []
        return [rows["given"].to_numpy(dtype=float) for _, rows in by_cell[name].groupby("subject", sort=False)]

    return Surface(
        level=column("level"),
        partner=column("partner"),
        resources=column("resources"),
        answers=[fractions(cell["situation"]) for cell in cells],
    )


def _fits(answers: pd.DataFrame, cells: list[dict[str, Any]]) -> tuple[Slopes, list[Fit]]:
    surface = _surface(answers, cells)
    means = resampled(surface)
    fits = fit_norms(surface, means)
    if any(cell["reputation"] in ("good", "bad") for cell in cells):
        # A strategy that follows a standing need not judge acts itself: the scenario's rule did that.
        fits = [
            fit._replace(norm=replace(fit.norm, name="discriminating")) if fit.threshold is not None else fit
            for fit in fits
        ]
    return slopes(surface, means), fits


def _fit_row(fit: Fit) -> dict[str, Any]:
    return {
        "norm": fit.norm.name,
        "distance": fit.distance,
        "low_level": fit.low,
        "high_level": fit.high,
        "threshold": fit.threshold,
        "bic": fit.bic,
        "support": fit.support,
    }


def _read(answers: pd.DataFrame, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one row of the summary."""
    estimates, fits = _fits(answers, cells)
    row: dict[str, Any] = {
        "n": int(answers["given"].notna().sum()),
        "n_missing": int(answers["given"].isna().sum()),
        "n_punished": int((answers["act"] == "punish").sum()),
        **_corners(answers),
    }
    shown = answers["level"].notna() if answers["level"].notna().any() else answers["resources"].notna()
    row["mean_fraction"] = _mean(answers[shown])
    if not shown.all():
        row["to_unknown"] = _mean(answers[~shown])
    for name, estimate in zip(INTERVALS, estimates, strict=True):
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    if fits:
        first = fits[0]
        row |= {name: value for name, value in _fit_row(first).items() if name != "bic"}
        tied = [fit.norm.name for fit in fits[1:] if fit.bic - first.bic < TIE]
        row["nearest"], row["norm"] = first.norm.name, named(fits)
        if first.norm.name == "image scoring" and _has_two_records(cells):  # a line and a step are one
            tied, row["norm"] = [*tied, GRADED.name], CANNOT_SAY
        row["is_norm"] = is_assessment(row["norm"])
        row["ties"] = ", ".join([*first.norm.also, *tied]) or None
    return row


def _has_two_records(cells: list[dict[str, Any]]) -> bool:
    """Return whether records are shares given and the grid has only two of them."""
    return len({cell["record"] for cell in cells if cell["record"] is not None}) == 2


def _mean(answers: pd.DataFrame) -> float | None:
    """Return the mean over situations of the mean fraction given."""
    means = answers.dropna(subset=["given"]).groupby("situation")["given"].mean()
    return None if means.empty else float(means.mean())


def _corners(answers: pd.DataFrame) -> dict[str, float | None]:
    known = answers.dropna(subset=["level", "partner"])
    if known.empty:
        return {}
    corners = {}
    for name, record in (("gave", known["level"].max()), ("kept", known["level"].min())):
        for kind, partner in (("good", known["partner"].max()), ("bad", known["partner"].min())):
            corners[f"{name}_{kind}"] = _mean(known[(known["level"] == record) & (known["partner"] == partner)])
    return corners


def _shift_row(name: str, values: pd.Series, roles: pd.Series) -> dict[str, Any] | None:
    subject_roles = roles.reindex(values.index)
    parents = values[subject_roles == "parent"].dropna().to_numpy(dtype=float)
    children = values[subject_roles == "child"]
    known = children.dropna().to_numpy(dtype=float)
    if not len(known) or not len(parents):
        return None
    interval = bca_interval(known - parents.mean())
    return {
        "measure": name,
        "parents": parents.mean(),
        "children": known.mean(),
        "shift": known.mean() - parents.mean(),
        "low": interval.low,
        "high": interval.high,
        "n_parents": len(parents),
        "n_children": len(known),
        "n_without": len(children) - len(known),
        "problem": interval.problem
        and interval.problem.replace("pairs", "children").replace("differences", "children"),
    }
