"""Tables of a study: its runs, its generations and, if models played, their strategies."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from agentsim.analysis.cooperation import GIVING, cooperation, is_linear
from agentsim.analysis.frames.columns import GENERATION
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import mixed_societies, punishment_summary
from agentsim.cli.tables.cells import (
    BAR,
    MAX_LISTED,
    MAX_RUNS,
    MAX_TEXT,
    add_column,
    called,
    is_missing,
    missing,
    named,
    number,
    plain,
    titled,
)

__all__ = ["conditions", "ends", "generations", "runs", "strategies", "study_tables"]


def study_tables(study: Study) -> Iterator[Table]:
    """Yield every table that applies to a study."""
    is_many = len(study.runs) > MAX_LISTED
    yield conditions(study) if is_many else runs(study)
    if not study.generations.empty:
        yield ends(study) if is_many else generations(study)
    if (punished := _punishment(study)) is not None:
        yield punished
    if (mixed := _by_model(study)) is not None:
        yield mixed
    if not study.with_strategies(study.agents)["model"].str.startswith("scripted/").all():
        yield strategies(study)


def runs(study: Study) -> Table:
    """One row for each run: progress, replies, unreadable decisions, tokens and cost."""
    table = titled(plain(f"Runs of {study.name}").plain, caption=_caption(study))
    has_cost, is_asked = bool((study.runs["cost_usd"] > 0).any()), bool((study.runs["n_replies"] > 0).any())
    columns = ["run", "status", "gen", "mean", "replies", "missing", "tokens in", "out", "US$"]
    left_out = {*([] if has_cost else ["US$"]), *([] if is_asked else ["replies", "tokens in", "out"])}
    for name in columns:
        if name not in left_out:
            add_column(table, name)
    for row in named(study.runs, study).to_dict("records"):
        table.add_row(
            called(row["run"]),
            plain(row["status"] if is_missing(row["problem"]) else f"{row['status']}: {row['problem']}"),
            number(row["generations"]),
            "-" if row["status"] == "unread" else number(row["mean_final_resources"]),
            *([number(row["n_replies"])] if is_asked else []),
            missing(row["n_missed"], row["n_replaced"]),
            *(number(row[key]) for key in ("input_tokens", "output_tokens") if is_asked),
            *(["-" if is_missing(row["cost_usd"]) else f"{row['cost_usd']:.2f}"] if has_cost else []),
        )
    return table


def conditions(study: Study) -> Table:
    """One row for each condition, for studies of many runs: how many are complete, and how they ended."""
    more = f"{len(study.runs):,} runs; agentsim status counts those that are not complete"
    caption = f"least, median, most: mean final resources (units) of complete runs; {more}"
    table = titled(
        plain(f"Conditions of {study.name}").plain, caption="; ".join(filter(None, [caption, _caption(study)]))
    )
    has_cost, is_asked = bool((study.runs["cost_usd"] > 0).any()), bool((study.runs["n_replies"] > 0).any())
    columns = ["condition", "runs", "complete", "least", "median", "most", "replies", "missing", "US$"]
    left_out = {*([] if has_cost else ["US$"]), *([] if is_asked else ["replies"])}
    for name in columns:
        if name not in left_out:
            add_column(table, name)
    for condition, of_condition in named(study.runs, study, column="condition").groupby("condition", sort=False):
        scores = of_condition.loc[of_condition["status"] == "complete", "mean_final_resources"].dropna()
        cost = of_condition["cost_usd"]
        table.add_row(
            called(str(condition)),
            f"{len(of_condition):,}",
            f"{int((of_condition['status'] == 'complete').sum()):,}",
            *("-" if scores.empty else number(float(value)) for value in (scores.min(), scores.median(), scores.max())),
            *([number(int(of_condition["n_replies"].sum()))] if is_asked else []),
            missing(int(of_condition["n_missed"].sum()), int(of_condition["n_replaced"].sum())),
            *(["-" if cost.isna().any() else f"{cost.sum():,.2f}"] if has_cost else []),
        )
    return table


def ends(study: Study) -> Table:
    """Two rows for each condition, its first and its last generation: medians over the runs, for studies of many."""
    words = cooperation(study)
    caption = f"medians over runs; mean: mean final resources (units); {words.short}: {words.title}"
    table = titled(
        "Generations, first and last", caption=f"{caption}; missing, again: sums; agentsim.load(...) has them all"
    )
    for name in ("condition", "gen", "runs", "mean", words.short, "missing", "again"):
        add_column(table, name)
    scored = study.scored
    data = scored.assign(condition=study.conditions(scored))
    for condition, of_condition in data.groupby("condition", sort=False):
        for generation in sorted({of_condition["generation"].min(), of_condition["generation"].max()}):
            rows = of_condition[of_condition["generation"] == generation]
            level = rows[words.column].median()
            table.add_row(
                called(str(condition)),
                str(generation),
                f"{len(rows):,}",
                number(float(rows["mean_final_resources"].median())),
                "-" if is_missing(level) else f"{level:.2f}",
                missing(int(rows["n_missed"].sum()), int(rows["n_replaced"].sum())),
                f"{int(rows['n_asked_again'].sum()):,}",
            )
    return table


def _punishment(study: Study) -> Table | None:
    """One row for each condition with punishment: how often, at what cost, and of whom; `None` if there is none."""
    punishment = punishment_summary(study)
    if punishment.empty:
        return None
    table = titled(
        "Punishment",
        caption="share: of encounters with a decision; spent, removed: units; misers, givers, unknown: the share of"
        " encounters that was punished if the recipient last gave less than half, half or more, or has not given yet",
    )
    for name in ("condition", "punished", "share", "spent", "removed", "misers", "givers", "unknown"):
        table.add_column(name, justify="left" if name == "condition" else "right", overflow="fold")
    for row in punishment.to_dict("records"):
        table.add_row(
            called(row["condition"] if len(study.folders) == 1 else f"{row['study']}: {row['condition']}"),
            f"{row['n_punished']:,} of {row['n_decided']:,}",
            *("-" if is_missing(row[name]) else f"{row[name]:.2%}" for name in ("rate",)),
            *(f"{row[name]:,.1f}" for name in ("spent", "removed")),
            *(
                "-" if is_missing(row[f"rate_of_{who}"]) else f"{row[f'rate_of_{who}']:.2%}"
                for who in ("miser", "giver", "no_record")
            ),
        )
    return table


def _by_model(study: Study) -> Table | None:
    """One row for each model of a mixed society, in the first and last generation; `None` without such societies."""
    by_model = mixed_societies(study)
    if by_model.empty:
        return None
    listed = list(by_model["run"].unique())
    more = len(listed) - MAX_RUNS
    words = cooperation(study)
    headings = {
        words.column: words.short,
        **({"to_own": "to own", "to_others": "to others"} if words is GIVING else {}),
    }
    table = titled(
        "Models in mixed societies, first and last generation",
        caption="agents: their number; score: mean over the model's agents (units); "
        + (
            "given: mean fraction; to own, to others: mean fraction given to agents of the same model and of others"
            if words is GIVING
            else f"{words.short}: {words.title}"
        )
        + "; a model that died out is not listed"
        + (f"; {more} more runs: agentsim.analysis.measures.by_model has them all" if more > 0 else ""),
    )
    for name in ("gen", "model", "agents", "score", *headings.values(), "missing"):
        add_column(table, name)
    for run, run_rows in named(by_model[by_model["run"].isin(listed[:MAX_RUNS])], study).groupby("run", sort=False):
        table.add_section()
        table.add_row("", plain(str(run)))
        for row in run_rows.to_dict("records"):
            fractions = (row[name] for name in headings)
            table.add_row(
                str(row["generation"]),
                called(row["model"]),
                str(row["n_agents"]),
                number(row["mean_score"]),
                *("-" if is_missing(fraction) else f"{fraction:.2f}" for fraction in fractions),
                str(row["n_lost"]),
            )
    return table


def generations(study: Study) -> Table:
    """One row for each generation of a run: score, cooperation and missing decisions; the bar shows the score."""
    n_decisions = study.agents.groupby(GENERATION)["n_decisions"].sum()
    data = named(study.generations.join(n_decisions, on=GENERATION), study)
    is_long = data["run"].nunique() > MAX_RUNS
    words = cooperation(study)
    caption = f"mean: mean final resources (units); {words.short}: {words.title}; missing: no decision could be read"
    if is_long:
        ends = data.groupby("run")["generation"]
        data = data[(data["generation"] == ends.transform("min")) | (data["generation"] == ends.transform("max"))]
        caption += "; first and last generations only, agentsim.load(...) has them all"
    table = titled("Generations", caption=caption)
    has_punished = bool((data["n_punished"] > 0).any())
    for name in ("run", "gen", "mean", "bar", words.short, *(["punished"] if has_punished else []), "missing", "again"):
        add_column(table, name, title="" if name == "bar" else name)
    highest, shown = float(data["mean_final_resources"].max()), ""
    bar = _bar_of_sum if is_linear(study) else _bar
    for row in data.to_dict("records"):
        is_read = row["n_missed"] + row["n_replaced"] < row["n_decisions"] or not row["n_decisions"]
        table.add_row(
            "" if row["run"] == shown else called(row["run"]),
            str(row["generation"]),
            number(row["mean_final_resources"]) if is_read else "-",
            "█" * bar(row["mean_final_resources"], highest) if is_read else "",
            "-" if is_missing(row[words.column]) else f"{row[words.column]:.2f}",
            *([f"{row['n_punished']}/{row['n_encounters']}"] if has_punished else []),
            missing(row["n_missed"], row["n_replaced"]),
            str(row["n_asked_again"]),
        )
        shown = row["run"]
    return table


def strategies(study: Study) -> Table:
    """Return the strategies of the first and the last generation, in the agents' words."""
    words = cooperation(study)
    agents = study.with_strategies(study.agents)
    agents = named(agents[~agents["model"].str.startswith("scripted/")], study)
    listed = list(agents["run"].unique())
    more = len(listed) - MAX_RUNS
    table = titled(
        "Strategies, first and last generation, best first",
        caption=f"{more} more runs: agentsim.load(...).agents has them all" if more > 0 else None,
    )
    for name in ("gen", "agent", "score", words.short, "strategy"):
        add_column(table, name)
    for run in listed[:MAX_RUNS]:
        run_agents = agents[agents["run"] == run]
        table.add_section()
        if len(listed) > 1:
            table.add_row("", "", "", "", plain(run))
        for generation in sorted({run_agents["generation"].min(), run_agents["generation"].max()}):
            living = run_agents[run_agents["generation"] == generation].sort_values("score", ascending=False)
            for row in living.to_dict("records"):
                table.add_row(
                    str(generation),
                    plain(row["agent"]),
                    number(row["score"]),
                    "-" if is_missing(row[words.column]) else f"{row[words.column]:.2f}",
                    Text("(none could be read)") if is_missing(row["strategy"]) else plain(row["strategy"]),
                )
            table.add_section()
    return table


def _caption(study: Study) -> str | None:
    unfinished = int((study.runs["status"] != "complete").sum())
    torn = int(study.runs["n_torn_bytes"].fillna(0).sum())
    notes = [f"{unfinished} of {len(study.runs)} runs are not complete"] if unfinished else []
    answered = sorted(set(study.runs["models_answered"].dropna()))
    notes += [f"answered by {', '.join(answered)}"] if answered else []
    unpriced = int(study.runs["cost_usd"].isna().sum())
    notes += [f"the cost of {unpriced} runs is not known"] if unpriced else []
    notes += [f"{torn} bytes of unfinished lines were skipped"] if torn else []
    notes += study.notes
    return plain("; ".join(notes), max_chars=MAX_TEXT * 4).plain or None


def _bar_of_sum(score: float, highest: float) -> int:
    """Return the length of a bar where scores add up, so that twice the score is twice as long."""
    return max(1, round(BAR * score / highest)) if score > 0 else 0


def _bar(score: float, highest: float) -> int:
    if score <= 0 or highest <= 1:
        return 0
    return max(1, round(BAR * math.log(max(score, 1.0)) / math.log(highest))) if score >= 1 else 0
