"""The rows of a probe's tables: what its log says of strategies and answers, and what follows from answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from agentsim.analysis.norms import CANNOT_SAY, GRADED, TIE, Fit, fit_norms, is_assessment, named
from agentsim.analysis.statistics import bca_interval
from agentsim.analysis.surfaces import Slopes, Surface, resampled, slopes
from agentsim.core.facts import Probed, StrategyFormed
from agentsim.core.keys import ChildKey, parse
from agentsim.core.probe_design import Design, level, situation_name
from agentsim.log.records import Record

__all__ = [
    "SCORES",
    "SHIFT",
    "SUMMARY",
    "answers_of",
    "fit_row",
    "fitted",
    "frame_of",
    "mean_row",
    "shift_row",
    "situation_row",
    "subjects_of",
    "summary_row",
]

CORNERS: Final = ("gave_good", "gave_bad", "kept_good", "kept_bad")
"""Mean fractions given to recipients with the best and worst records, whose partner had the best or worst record."""
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
    "family": "Int64",
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


def frame_of(dtypes: dict[str, str], rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(dtypes)).astype(dtypes)


def _child(key: str) -> ChildKey:
    child = parse(key)
    assert isinstance(child, ChildKey)
    return child


def subjects_of(design: Design, records: list[Record]) -> pd.DataFrame:
    family_of = {parent.name: number for number, parents in enumerate(design.families, start=1) for parent in parents}
    rows: list[dict[str, Any]] = [
        {
            "subject": subject.name,
            **subject.model_dump(include={"role", "generation", "score", "strategy"}),
            "family": family_of.get(subject.name),
        }
        for subject in design.subjects
    ]
    rows += [
        {
            "subject": _child(record.key).subject,
            "role": "founder" if design.family_of(_child(record.key).number) is None else "child",
            "generation": record.generation,
            "strategy": record.agent.strategy,
            "problem": record.problem,
            "parents": ", ".join(record.agent.parents),
            "family": design.family_of(_child(record.key).number),
        }
        for record in sorted(
            (record for record in records if isinstance(record, StrategyFormed)),
            key=lambda record: _child(record.key).number,
        )
    ]
    return frame_of(SUBJECTS, rows)


def situation_row(situation: Any) -> dict[str, Any]:
    return {
        "situation": situation_name(situation),
        "record": situation.record,
        "partner": situation.partner,
        "reputation": None if situation.reputation is None else str(situation.reputation),
        "level": level(situation),
        "resources": situation.resources,
    }


def answers_of(design: Design, records: list[Record], roles: dict[str, str]) -> pd.DataFrame:
    """Return one row for each answer, in the order of the design rather than of arrival."""
    cells = {situation_name(situation): situation_row(situation) for situation in design.situations}
    places = {name: index for index, name in enumerate(cells)}
    order = {name: index for index, name in enumerate(roles)}
    probed = sorted(
        (record for record in records if isinstance(record, Probed)),
        key=lambda record: (order[record.subject], places[record.situation], record.repetition),
    )
    return frame_of(
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


def mean_row(answers: pd.DataFrame) -> dict[str, Any]:
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


def fitted(answers: pd.DataFrame, cells: list[dict[str, Any]]) -> tuple[Slopes, list[Fit]]:
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


def fit_row(fit: Fit) -> dict[str, Any]:
    return {
        "norm": fit.norm.name,
        "distance": fit.distance,
        "low_level": fit.low,
        "high_level": fit.high,
        "threshold": fit.threshold,
        "bic": fit.bic,
        "support": fit.support,
    }


def summary_row(answers: pd.DataFrame, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one row of the summary."""
    estimates, fits = fitted(answers, cells)
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
        row |= {name: value for name, value in fit_row(first).items() if name != "bic"}
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


def shift_row(name: str, values: pd.Series, roles: pd.Series) -> dict[str, Any] | None:
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
