"""What the page says in words and tables about a study: what came out, what is missing, what can be concluded."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Any, Final

import pandas as pd

from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.decisions import failed, lost
from agentsim.analysis.frames.study import Study
from agentsim.analysis.statistics import ALPHA, least_p
from agentsim.report.data import labels
from agentsim.report.tables import Table, number

__all__ = ["conclusions", "missing", "runs_table", "said", "unreadable"]

MANY_LOST: Final = 0.05
"""From this share of lost decisions on, the page warns of them in its summary."""
PROBLEMS: Final = ("unreadable", "ambiguous", "out_of_range", "empty", "refused", "filtered", "cut_off")


def said(study: Study) -> list[str]:
    """Return what came out, in plain sentences."""
    runs, complete = study.runs, study.runs[study.runs["status"] == "complete"]
    agents = sorted(set(runs["n_agents"].dropna()))
    generations = sorted(set(runs["n_generations"].dropna()))
    size = f" of {_either(agents)} agents over {_either(generations)} generations" if agents else ""
    sentences = [
        f"{_count(len(runs), 'run')}{size} {'was' if len(runs) == 1 else 'were'} planned or begun;"
        f" {len(complete)} {'is' if len(complete) == 1 else 'are'} complete."
    ]
    if study.generations.empty:
        return [*sentences, "No generation has ended yet, so there are no scores."]
    for name, own in complete.groupby(study.conditions(complete), sort=False):
        sentences.append(_outcome(study, str(name), own))
    sentences.append(
        "Final resources are what agents hold at the end of a game, in units; they began with "
        f"{_either(sorted(set(runs['endowment'].dropna())))}. Each gift costs its donor and is multiplied for its"
        " recipient: the more all give, the more all hold."
    )
    return sentences


def _outcome(study: Study, name: str, own: pd.DataFrame) -> str:
    keys = own[KEY].merge(study.generations, on=KEY)
    first = keys.loc[keys.groupby(KEY)["generation"].idxmin()]["mean_final_resources"].astype(float)
    last = keys.loc[keys.groupby(KEY)["generation"].idxmax()]["mean_final_resources"].astype(float)
    maximum = own["maximum"].astype(float).max()
    n_rose = int((last.to_numpy() > first.to_numpy()).sum())
    of_most = "" if pd.isna(maximum) else f", where {number(maximum)} is the most that the schedule allows"
    n_generations = int(keys["generation"].max())
    if len(own) == 1:
        text = (
            f"{one_line(name)} (one run): mean final resources of {number(last.iloc[0])} units in the last generation"
        )
        rose = f"; {number(first.iloc[0])} in the first" if n_generations > 1 else ""
        return f"{text}{of_most}{rose}."
    middle = number(exp(sum(log(value) for value in last) / len(last))) if (last > 0).all() else None
    mean = f"a geometric mean of {middle} units" if middle else f"a mean of {number(float(last.mean()))} units"
    spread = f"single runs from {number(float(last.min()))} to {number(float(last.max()))}"
    rose = f"; higher than in the first generation in {n_rose} of {len(own)} runs" if n_generations > 1 else ""
    outcome = f"mean final resources of the last generation have {mean}, {spread}"
    return f"{one_line(name)} ({len(own)} runs): {outcome}{of_most}{rose}."


def conclusions(study: Study) -> tuple[list[str], list[str]]:
    """Return what can and what cannot be concluded from the study, in plain sentences."""
    complete = study.runs[study.runs["status"] == "complete"]
    by_condition = complete.groupby(study.conditions(complete))
    n_least = min(by_condition.size(), default=0)
    n_conditions = by_condition.ngroups
    can: list[str] = []
    cannot: list[str] = []
    if len(complete):
        can.append(
            "What these societies did: every number below follows from the logged replies, and agentsim replay"
            " computes it again."
        )
    else:
        cannot.append("Anything about how societies end: no run is complete.")
    if n_least >= 3:
        can.append(f"How much runs of one condition differ: there are at least {n_least} of each.")
    if 0 < n_least < 3:
        cannot.append(
            "How such a society usually ends: "
            + (
                "a single run is an illustration"
                if n_least == 1
                else "two runs of a condition cannot show their spread"
            )
            + ", and runs that differ in nothing but the seed can end hundreds of times apart."
        )
    if n_conditions > 1:
        first, second = sorted((int(n) for n in by_condition.size()), reverse=True)[:2]
        if (least := least_p(first, second)) >= ALPHA:
            cannot.append(
                f"That conditions differ beyond chance: {first} against {_count(second, 'run')} cannot give a p below"
                f" {number(least)}, whatever came out."
            )
    if complete["rules_digest"].nunique() > 1:
        cannot.append(
            "That a difference between conditions comes from the model alone where their rules differ too"
            " (see What was run)."
        )
    if len(complete) and complete["model"].str.startswith("scripted/").all():
        cannot.append("Anything about language models: all players here are scripted policies.")
    share = _share_lost(study)
    if share >= MANY_LOST:
        cannot.append(
            f"How these models would give if every answer could be read: {share:.1%} of decisions were lost"
            " (see the sensitivity band)."
        )
    cannot.append("How these models behave under other prompts, other rules, or in later versions of theirs.")
    return can, cannot


def missing(study: Study) -> list[str]:
    """Return everything that is not there, one sentence each; empty if nothing is missing."""
    runs, names = study.runs, labels(study)
    sentences = [one_line(note, max_chars=600) for note in study.notes]
    meanings = {
        "unreadable": "could not be read",
        "unread": "was played to its end, but says nothing about its model",
        "unfinished": "did not finish",
        "not begun": "has not begun",
    }
    for status, meaning in meanings.items():
        own = runs[runs["status"] == status]
        for row in own.to_dict("records"):
            label = one_line(names[row["study"], row["run"]])
            done = (
                "" if status == "not begun" else f": {row['generations']} of {row['n_generations']} generations ended"
            )
            if not pd.isna(row["problem"]):
                done = f": {one_line(row['problem'], max_chars=600)}"
            sentences.append(f"Run {label} {meaning}{done}.")
    encounters = study.encounters
    n_lost, n_missing = int(lost(encounters).sum()), int((encounters["act"] == "missing").sum())
    if n_missing:
        sentences.append(
            f"{_of(n_missing, len(encounters), 'encounters')} have no decision that could be read: nothing moved in"
            " them, and they count in no mean of giving."
        )
    if n_lost - n_missing:
        sentences.append(
            f"{_of(n_lost - n_missing, len(encounters), 'encounters')} were counted as a gift of 0 by the scenario's"
            " fallback for want of a readable answer: they moved nothing, and count in no mean of giving."
        )
    n_failed = int(failed(encounters).sum())
    if n_failed:
        sentences.append(
            f"In {_of(n_failed, len(encounters), 'encounters')} the donor's act failed, as the rules say some do:"
            " nothing moved, and its decision counts in no mean of giving."
        )
    newborn = study.agents[study.agents["born"] == study.agents["generation"]]
    mute = newborn["strategy"].isna() & ~newborn["model"].str.startswith("scripted/").fillna(False)
    if mute.any():
        sentences.append(f"{_of(int(mute.sum()), len(newborn), 'agents')} have no strategy that could be read.")
    unread = int(study.gossip["note"].isna().sum())
    if unread:
        sentences.append(
            f"{_of(unread, len(study.gossip), 'notes')} could not be read: nobody was shown anything for them."
        )
    torn = int(runs["n_torn_bytes"].fillna(0).sum())
    if torn:
        sentences.append(f"{torn:,} bytes of unfinished last lines were passed over (a crash tore them).")
    silent = runs["input_tokens"].isna() & (runs["n_replies"].fillna(0) > 0)
    if silent.any():
        sentences.append(
            f"The servers of {_of(int(silent.sum()), len(runs), 'runs')} did not count tokens for every reply."
        )
    return sentences


def runs_table(study: Study) -> Table:
    """Return one row a run."""
    names = labels(study)
    head = (
        "run", "status", "seed", "generations", "mean final resources (units)", "maximum (units)", "encounters",
        "replies", "asked again", "missing", "counted as 0", "tokens in", "tokens out",
    )  # fmt: skip
    columns = (
        "seed", "generations", "mean_final_resources", "maximum", "n_encounters", "n_replies", "n_asked_again",
        "n_missed", "n_replaced", "input_tokens", "output_tokens",
    )  # fmt: skip
    rows = tuple(
        (
            one_line(names[row["study"], row["run"]]),
            one_line(row["status"]),
            *(number(row[column]) for column in columns),
        )
        for row in study.runs.to_dict("records")
    )
    note = "Mean final resources are of the last generation that has ended. A dash is a number that is not known."
    return Table(head, rows, (False, False, *[True] * len(columns)), note)


def unreadable(study: Study) -> Table | None:
    """Return, by condition and generation, what was asked and what could not be read; None without encounters."""
    if study.encounters.empty:
        return None
    data = study.encounters.assign(condition=study.conditions(study.encounters), is_lost=lost(study.encounters))
    rows = []
    kinds = [kind for kind in PROBLEMS if (data["problem"] == kind).any()]
    for (condition, generation), own in data.groupby(["condition", "generation"], sort=False):
        is_lost = own["is_lost"]
        rows.append(
            (
                one_line(condition),
                str(generation),
                number(len(own)),
                number(int((own["attempts"] > 1).sum())),
                number(int((own["attempts"] - 1).sum())),
                number(int((own["reading"] == "percent").sum())),
                number(int((own["reading"] == "clamped").sum())),
                number(int(is_lost.sum())),
                f"{is_lost.mean():.1%}",
                number(int(own["replaced_by"].notna().sum())),
                *(number(int((own["problem"] == kind).sum())) for kind in kinds),
            )
        )
    head = (
        "condition", "generation", "decisions", "asked again", "askings beyond the first", "read as a percentage",
        "clamped", "lost", "lost, share",
        "of these counted as 0", *(f"lost: {kind.replace('_', ' ')}" for kind in kinds),
    )  # fmt: skip
    note = (
        "Clamped: more than the donor had, lowered to that as the scenario says. The reason is that of the last reply."
        " Strategies are not in this table; see What is missing."
    )
    return Table(head, tuple(rows), (False, *[True] * (len(head) - 1)), note)


def _share_lost(study: Study) -> float:
    return float(lost(study.encounters).mean()) if len(study.encounters) else 0.0


def _of(n: int, n_all: int, what: str) -> str:
    return f"{n:,} of {n_all:,} {what} ({n / n_all:.1%})"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _either(values: Sequence[Any]) -> str:
    return " or ".join(number(value) for value in values) or "an unknown number of"
