"""Tables for the terminal. Model text is foreign: shown without control characters, without markup, and cut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.decisions import lost
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import mixed_societies, punishment_summary, score_sensitivity
from agentsim.analysis.measures.outcomes import efficiency
from agentsim.analysis.published import SOURCE, published_like, published_summary, published_unlike
from agentsim.log.stopped import stop_reasons
from agentsim.log.writing import is_locked

if TYPE_CHECKING:
    from agentsim.analysis.compare import Comparison
    from agentsim.analysis.power import Power

__all__ = [
    "comparison_tables",
    "generations",
    "plain",
    "power_sentences",
    "power_table",
    "published_table",
    "published_unlike_table",
    "runs",
    "sensitivity_table",
    "status_table",
    "strategies",
    "study_tables",
    "titled",
]

BAR: Final = 12
MAX_TEXT: Final = 300
MAX_RUNS: Final = 12
"""Runs whose strategies are shown; the rest is in the dataframes."""


def plain(text: str, *, max_chars: int = MAX_TEXT) -> Text:
    """Return foreign text for a terminal: one line, no control or direction characters, cut at `max_chars`."""
    return Text(one_line(text, max_chars=max_chars))


def study_tables(study: Study) -> Iterator[Table]:
    """Yield every table of a study: its runs, generations and, of models, strategies."""
    yield runs(study)
    if not study.generations.empty:
        yield generations(study)
    if (punished := _punishment(study)) is not None:
        yield punished
    if (mixed := _by_model(study)) is not None:
        yield mixed
    if not study.agents["model"].str.startswith("scripted/").all():
        yield strategies(study)


def runs(study: Study) -> Table:
    """One row a run: how far it is, what it asked, what could not be read, tokens."""
    table = titled(plain(f"Runs of {study.name}").plain, caption=_caption(study))
    has_cost, is_asked = bool((study.runs["cost_usd"] > 0).any()), bool((study.runs["n_replies"] > 0).any())
    columns = ["run", "status", "gen", "mean", "replies", "missing", "tokens in", "out", "US$"]
    left_out = {*([] if has_cost else ["US$"]), *([] if is_asked else ["replies", "tokens in", "out"])}
    for name in columns:
        if name not in left_out:
            _add(table, name)
    for row in _named(study.runs, study).to_dict("records"):
        table.add_row(
            plain(row["run"]),
            plain(row["status"] if _is_missing(row["problem"]) else f"{row['status']}: {row['problem']}"),
            _number(row["generations"]),
            "-" if row["status"] == "unread" else _number(row["mean_final_resources"]),
            *([_number(row["n_replies"])] if is_asked else []),
            _missing(row["n_missed"], row["n_replaced"]),
            *(_number(row[key]) for key in ("input_tokens", "output_tokens") if is_asked),
            *(["-" if _is_missing(row["cost_usd"]) else f"{row['cost_usd']:.2f}"] if has_cost else []),
        )
    return table


def _punishment(study: Study) -> Table | None:
    """One row a condition in which donors may punish: how often, at what cost, and whom; `None` without any."""
    found = punishment_summary(study)
    if found.empty:
        return None
    table = titled(
        "Punishment",
        caption="share: of encounters with a decision; spent, removed: units; misers gave less than half the last time,"
        " givers half or more: the share of encounters with such recipients that was punished",
    )
    for name in ("condition", "punished", "share", "spent", "removed", "misers", "givers", "unknown"):
        table.add_column(name, justify="left" if name == "condition" else "right", overflow="fold")
    for row in found.to_dict("records"):
        table.add_row(
            plain(row["condition"] if len(study.folders) == 1 else f"{row['study']}: {row['condition']}"),
            f"{row['n_punished']:,} of {row['n_decided']:,}",
            *("-" if _is_missing(row[name]) else f"{row[name]:.2%}" for name in ("rate",)),
            *(f"{row[name]:,.1f}" for name in ("spent", "removed")),
            *(
                "-" if _is_missing(row[f"rate_of_{who}"]) else f"{row[f'rate_of_{who}']:.2%}"
                for who in ("miser", "giver", "no_record")
            ),
        )
    return table


def _by_model(study: Study) -> Table | None:
    """One row a model of a mixed society, in the first and the last generation; `None` without such societies."""
    found = mixed_societies(study)
    if found.empty:
        return None
    listed = list(found["run"].unique())
    more = len(listed) - MAX_RUNS
    table = titled(
        "Models in mixed societies, first and last generation",
        caption="agents: how many of them; score: mean over its agents (units); given: mean fraction, to agents of its"
        " own model and to others; a model that has died out is not listed"
        + (f"; {more} more runs: agentsim.analysis.measures.by_model has them all" if more > 0 else ""),
    )
    for name in ("gen", "model", "agents", "score", "given", "to own", "to others", "missing"):
        _add(table, name)
    for run, own in _named(found[found["run"].isin(listed[:MAX_RUNS])], study).groupby("run", sort=False):
        table.add_section()
        table.add_row("", plain(str(run)))
        for row in own.to_dict("records"):
            fractions = (row[name] for name in ("mean_fraction", "to_own", "to_others"))
            table.add_row(
                str(row["generation"]),
                plain(row["model"]),
                str(row["n_agents"]),
                _number(row["mean_score"]),
                *("-" if _is_missing(fraction) else f"{fraction:.2f}" for fraction in fractions),
                str(row["n_lost"]),
            )
    return table


def generations(study: Study) -> Table:
    """One row a generation and run: score, giving, and what is missing; the bar is on a logarithmic scale."""
    data = _named(study.generations, study)
    is_long = data["run"].nunique() > MAX_RUNS
    caption = "mean: mean final resources (units); given: mean fraction given; missing: no decision could be read"
    if is_long:
        ends = data.groupby("run")["generation"]
        data = data[(data["generation"] == ends.transform("min")) | (data["generation"] == ends.transform("max"))]
        caption += "; first and last generations only, agentsim.load(...) has them all"
    table = titled("Generations", caption=caption)
    has_punished = bool((data["n_punished"] > 0).any())
    for name in ("run", "gen", "mean", "bar", "given", *(["punished"] if has_punished else []), "missing", "again"):
        _add(table, name, title="" if name == "bar" else name)
    highest, shown = float(data["mean_final_resources"].max()), ""
    for row in data.to_dict("records"):
        is_read = row["n_missed"] + row["n_replaced"] < row["n_encounters"] or not row["n_encounters"]
        table.add_row(
            plain("" if row["run"] == shown else row["run"]),
            str(row["generation"]),
            _number(row["mean_final_resources"]) if is_read else "-",
            "█" * _bar(row["mean_final_resources"], highest) if is_read else "",
            "-" if _is_missing(row["mean_fraction"]) else f"{row['mean_fraction']:.2f}",
            *([f"{row['n_punished']}/{row['n_encounters']}"] if has_punished else []),
            _missing(row["n_missed"], row["n_replaced"]),
            str(row["n_asked_again"]),
        )
        shown = row["run"]
    return table


def strategies(study: Study) -> Table:
    """The strategies of the first and of the last generation, in the agents' own words."""
    agents = _named(study.agents[~study.agents["model"].str.startswith("scripted/")], study)
    listed = list(agents["run"].unique())
    more = len(listed) - MAX_RUNS
    table = titled(
        "Strategies, first and last generation, best first",
        caption=f"{more} more runs: agentsim.load(...).agents has them all" if more > 0 else None,
    )
    for name in ("gen", "agent", "score", "given", "strategy"):
        _add(table, name)
    for run in listed[:MAX_RUNS]:
        own = agents[agents["run"] == run]
        table.add_section()
        if len(listed) > 1:
            table.add_row("", "", "", "", plain(run))
        for generation in sorted({own["generation"].min(), own["generation"].max()}):
            living = own[own["generation"] == generation].sort_values("score", ascending=False)
            for row in living.to_dict("records"):
                table.add_row(
                    str(generation),
                    plain(row["agent"]),
                    _number(row["score"]),
                    "-" if _is_missing(row["mean_fraction"]) else f"{row['mean_fraction']:.2f}",
                    Text("(none could be read)") if _is_missing(row["strategy"]) else plain(row["strategy"]),
                )
            table.add_section()
    return table


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """Yield the groups of a comparison, and its pairs with effect, interval and test."""
    groups = titled(
        plain(f"Final resources by {comparison.by}").plain,
        caption="; ".join(
            [
                "mean: geometric mean over runs of the last generation's mean final resources (units), with Student's"
                f" 95 % interval on logs; took off: ended at an efficiency of {comparison.take_off:.3g} or more, with"
                " the exact 95 % interval",
                *_problems(comparison.groups, ["group"]),
            ]
        ),
    )
    for name in ("group", "runs", "mean", "95 %", "took off", "rate, 95 %"):
        groups.add_column(name, justify="left" if name == "group" else "right", overflow="fold", no_wrap=name == "mean")
    for row in comparison.groups.to_dict("records"):
        rate = "-" if _is_missing(row["take_off_rate"]) else _range(row["take_off_low"], row["take_off_high"])
        groups.add_row(
            plain(row["group"]),
            str(row["n_runs"]),
            _short(row["geometric_mean"]),
            _range(row["low"], row["high"]),
            f"{row['n_took_off']} of {row['n_followed']}",
            rate,
        )
    yield groups
    table = comparison.table
    tests = "; ".join(sorted({str(test) for test in table["test"]}))
    pairs = titled(
        "Pairs",
        caption="; ".join(
            [
                "ratio of geometric means, with the 95 % interval that the test by itself gives; p by itself, and after"
                " Holm over all pairs; take-off: p of the rates, after Holm, never below that of final resources;"
                f" test: {tests}",
                *_problems(table, ["first", "second"]),
            ]
        ),
    )
    for name in ("pair", "runs", "ratio", "95 %", "p", "Holm", "take-off", "verdict"):
        is_text = name in ("pair", "verdict")
        pairs.add_column(name, justify="left" if is_text else "right", overflow="fold", no_wrap=name in ("ratio", "p"))
    for row in table.to_dict("records"):
        pairs.add_row(
            plain(f"{row['first']} / {row['second']}"),
            {"paired": f"{row['n_first']} pairs", "within": f"{row['n_first']} shared"}.get(
                row["design"], f"{row['n_first']} + {row['n_second']}"
            ),
            _short(row["ratio"]),
            _range(row["low"], row["high"]),
            _short(row["p"]),
            _short(row["p_holm"]),
            _short(row["p_take_off"]),
            plain(row["verdict"]),
        )
    yield pairs
    yield _take_off_table(comparison)


