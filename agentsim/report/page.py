"""The page of one or more studies: what was played, the results, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from agentsim.analysis.compare import Comparison, compare
from agentsim.analysis.cooperation import GIVING, cooperation, is_linear
from agentsim.analysis.figures import drawings, forest
from agentsim.analysis.figures.final_resources import references
from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import mixed_societies, punishment_summary, summary
from agentsim.analysis.measures.outcomes import central_means
from agentsim.analysis.measures.sensitivity import Band, fraction_band, score_sensitivity, sensitivity
from agentsim.analysis.published import SOURCE, published_like, published_summary, published_unlike
from agentsim.errors import AgentsimError
from agentsim.log.version import VERSION
from agentsim.report import content
from agentsim.report.charts import bundle, specifications
from agentsim.report.data import browser_data, embedded, labels, said
from agentsim.report.excerpt import excerpt, excerpt_said
from agentsim.report.figures import Image, image
from agentsim.report.provenance import conditions
from agentsim.report.served import served_table
from agentsim.report.shell import packaged, rendered, write
from agentsim.report.tables import Table, from_frame, number

__all__ = ["render", "write_report"]

MAX_BANDS: Final = 1_000
"""The most generations whose bands the page lists."""


def write_report(study: Study, path: Path | None = None) -> Path:
    """Write the report to `path`, or to report.html in the study's folder, and return its path.

    Raises:
        AgentsimError: the file cannot be written, or there are several studies and no path.
    """
    if path is None:
        if len(study.folders) > 1:
            raise AgentsimError("a report of several studies belongs to no single folder; name its file with -o")
        [folder] = study.folders.values()
        path = folder / "report.html"
    return write(render(study), path)


def render(study: Study) -> str:
    """Return the report as self-contained HTML; the same study gives the same text."""
    scripts = [packaged("script.js")]
    has_generations, has_agents = not study.generations.empty, not study.agents.empty
    if has_generations or has_agents:
        scripts.insert(0, bundle())
    bands, words, shown = sensitivity(study), cooperation(study), excerpt(study)
    data = browser_data(shown, bands)
    scored = study.scored
    means = central_means(study, scored.assign(condition=study.conditions(scored)))
    data["conditions"] = _records(means[means["mean"].notna()])
    data["references"] = [{"name": name, "value": value} for value, name in references(study).items()]
    theirs = published_like(study)
    data["published"] = _published(theirs)
    data["charts"] = specifications(
        has_zero=bool((study.generations["mean_final_resources"] <= 0).any()),
        has_published=not theirs.empty,
        words=words,
    )
    can, cannot = content.conclusions(study)
    figures, undrawn = _figures(study)
    context: dict[str, Any] = {
        "data": Markup(embedded(data)),  # `embedded` escapes it
        "title": one_line(study.name),
        "version": VERSION,
        "folders": ", ".join(one_line(folder) for folder in study.folders.values()),
        "said": content.said(study),
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
        "comparison": _comparison(study),
        "measures": _measures(study, shown),
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
        ("missing", "What is missing", True),
        ("results", "Results", True),
        ("comparison", "Comparison", context["comparison"]),
        ("societies", "Societies", context["has_agents"]),
        ("encounters", "Encounters", context["has_encounters"]),
        ("moves", "Moves", context["has_moves"]),
        ("messages", "Messages", context["has_messages"]),
        ("unreadable", "Unreadable", context["has_encounters"] or context["has_moves"]),
        ("measures", "Measures", context["measures"]),
        ("figures", "Figures", context["figures"]),
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

    Society figures are left out, because the page has an interactive map of each society.
    """
    images, reasons = [], []
    for drawing in drawings(study):
        if drawing.kind == "society":
            continue
        try:
            images.append(image(drawing.draw(), title=one_line(drawing.title)))
        except AgentsimError as error:
            reasons.append(f"{one_line(drawing.title)}: not drawn. {one_line(error)}")
    return images, reasons


class _Compared(NamedTuple):
    tables: list[Table]
    notes: list[str]
    figure: Image | None
    problem: str


def _comparison(study: Study) -> _Compared | None:
    """Compare by the first of model, condition and study that works; None if all runs are of one kind."""
    complete = study.runs[study.runs["status"] == "complete"]
    differing = [column for column in ("model", "condition", "study") if complete[column].nunique() > 1]
    problems = []
    for by in differing:
        try:
            return _compared(compare(study, by=by))
        except AgentsimError as error:
            problems.append(one_line(error, max_chars=600))
    return _Compared([], [], None, problems[0]) if problems else None


def _compared(comparison: Comparison) -> _Compared:
    drawn = (
        image(forest(comparison), title="Ratios with their intervals")
        if comparison.table["ratio"].notna().any()
        else None
    )
    notes = [one_line(note, max_chars=600) for note in comparison.notes]
    took_off = f"took off: ended at an efficiency of {number(comparison.take_off)} or more"
    groups = from_frame(
        comparison.groups.drop(columns=["n_zero"]), titles=COMPARED | {"n_took_off": took_off}, note=GROUPS_NOTE
    )
    pairs = from_frame(
        comparison.table.drop(columns=["n_first", "n_second", "p_heirs"]), titles=COMPARED, note=PAIRS_NOTE
    )
    counts = from_frame(comparison.sensitivity, titles=COMPARED | {"threshold": "by another efficiency"})
    split = comparison.variance
    shares = [] if split.empty else [from_frame(split.drop(columns=["variance"]), titles=COMPARED, note=VARIANCE_NOTE)]
    return _Compared([groups, pairs, counts, *shares], notes, drawn, "")


COMPARED: Final = {
    "n_runs": "runs",
    "geometric_mean": "geometric mean (units)",
    "low": "95 % from",
    "high": "to",
    "n_took_off": "took off",
    "n_followed": "of",
    "take_off_rate": "rate",
    "take_off_low": "95 % from",
    "take_off_high": "to",
    "share_lost": "share of decisions lost",
    "p_holm": "p, Holm",
    "least_p": "least p of this design",
    "p_take_off": "p of take-off, Holm",
}
GROUPS_NOTE: Final = (
    "Intervals of means are Student's, of logarithms; those of rates are exact. A group is a player with its settings."
)
PAIRS_NOTE: Final = (
    "The interval holds the ratios that the uncorrected test of this pair does not reject: it excludes 1 if and only if"
    " p is below 0.05. The verdict is after Holm's correction over all pairs."
)
VARIANCE_NOTE: Final = (
    "Shares of the variance of log final resources of single runs, with generalised 95 % intervals, over these levels"
    " alone. seed: what runs of one seed have in common; rest: what is each run's own."
)
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


def _measures(study: Study, shown: Study) -> list[Table]:
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
