"""The page of one or more studies: what was played, the results, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from markupsafe import Markup

from agentsim.analysis.cooperation import GIVING, cooperation, is_linear
from agentsim.analysis.figures import drawings
from agentsim.analysis.figures.drawn import declared
from agentsim.analysis.figures.final_resources import references
from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.labels import labels_of
from agentsim.analysis.measures.outcomes import central_means
from agentsim.analysis.measures.sensitivity import Band, fraction_band, score_sensitivity, sensitivity
from agentsim.analysis.preregistration import Prereg
from agentsim.analysis.published import SOURCE, published_like, published_summary, published_unlike
from agentsim.errors import AgentsimError
from agentsim.log.version import VERSION
from agentsim.report import content, headline
from agentsim.report.asked import asked
from agentsim.report.charts import bundle, specifications
from agentsim.report.comparison import compared, tables_of, without
from agentsim.report.data import browser_data, embedded, labels, said
from agentsim.report.excerpt import excerpt, excerpt_said
from agentsim.report.figures import Image, image
from agentsim.report.measured import groups, measures
from agentsim.report.provenance import conditions
from agentsim.report.served import served_table
from agentsim.report.shell import packaged, rendered, write
from agentsim.report.tables import Table, from_frame, number

__all__ = ["render", "write_report"]

MAX_BANDS: Final = 1_000
"""The most generations whose bands the page lists."""


def write_report(study: Study, path: Path | None = None, *, plan: Prereg | None = None) -> Path:
    """Write the report to `path`, or to report.html in the study's folder, and return its path.

    `plan`: what was fixed beforehand (`read_prereg`); then each line of the comparison says whether it is as planned.

    Raises:
        AgentsimError: the file cannot be written, or there are several studies and no path.
    """
    if path is None:
        if len(study.folders) > 1:
            raise AgentsimError("a report of several studies belongs to no single folder; name its file with -o")
        [folder] = study.folders.values()
        path = folder / "report.html"
    return write(render(study, plan=plan), path)


def render(study: Study, *, plan: Prereg | None = None) -> str:
    """Return the report as self-contained HTML; the same study gives the same text."""
    scripts = [packaged("script.js")]
    has_generations, has_agents = not study.generations.empty, not study.agents.empty
    if has_generations or has_agents:
        scripts.insert(0, bundle())
    bands, words, shown = sensitivity(study), cooperation(study), excerpt(study)
    names = study.conditions(study.runs).astype(str)
    called, data = labels_of(names), browser_data(shown, bands, all_conditions=names)
    scored = study.scored
    means = central_means(study, scored.assign(condition=study.conditions(scored)))
    means["condition"] = means["condition"].map(called).map(one_line)
    data["conditions"] = _records(means[means["mean"].notna()])
    data["references"] = [{"name": name, "value": value} for value, name in references(study).items()]
    theirs = published_like(study)
    data["published"] = _published(theirs)
    data["charts"] = specifications(
        has_zero=bool((study.generations["mean_final_resources"] <= 0).any()),
        has_published=not theirs.empty,
        words=words,
        conditions=[one_line(label) for label in sorted(called.values())],
    )
    can, cannot = content.conclusions(study)
    figures, undrawn = _figures(study)
    comparison, problem = compared(study, plan)
    played, outcomes = content.said(study)
    context: dict[str, Any] = {
        "data": Markup(embedded(data)),  # `embedded` escapes it
        "title": one_line(study.name),
        "version": VERSION,
        "folders": ", ".join(one_line(folder) for folder in study.folders.values()),
        "headline": headline.sentence(study, comparison, problem),
        "chart": headline.chart(study, comparison),
        "said": played,
        "outcomes": outcomes,
        "can": can,
        "cannot": cannot,
        "missing": content.missing(study),
        "excerpt": excerpt_said(study, shown),
        "runs": content.runs_table(shown),
        "has_generations": has_generations,
        "has_agents": has_agents,
        "has_encounters": not study.encounters.empty,
        "has_moves": not study.moves.empty,
        "has_messages": not study.messages.empty,
        "words": words,
        "is_giving": words is GIVING,
        "is_linear": is_linear(study),
        "generations": _generations_table(shown),
        "published": _published_table(theirs),
        "published_source": SOURCE,
        "published_unlike": _published_unlike(study),
        "unreadable": content.unreadable(study),
        "band": _band_table(shown, bands),
        "scores": _scores_table(study, bands),
        "band_said": _band_said(study),
        "words_note": _words_note(shown, cut=data["cut"]),
        "comparison": without(problem) if comparison is None else tables_of(comparison, plan),
        "measures": measures(study, shown),
        "groups": groups(study, shown),
        "asked": asked(study),
        "figures": figures,
        "undrawn": undrawn,
        "conditions": list(conditions(study)),
        "served": served_table(study),
    }
    context["sections"] = _sections(context)
    return rendered("page.html.j2", context, scripts=scripts)


def _sections(context: dict[str, Any]) -> list[tuple[str, str]]:
    named = [
        ("short", "In short", True),
        ("comparison", "Comparison", context["comparison"].tables or context["comparison"].problem),
        ("conclusions", "What can be concluded", True),
        ("missing", "What is missing", True),
        ("results", "Results", True),
        ("groups", "Groups", context["groups"]),
        ("societies", "Societies", context["has_agents"]),
        ("encounters", "Encounters", context["has_encounters"]),
        ("moves", "Moves", context["has_moves"]),
        ("messages", "Messages", context["has_messages"]),
        ("unreadable", "Unreadable", context["has_encounters"] or context["has_moves"]),
        ("measures", "Measures", context["measures"]),
        ("figures", "Figures", context["figures"]),
        ("asked", "Prompts", context["asked"]),
        ("run", "What was run", True),
    ]
    return [(name, text) for name, text, is_there in named if is_there]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _published(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the published runs and their geometric means as lines of the chart."""
    singles = runs.assign(line=runs["label"] + " run " + runs["run"].astype("string"), is_mean=False)
    means = published_summary(runs).rename(columns={"geometric_mean": "mean_final_resources"})
    means = means.assign(line=means["label"], is_mean=True)
    columns = ["label", "line", "generation", "mean_final_resources", "is_mean"]
    return [record for frame in (singles, means) for record in _records(frame[columns])]