def _take_off_table(comparison: Comparison) -> Table:
    """Return how many runs of each group took off, by threshold: how much rests on the one that is set."""
    found = comparison.sensitivity
    thresholds = sorted(set(found["threshold"].astype(float)))
    table = titled(
        "Took off, by threshold",
        caption=f"runs that ended at this efficiency or more; the comparison's threshold is {comparison.take_off:.3g}",
    )
    for name in ("group", *(f"{threshold:.3g}" for threshold in thresholds)):
        table.add_column(name, justify="left" if name == "group" else "right", overflow="fold")
    for group, own in found.groupby("group", sort=True):
        counts = own.sort_values("threshold")[["n_took_off", "n_followed"]].itertuples(index=False, name=None)
        table.add_row(plain(str(group)), *(f"{n} of {n_all}" for n, n_all in counts))
    return table


def sensitivity_table(study: Study) -> Table | None:
    """Return each condition's score under every way to treat lost decisions; `None` where none was lost."""
    if not lost(study.encounters).any():
        return None
    found = score_sensitivity(study)
    if (found["n_whole"] == found["n_runs"]).all():
        return None
    table = titled(
        "Final resources, whatever the lost decisions were",
        caption="geometric means over complete runs (units), if lost decisions moved nothing (as logged), were the"
        " agent's own mean, or whatever bounds it; whole: of the runs that lost none. - : not defined (under punishment"
        " no bound is known)",
    )
    for name in ("condition", "runs", "nothing", "own mean", "bounds", "whole"):
        table.add_column(name, justify="left" if name == "condition" else "right", overflow="fold")
    for row in found.to_dict("records"):
        table.add_row(
            plain(row["condition"] if len(study.folders) == 1 else f"{row['study']}: {row['condition']}"),
            str(row["n_runs"]),
            _short(row["as_zero"]),
            _short(row["as_own_mean"]),
            _range(row["low"], row["high"]),
            f"{_short(row['whole_only'])} ({row['n_whole']})",
        )
    return table


