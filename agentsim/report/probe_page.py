"""The page of a probe: what strategies would give in designed situations, and the nearest norm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from agentsim.analysis.figures import response
from agentsim.analysis.foreign import one_line, verbatim
from agentsim.analysis.probes import ALL, Probe
from agentsim.log.version import VERSION
from agentsim.report.figures import image
from agentsim.report.provenance import accounts_of, pairs
from agentsim.report.shell import rendered, write
from agentsim.report.tables import Table, from_frame

__all__ = ["render_probe", "write_probe_report"]

INTERVALS: Final = ("slope", "partner_if_kept", "partner_if_gave")
NORMS_NOTE: Final = (
    "Given: mean fraction over situations. Slope: change in the fraction given for each unit of the recipient's"
    " record. Kept, gave: the same for the record of the recipient's partner, if the recipient kept everything from"
    " that partner, or gave it everything. Intervals are 95 %, over repetitions. Distance: to the nearest rule, in"
    " fractions. Ties: rules that are as near, or cannot be told apart in these situations."
)
ROLES: Final = {
    "strategy": ("strategy", "strategies"),
    "parent": ("parent", "parents"),
    "child": ("newborn", "newborns"),
    "founder": ("founder", "founders"),
}
LEVELS_NOTE: Final = (
    "Level: mean over situations. Slope: change in the level for each unit of the level of what the other did last. At"
    " 0, at 1: the same for the level of the act before that, if the other's act was at level 0, or at 1. Intervals are"
    " 95 %, over repetitions. Distance: to the nearest rule, in levels. Ties: rules that are as near, or cannot be told"
    " apart in these situations."
)
FIGURE: Final = "Mean fraction given, by what the recipient gave"
LEVELS_FIGURE: Final = "Mean level, by the level of what the other did"
SURFACE_NOTE: Final = "One row for each strategy and situation; means have 95 % intervals over repetitions."
SHIFT_NOTE: Final = (
    "Newborns minus their parents, with the 95 % interval over newborns; the parents are taken as fixed. Newborns that"
    " stated no strategy or made no readable decision are left out."
)


def write_probe_report(probe: Probe, path: Path | None = None) -> Path:
    """Write the page to `path`, or to report.html in the probe's folder, and return its path.

    Raises:
        AgentsimError: the file cannot be written.
    """
    return write(render_probe(probe), probe.folder / "report.html" if path is None else path)


def render_probe(probe: Probe) -> str:
    """Return the page as self-contained HTML; the same probe gives the same text."""
    has_answers = bool(probe.answers["given"].notna().any())
    started = probe.started
    facts = [
        ("asked", one_line(" + ".join(started.players))),
        *accounts_of(started),
        ("versions", pairs(started.versions)),
        ("prompt set", f"SHA-256 {one_line(started.prompts_digest)}"),
    ]
    context: dict[str, Any] = {
        "title": one_line(probe.name),
        "version": VERSION,
        "folder": one_line(probe.folder),
        "said": list(_said(probe)),
        "missing": list(_missing(probe)),
        "figure": image(response(probe), title=FIGURE if probe.is_of_donor_game else LEVELS_FIGURE)
        if has_answers
        else None,
        "would": "What they would give" if probe.is_of_donor_game else "What they would do",
        "norms": _norms(probe) if has_answers else None,
        "surface": from_frame(_plain(probe.surface), note=SURFACE_NOTE) if has_answers else None,
        "shift": None if probe.shift.empty else from_frame(probe.shift, note=SHIFT_NOTE),
        "scores": None if probe.scores.empty else from_frame(probe.scores),
        "strategies": from_frame(_plain(probe.subjects)),
        "facts": facts,
        "design": verbatim(yaml.safe_dump(probe.design.model_dump(mode="json"), sort_keys=False, allow_unicode=True)),
        "condition": verbatim(yaml.safe_dump(started.condition, sort_keys=False, allow_unicode=True)),
    }
    return rendered("probe.html.j2", context)


def _said(probe: Probe) -> Iterator[str]:
    design, n_missing = probe.design, int(probe.answers["given"].isna().sum())
    roles = probe.subjects["role"].value_counts()
    who = " and ".join(f"{n} {ROLES[str(role)][n > 1]}" for role, n in roles.items())
    yield (
        f"{who}, asked in {len(design.situations)} situations, {design.n} times each: {len(probe.answers):,} answers,"
        f" {n_missing:,} of them without a readable decision."
    )
    for row in probe.summary.to_dict("records"):
        if pd.notna(row["norm"]):
            who = f"all ({row['role']})" if row["subject"] == ALL else str(row["subject"])
            tied = "" if pd.isna(row["ties"]) else f", or {row['ties']}"
            verb = "gives" if probe.is_of_donor_game else "acts at level"
            is_open = "" if row["norm"] == row["nearest"] else f"{row['norm']} by what rule; "
            yield one_line(
                f"{who}: {verb} {row['mean_fraction']:.2f} on average; {is_open}nearest to {row['nearest']}{tied}, at a"
                f" distance of {row['distance']:.2f}."
            )


def _missing(probe: Probe) -> Iterator[str]:
    if not probe.is_complete:
        yield "The probe is not finished: the same command continues it."
    problems = probe.answers.loc[probe.answers["given"].isna(), "problem"].fillna("nothing to give").value_counts()
    for problem, n in problems.items():
        yield f"{n:,} answers: {one_line(problem)}. They count in no mean."
    silent = probe.subjects["problem"].dropna()
    if len(silent):
        yield f"{len(silent)} newborns stated no readable strategy and were not asked further."


def _norms(probe: Probe) -> Table:
    names = ["subject", "role", "n", "n_missing", "mean_fraction"]
    names += [name + end for name in INTERVALS for end in ("", "_low", "_high")]
    mean, kept, gave = ("given", "kept", "gave") if probe.is_of_donor_game else ("level", "at 0", "at 1")
    titles = {"mean_fraction": mean, "partner_if_kept": kept, "partner_if_gave": gave, "norm": "rule"}
    titles |= {name + end: end.removeprefix("_") for name in INTERVALS for end in ("_low", "_high")}
    return from_frame(
        _plain(probe.summary)[[*names, "norm", "nearest", "distance", "ties"]],
        titles=titles,
        note=NORMS_NOTE if probe.is_of_donor_game else LEVELS_NOTE,
    )


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame for a table: without internal names, and rounded so that float noise does not show."""
    numbers = frame.select_dtypes("Float64")
    return frame.assign(**numbers.round(9)).replace({"subject": {ALL: "all"}})