def _published_table(runs: pd.DataFrame) -> Table | None:
    if runs.empty:
        return None
    titles = {"label": "published runs of", "n": "runs", "mean": "mean (units)", "standard_error": "standard error"}
    titles |= {"geometric_mean": "geometric mean", "low": "one standard error down", "high": "and up"}
    summary = published_summary(runs)
    return from_frame(summary.assign(label=summary["label"].str.removeprefix("published: ")), titles=titles)


def _published_unlike(study: Study) -> str | None:
    """Say why published runs under other rules are not drawn here, and where they are drawn; None without any."""
    theirs, differences = published_unlike(study)
    if theirs.empty:
        return None
    what = one_line("; ".join(differences), max_chars=600)
    return (
        "The published runs were played under another schedule or other rules, so their units cannot be compared"
        f" ({what}). The efficiency figure shows them."
    )


def _generations_table(study: Study) -> Table:
    names = labels(study)
    words = cooperation(study)
    is_giving = words is GIVING
    bounds, punished = (["maximum"], ["n_punished"]) if is_giving else (["minimum", "maximum"], [])
    columns = ["generation", "mean_final_resources", *bounds, words.column, "n_encounters", *punished]
    frame = study.generations[[*columns, "n_missed", "n_replaced", "n_asked_again"]].copy()
    keys = study.generations[KEY].itertuples(index=False, name=None)
    frame.insert(0, "run", [names[key] for key in keys])
    titles = {
        "mean_final_resources": "mean final resources (units)",
        "minimum": "all as little cooperative as possible (units)",
        "maximum": "maximum (units)" if is_giving else "all as cooperative as possible (units)",
        words.column: words.name,
        "n_encounters": "encounters",
        "n_punished": "punished",
        "n_missed": "missing",
        "n_replaced": "counted as 0",
        "n_asked_again": "asked again",
    }
    return from_frame(frame, titles=titles)