def published_table(study: Study) -> Table | None:
    """Return the published runs of the study's schedule and rules, first and last generation; `None` without any."""
    theirs = published_summary(published_like(study))
    if theirs.empty:
        return None
    table = titled(
        "Published runs of the same rules",
        caption="mean: over runs (units), with its standard error; geometric: the geometric mean, with one standard"
        f" error of the logarithm. {SOURCE}",
    )
    for name in ("runs of", "runs", "gen", "mean", "s.e.", "geometric", "from - to"):
        table.add_column(name, justify="left" if name == "runs of" else "right", overflow="fold")
    for label, own in theirs.groupby("label", sort=True):
        for row in (own.iloc[0], own.iloc[-1]):
            table.add_row(
                plain(str(label).removeprefix("published: ")),
                str(row["n"]),
                str(row["generation"]),
                _short(row["mean"]),
                _short(row["standard_error"]),
                _short(row["geometric_mean"]),
                _range(row["low"], row["high"]),
            )
    return table


def published_unlike_table(study: Study) -> Table | None:
    """Return published runs as efficiency, first and last generation, beside models that played under other rules."""
    theirs, differences = published_unlike(study)
    if theirs.empty:
        return None
    own = efficiency(study.generations, study.runs).dropna(subset=["efficiency"])
    own = own.assign(label=study.conditions(own))
    table = titled(
        "Efficiency, beside published runs of other rules",
        caption="0: as if nobody gave, 1: the most that the schedule allows; mean over runs. Units do not compare, as"
        f" here: {plain('; '.join(differences), max_chars=MAX_TEXT * 2).plain}. {SOURCE}",
    )
    for name in ("runs of", "runs", "gen", "mean", "from - to"):
        table.add_column(name, justify="left" if name == "runs of" else "right", overflow="fold")
    for frame in (own, theirs.assign(study="published")):
        for label, each in frame.groupby("label", sort=True):
            for generation in (each["generation"].min(), each["generation"].max()):
                values = each[each["generation"] == generation]["efficiency"].astype(float)
                table.add_row(
                    plain(str(label)),
                    str(len(values)),
                    str(generation),
                    f"{values.mean():.2f}",
                    f"{values.min():.2f} to {values.max():.2f}",
                )
    return table