def _band_table(study: Study, bands: pd.DataFrame) -> Table | None:
    """Return the bands of the generations in which decisions were lost; None if there are none."""
    names = labels(study)
    is_lost = bands["n_lost"] > 0
    is_shown = np.array([key in names for key in bands[KEY].itertuples(index=False, name=None)], dtype=bool)
    rows = tuple(
        (
            names[row["study"], row["run"]],
            str(row["generation"]),
            f"{row['n_lost']:,} of {row['n_encounters']:,}",
            number(row["fraction"]),
            _range(row["fraction_low"], row["fraction_high"]),
            number(row["resources"]),
            _range(row["resources_low"], row["resources_high"]),
        )
        for row in bands[is_lost & is_shown].head(MAX_BANDS).to_dict("records")
    )
    n_whole, n_more = int((bands["n_lost"] == 0).sum()), int(is_lost.sum()) - len(rows)
    head = ("run", "generation", "lost", "mean fraction given", "could have been", "mean final resources (units)",
            "could have been (units)")  # fmt: skip
    if not rows:
        return None
    note = (
        f"Of {len(bands)} generations that have ended, {n_whole} lost no decision and are left out: their numbers have"
        " no band. A dash under final resources: with punishment there are no exact bounds."
        + (f" {n_more:,} more lost some, and agentsim.analysis.measures.sensitivity has them all." if n_more else "")
    )
    return Table(head, rows, (False, *[True] * 6), note)


def _scores_table(study: Study, bands: pd.DataFrame) -> Table | None:
    """Return each condition's score under several treatments of lost decisions; None if none was lost."""
    if not (bands["n_lost"] > 0).any():
        return None
    titles = {"n_runs": "complete runs", "as_zero": "lost: nothing moved (units)", "as_own_mean": "lost: own mean"}
    titles |= {"low": "exact bounds from", "high": "to", "n_whole": "runs without loss", "whole_only": "these alone"}
    return from_frame(score_sensitivity(study, bands), titles=titles)


def _range(low: Any, high: Any) -> str:
    return number(None) if pd.isna(low) or pd.isna(high) else f"{number(low)} to {number(high)}"


def _band_said(study: Study) -> str:
    """Return the band of all encounters together, in one sentence."""
    band: Band = fraction_band(study.encounters)
    if band.low is None or band.high is None:
        return "No decision could be read and no donor had anything to give, so there is no band."
    if band.observed is None:
        return "No decision could be read: the mean fraction given could have been anything from 0 to 1."
    if band.low == band.high:
        return (
            f"Nothing was lost: the mean fraction given over all encounters is {number(band.observed)}, without a band."
        )
    return (
        f"Over all encounters the mean fraction given is {number(band.observed)}; for any values of the lost decisions"
        f" it lies between {number(band.low)} and {number(band.high)}."
    )


def _words_note(study: Study, *, cut: int) -> str:
    text = "Coloured rows are lost decisions."
    if study.replies.empty:
        return f"{text} There are no replies to read: scripted policies give none."
    longest = int(said(study.replies).str.len().max())
    if longest <= cut:
        return f"{text} Replies are whole."
    return f"{text} Replies are cut after {cut:,} characters to keep this file small; the logs have the full replies."


def _figures(study: Study) -> tuple[list[Image], list[str]]:
    """Return the figures that the study has data for, and why others are not drawn.

    What the page draws by itself, so that one can point at it, is left out; of figures of runs the first is enough.
    """
    images, reasons = [], []
    of_studies = [one.name for one in declared()[0] if not one.name.startswith("final-resources")]
    runs = [*drawings(study, only=["lineage"], n_societies=1), *drawings(study, only=["network"])]
    for drawing in [*drawings(study, only=of_studies, n_societies=0), *runs]:
        try:
            images.append(image(drawing.draw(), title=one_line(drawing.title)))
        except AgentsimError as error:
            reasons.append(f"{one_line(drawing.title)}: not drawn. {one_line(error)}")
    return images, reasons