def _problems(frame: pd.DataFrame, names: list[str]) -> Iterator[str]:
    """Yield what is missing from a table of a comparison and why, each reason once."""
    for problem, own in frame.dropna(subset=["problem"]).groupby("problem", sort=True):
        who = [plain(" / ".join(row), max_chars=60).plain for row in own[names].itertuples(index=False, name=None)]
        more = f" and {len(who) - 4} more" if len(who) > 4 else ""
        yield f"{', '.join(who[:4])}{more}: {problem}"


def _short(value: Any) -> str:
    """Return three digits of a number: what a mean of a few runs can bear."""
    if _is_missing(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _range(low: Any, high: Any) -> str:
    return "-" if _is_missing(low) or _is_missing(high) else f"{_short(low)} to {_short(high)}"


def _named(frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Let runs of several studies carry their study's name."""
    return frame if len(study.folders) == 1 else frame.assign(run=frame["study"] + "/" + frame["run"])


def titled(title: str, *, caption: str | None) -> Table:
    """Return an empty table as all tables here look."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left", box=SIMPLE_HEAD)
    table.title_style = "bold"
    return table


WIDTHS: Final = {
    "gen": 3,
    "mean": 8,
    "bar": BAR,
    "given": 5,
    "punished": 8,
    "missing": 7,
    "again": 5,
    "replies": 7,
    "tokens in": 9,
    "out": 7,
}
"""Columns that never shrink below this; what is long (names, strategies) wraps instead."""


def _add(table: Table, name: str, *, title: str | None = None) -> None:
    is_text = name in ("run", "status", "bar", "agent", "strategy", "model")
    table.add_column(
        name if title is None else title,
        justify="left" if is_text else "right",
        no_wrap=name in WIDTHS,
        min_width={"status": 10, "run": 16}.get(name, WIDTHS.get(name)),
        overflow="fold",
    )


def _caption(study: Study) -> str | None:
    unfinished = int((study.runs["status"] != "complete").sum())
    torn = int(study.runs["n_torn_bytes"].fillna(0).sum())
    notes = [f"{unfinished} of {len(study.runs)} runs are not complete"] if unfinished else []
    answered = sorted(set(study.runs["models_answered"].dropna()))
    notes += [f"answered by {', '.join(answered)}"] if answered else []
    unpriced = int(study.runs["cost_usd"].isna().sum())
    notes += [f"the cost of {unpriced} runs is not known"] if unpriced else []
    notes += [f"{torn} bytes of unfinished lines were passed over"] if torn else []
    notes += study.notes
    return plain("; ".join(notes), max_chars=MAX_TEXT * 4).plain or None


def _bar(score: float, highest: float) -> int:
    if score <= 0 or highest <= 1:
        return 0
    return max(1, round(BAR * math.log(max(score, 1.0)) / math.log(highest))) if score >= 1 else 0


def _is_missing(value: Any) -> bool:
    return bool(pd.isna(value))


def _number(value: Any) -> str:
    if _is_missing(value):
        return "-"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _missing(n_missed: Any, n_replaced: Any) -> str:
    """Encounters without a readable decision; where the scenario counts them as 0 it says so."""
    if _is_missing(n_missed):
        return "-"
    return f"{n_missed}" if not n_replaced else f"{n_missed} + {n_replaced} as 0"


def power_table(found: Power) -> Table:
    """One row a number of seeds: the power, and what that many runs of two models ask and cost."""
    table = titled(
        f"Telling apart two models that differ {found.effect:g}-fold, {found.design}",
        caption="seeds: a run of each model at each; power at p < 0.05, with the exact 95 % interval of the simulation;"
        " calls and US$ of both models' runs",
    )
    for name in ("seeds", "power", "95 %", "calls", "US$"):
        table.add_column(name, justify="right")
    for row in found.table.to_dict("records"):
        table.add_row(
            str(row["seeds"]),
            f"{row['power']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            "-" if _is_missing(row["calls"]) else f"{row['calls']:,.0f}",
            "-" if _is_missing(row["cost_usd"]) else f"{row['cost_usd']:,.2f}",
        )
    return table


def power_sentences(found: Power, *, target: float) -> Iterator[str]:
    """Yield what the simulation comes to: the fewest seeds, by how much that is uncertain, and what looks save."""
    from agentsim.analysis.power import MAX_SEEDS

    if found.seeds is None:
        yield f"{MAX_SEEDS} seeds do not reach a power of {target:g}."
    else:
        yield f"{found.seeds} seeds for a power of {target:g}."
    if found.fewest is not None or found.most is not None:
        low = found.fewest if found.fewest is not None else f"more than {MAX_SEEDS}"
        high = found.most if found.most is not None else f"more than {MAX_SEEDS}"
        yield f"The pilot is small: its spread allows anything from {low} to {high} seeds (95 %, were logs normal)."
    for each in found.sequential:
        looks = ", ".join(str(n) for n in each.looks)
        levels = ", ".join(f"{level:.2g}" for level in each.levels)
        yield (
            f"Group-sequential, looking at {looks} seeds and stopping at p < {levels} (O'Brien & Fleming 1979):"
            f" {each.looks[-1]} seeds at most, {each.expected:.0f} on average if the effect is there, for a power of"
            f" {each.power:.2f}. Looking oftener, or at p < 0.05 each time, is not that design."
        )


def status_table(study: Study) -> Table:
    """One row a run: whether it is being played, how far it is, what it took, and why it stopped."""
    spent = study.runs["cost_usd"].dropna().sum()
    unpriced = int((study.runs["cost_usd"].isna() & study.runs["n_replies"].notna()).sum())
    notes = [f"US$ {spent:,.2f} for the replies in the logs"] if spent or not unpriced else []
    notes += [f"what the replies of {unpriced} runs cost is not known"] if unpriced else []
    notes += ["invalid: decisions that could not be read", *study.notes]
    table = titled(
        plain(f"Status of {study.name}").plain,
        caption=plain("; ".join(notes), max_chars=MAX_TEXT * 4).plain,
    )
    for name in ("run", "status", "gen", "calls", "again", "invalid", "US$"):
        _add(table, name)
    stopped = {name: stop_reasons(folder) for name, folder in study.folders.items()}
    for row, named in zip(study.runs.to_dict("records"), _named(study.runs, study)["run"], strict=True):
        table.add_row(
            plain(named),
            plain(
                _told(
                    row,
                    reason=stopped[row["study"]].get(row["run"]),
                    is_running=is_locked(study.folders[row["study"]] / row["run"]),
                )
            ),
            "-" if _is_missing(row["generations"]) else f"{row['generations']}/{_number(row['n_generations'])}",
            _number(row["n_replies"]),
            _number(row["n_asked_again"]),
            _missing(row["n_missed"], row["n_replaced"]),
            "-" if _is_missing(row["cost_usd"]) else f"{row['cost_usd']:,.2f}",
        )
    return table


def _told(row: Any, *, reason: str | None, is_running: bool) -> str:
    """Say what a run's state is, in words."""
    if row["status"] == "complete":
        return "complete"
    if row["status"] in ("unreadable", "unread"):
        return f"{row['status']}: {row['problem']}"
    if is_running:
        return "being played now"
    if reason is not None:
        return "interrupted by the user" if reason == "interrupted" else f"stopped: {reason}"
    return "not begun" if row["status"] == "not begun" else "broken off: its process ended without a word"
