"""The page's sentences and tables about a study: results, what is missing, and what can be concluded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log
from typing import Any, Final, NamedTuple

import pandas as pd

from agentsim.analysis.cooperation import GIVING, LEVEL, cooperation, games_of, is_linear
from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.decisions import decisions, failed, lost
from agentsim.analysis.frames.study import Study
from agentsim.analysis.statistics import ALPHA, least_p
from agentsim.analysis.words import listed
from agentsim.core.games.before import CHOOSE, EXCLUDE
from agentsim.report.data import labels
from agentsim.report.provenance import ranges
from agentsim.report.tables import Table, meaning, number

__all__ = ["Missing", "conclusions", "missing", "runs_table", "said", "unreadable"]

MANY_LOST: Final = 0.05
"""The summary warns of lost decisions if their share is at least this."""
MAX_NAMED: Final = 100
"""The most runs of one status that are named one by one."""
PROBLEMS: Final = ("unreadable", "ambiguous", "out_of_range", "empty", "refused", "filtered", "cut_off")


def said(study: Study) -> tuple[list[str], list[str]]:
    """Return what was played, and what each condition came to, as sentences."""
    runs, complete = study.runs, study.runs[study.runs["status"] == "complete"]
    agents = sorted(set(runs["n_agents"].dropna()))
    generations = sorted(set(runs["n_generations"].dropna()))
    size = f" of {_either(agents)} agents over {_either(generations)} generations" if agents else ""
    sentences = [
        f"{_count(len(runs), 'run')}{size} {'was' if len(runs) == 1 else 'were'} planned or begun;"
        f" {len(complete):,} {'is' if len(complete) == 1 else 'are'} complete."
    ]
    if study.generations.empty:
        return [*sentences, "No generation has ended yet, so there are no scores."], []
    every = complete[KEY].merge(study.generations, on=KEY).sort_values("generation", kind="stable")
    ends = tuple(every.drop_duplicates(KEY, keep=keep).set_index(KEY) for keep in ("first", "last"))
    outcomes = []
    for name, condition_runs in complete.groupby(study.conditions(complete), sort=False):
        keys = pd.MultiIndex.from_frame(condition_runs[KEY])
        first, last = (end.loc[end.index.isin(keys)] for end in ends)
        outcomes.append(_outcome(study, str(name), condition_runs, first, last))
    began = sorted(set(runs["endowment"].dropna()))
    sentences.append(
        "Final resources are the units that an agent holds at the end of a game; it began with "
        f"{_either(began) if began else 'what it was dealt'}. {' '.join(_played(study))}"
    )
    return sentences, outcomes


def _played(study: Study) -> Iterator[str]:
    """Yield one sentence for each game that is played, and what its level means where it has one."""
    kinds = games_of(study)
    yield from (PLAYED.get(kind, f"The game is {one_line(kind)}, which a plug-in brings.") for kind in kinds)
    conditions = [started.condition["game"] for started in study.started.values()]
    if any(game["kind"] == "public_goods" and (game["punishment"] or game["reward"]) for game in conditions):
        yield "Then members may spend units to take some from named others, or to give them some, as the rules say."
    if any(game.get("talk") for game in conditions):
        yield "Before they decide, the members of an encounter write to each other."
    if cooperation(study) is LEVEL:
        yield "A move's level says how cooperative it was: 0 is the least and 1 the most that was possible."
    if len(kinds) > 1:
        yield "Units and levels of different games are not compared."


PLAYED: Final = {
    "donor": "Each gift costs its donor and is multiplied for its recipient: the more agents give, the more they all"
    " hold.",
    "matrix": "Two players each choose an option, and a table says what the two choices bring to each.",
    "public_goods": "Each member of a group gets an income in each round and contributes some of it to a pot, which is"
    " multiplied and shared equally by all of them.",
    "commons": "The members of a group take units from a stock that they share and that grows back from what is left.",
    "trust": "An investor sends some of its units to a trustee, who receives them multiplied and returns as many as it"
    " likes.",
    "ultimatum": "A proposer offers a part of a sum to a responder, who accepts it, or rejects it so that both get"
    " nothing.",
    "dictator": "A dictator gives another agent as much of a sum as it likes; the other has no say.",
}
"""What each game is, in one sentence."""


def _outcome(study: Study, name: str, condition_runs: pd.DataFrame, firsts: pd.DataFrame, lasts: pd.DataFrame) -> str:
    firsts, lasts = firsts.sort_index(), lasts.sort_index()
    first, last = (end["mean_final_resources"].astype(float) for end in (firsts, lasts))
    maximum, spoken = condition_runs["maximum"].astype(float).max(), cooperation(study)
    n_rose = int((last.to_numpy() > first.to_numpy()).sum())
    most = "what the most cooperative moves bring" if spoken is LEVEL else "the most that the schedule allows"
    of_most = "" if pd.isna(maximum) else f", where {number(maximum)} is {most}"
    levels = lasts[LEVEL.column].dropna()
    if spoken is LEVEL and len(levels):
        of_most += f"; its mean level is {number(float(levels.mean()))}"
    n_generations = int(lasts["generation"].max())
    if len(condition_runs) == 1:
        text = (
            f"{one_line(name)} (one run): mean final resources of {number(last.iloc[0])} units in the last generation"
        )
        rose = f"; {number(first.iloc[0])} in the first" if n_generations > 1 else ""
        return f"{text}{of_most}{rose}."
    is_geometric = not is_linear(study) and bool((last > 0).all())
    middle = number(exp(sum(log(value) for value in last) / len(last))) if is_geometric else None
    mean = f"a geometric mean of {middle} units" if middle else f"a mean of {number(float(last.mean()))} units"
    spread = f"single runs from {number(float(last.min()))} to {number(float(last.max()))}"
    rose = (
        f"; higher than in the first generation in {n_rose} of {len(condition_runs)} runs" if n_generations > 1 else ""
    )
    outcome = f"mean final resources of the last generation have {mean}, {spread}"
    return f"{one_line(name)} ({len(condition_runs)} runs): {outcome}{of_most}{rose}."


def conclusions(study: Study) -> tuple[list[str], list[str]]:
    """Return what can and what cannot be concluded from the study, as sentences."""
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
            + ", and runs that differ in nothing but the seed can end "
            + ("hundreds of times apart." if cooperation(study) is GIVING else "far apart.")
        )
    if n_conditions > 1:
        first, second = sorted((int(n) for n in by_condition.size()), reverse=True)[:2]
        if (least := least_p(first, second)) >= ALPHA:
            cannot.append(
                f"That conditions differ beyond chance: {first} against {_count(second, 'run')} cannot give a p below"
                f" {number(least)}, whatever the results."
            )
    if complete["rules_digest"].nunique() > 1:
        cannot.append(
            "That a difference between conditions comes from the model alone: some conditions also differ in their"
            " rules (see What was run)."
        )
    if len(complete) and complete["model"].str.startswith("scripted/").all():
        cannot.append("Anything about language models: all players here are scripted policies.")
    share = _share_lost(study)
    if share >= MANY_LOST:
        cannot.append(
            f"How these models would give if every answer could be read: {share:.1%} of decisions were lost"
            " (see the sensitivity band)."
            if cooperation(study) is GIVING
            else f"What these models would do if every answer could be read: {share:.1%} of decisions were lost."
        )
    cannot.append("How these models behave under other prompts or rules, or how later versions of them behave.")
    return can, cannot


class Missing(NamedTuple):
    """One kind of what is missing, counted."""

    sentence: str
    runs: tuple[str, ...] = ()
    """Each run that is concerned, where these are several: folded in the page."""


def missing(study: Study) -> list[Missing]:
    """Return each kind of missing data, counted; empty if nothing is missing."""
    found = [Missing(one_line(note, max_chars=600)) for note in study.notes]
    for status, (one, several) in STATUSES.items():
        of_status = study.runs[study.runs["status"] == status]
        if not of_status.empty:
            found.append(_of_status(study, of_status, one, several))
    return [*found, *map(Missing, _missing_data(study))]


STATUSES: Final = {
    "unreadable": ("could not be read", "could not be read"),
    "unread": (
        "was played to its end, but says nothing about its model",
        "were played to their ends, but say nothing about their models",
    ),
    "unfinished": ("did not finish", "did not finish"),
    "not begun": ("has not begun", "have not begun"),
}
"""What is said of one run of a status, and of several."""
MAX_PARTS: Final = 6
"""The most kinds of seeds and conditions that a sentence names."""


def _of_status(study: Study, runs: pd.DataFrame, one: str, several: str) -> Missing:
    names = labels(study)
    lines = []
    for row in runs.head(MAX_NAMED).to_dict("records"):
        is_begun = row["status"] != "not begun"
        done = f": {row['generations']} of {row['n_generations']} generations ended" if is_begun else ""
        done = done if pd.isna(row["problem"]) else f": {one_line(row['problem'], max_chars=600)}"
        lines.append(f"{one_line(names[row['study'], row['run']])}{done}.")
    if len(runs) == 1:
        return Missing(
            f"Run {lines[0].replace(': ', f' {one}: ', 1) if ': ' in lines[0] else f'{lines[0][:-1]} {one}.'}"
        )
    if len(runs) > MAX_NAMED:
        lines.append(f"And {len(runs) - MAX_NAMED:,} more, which agentsim status names.")
    return Missing(f"{len(runs):,} of {_count(len(study.runs), 'run')} {several}{_which(study, runs)}.", tuple(lines))


def _which(study: Study, runs: pd.DataFrame) -> str:
    """Return seeds and conditions of runs (`: seeds 6 to 19 of all 5 conditions`); empty if that is long."""
    seeds = runs["run"].map(_seed_of)
    if seeds.isna().any():
        return ""
    conditions, every = (_planned_conditions(study, of) for of in (runs, study.runs))
    alike: dict[str, list[str]] = {}
    for name, own in seeds.groupby(conditions.to_numpy()):
        alike.setdefault(ranges(sorted(int(seed) for seed in own)), []).append(str(name))
    if len(alike) > MAX_PARTS:
        return ""
    n_all = every.nunique()
    parts = []
    for which, names in alike.items():
        word = "seed" if which.isdecimal() else "seeds"
        if n_all == 1:
            parts.append(f"{word} {which}")
        elif len(names) == n_all:
            parts.append(f"{word} {which} of all {n_all} conditions")
        else:
            parts.append(f"{word} {which} of {one_line(listed(names), max_chars=600)}")
    return f": {'; '.join(parts)}"


def _planned_conditions(study: Study, runs: pd.DataFrame) -> pd.Series[str]:
    """Return the condition of each run as planned, whoever answered: runs that have not begun have no answers."""
    names = runs["condition"].astype(str)
    return names if len(study.folders) == 1 else runs["study"].astype(str) + ": " + names


def _seed_of(run: str) -> int | None:
    text = run.rpartition("seed-")[2]
    return int(text) if text.isdecimal() else None


def _missing_data(study: Study) -> Iterator[str]:
    """Yield what is missing of decisions, strategies, notes and logs, as sentences."""
    runs, sentences = study.runs, list[str]()
    sentences += _missing_moves(study)
    encounters = study.encounters
    n_lost, n_missing = int(lost(encounters).sum()), int((encounters["act"] == "missing").sum())
    if n_missing:
        sentences.append(
            f"{_of(n_missing, len(encounters), 'encounters')} have no readable decision: nothing was given in them,"
            " and they count in no mean of giving."
        )
    if n_lost - n_missing:
        sentences.append(
            f"{_of(n_lost - n_missing, len(encounters), 'encounters')} had no readable answer and were counted as a"
            " gift of 0, the scenario's fallback: nothing was given, and they count in no mean of giving."
        )
    n_failed = int(failed(encounters).sum())
    if n_failed:
        sentences.append(
            f"In {_of(n_failed, len(encounters), 'encounters')} the donor's act failed at random, as the rules"
            " prescribe: nothing was given, and the decision counts in no mean of giving."
        )
    newborn = study.with_strategies(study.agents)
    newborn = newborn[newborn["born"] == newborn["generation"]]
    mute = newborn["strategy"].isna() & ~newborn["model"].str.startswith("scripted/").fillna(False)
    if mute.any():
        sentences.append(f"{_of(int(mute.sum()), len(newborn), 'agents')} have no strategy that could be read.")
    unread = int(study.gossip["note"].isna().sum())
    if unread:
        sentences.append(f"{_of(unread, len(study.gossip), 'notes')} could not be read, so nobody was shown them.")
    torn = int(runs["n_torn_bytes"].fillna(0).sum())
    if torn:
        sentences.append(f"{torn:,} bytes of unfinished last lines were skipped (left by a crash).")
    silent = runs["input_tokens"].isna() & (runs["n_replies"].fillna(0) > 0)
    if silent.any():
        sentences.append(
            f"The servers of {_of(int(silent.sum()), len(runs), 'runs')} did not count tokens for every reply."
        )
    yield from sentences


def _missing_moves(study: Study) -> Iterator[str]:
    """Yield the same of games other than the donor game, and of what their players said."""
    is_voice = study.moves["stage"].isin([CHOOSE, EXCLUDE])
    if n_voiceless := int(study.moves.loc[is_voice, "option"].isna().sum()):
        yield (
            f"{_of(n_voiceless, int(is_voice.sum()), 'choices and votes')} before encounters could not be read: they"
            " were for nobody."
        )
    moves = study.moves[~is_voice]
    n_all, n_missing, n_replaced = (
        len(moves),
        int(moves["option"].isna().sum()),
        int(moves["replaced_by"].notna().sum()),
    )
    if n_missing:
        yield (
            f"{_of(n_missing, n_all, 'moves')} could not be read: nothing moved in their encounters, and they count in"
            " no mean level."
        )
    if n_replaced:
        yield (
            f"{_of(n_replaced, n_all, 'moves')} had no readable answer and were counted as the least cooperative one,"
            " the scenario's fallback: they count in no mean level."
        )
    if n_turned := int(moves["intended"].notna().sum()):
        yield (
            f"In {_of(n_turned, n_all, 'moves')} chance made another option of what was chosen, as the rules prescribe:"
            " they count in no mean level."
        )
    if n_unread := int(study.messages["message"].isna().sum()):
        yield f"{_of(n_unread, len(study.messages), 'messages')} could not be read, so nobody was shown them."


def runs_table(study: Study) -> Table:
    """Return one row for each run."""
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
    note = "A dash marks an unknown number."
    meanings = (meaning("runs", "run"), meaning("runs", "status"), *(meaning("runs", column) for column in columns))
    return Table(head, rows, (False, False, *[True] * len(columns)), note, meanings)


def unreadable(study: Study) -> Table | None:
    """Return asked and unreadable decisions by condition and generation; None without any."""
    every = decisions(study.encounters, study.moves)
    if every.empty:
        return None
    data = every.assign(condition=study.conditions(every))
    rows = []
    kinds = [kind for kind in PROBLEMS if (data["problem"] == kind).any()]
    for (condition, generation), asked in data.groupby(["condition", "generation"], sort=False):
        is_lost = asked["is_lost"]
        rows.append(
            (
                one_line(condition),
                str(generation),
                number(len(asked)),
                number(int((asked["attempts"] > 1).sum())),
                number(int((asked["attempts"] - 1).sum())),
                number(int((asked["reading"] == "percent").sum())),
                number(int((asked["reading"] == "clamped").sum())),
                number(int(is_lost.sum())),
                f"{is_lost.mean():.1%}",
                number(int(asked["replaced_by"].notna().sum())),
                *(number(int((asked["problem"] == kind).sum())) for kind in kinds),
            )
        )
    head = (
        "condition", "generation", "decisions", "asked again", "askings beyond the first", "read as a percentage",
        "clamped", "lost", "lost, share",
        "of these counted as 0", *(f"lost: {kind.replace('_', ' ')}" for kind in kinds),
    )  # fmt: skip
    most = "the donor had" if cooperation(study) is GIVING else "was possible"
    note = (
        f"Clamped: the answer was more than {most} and was lowered to that, as the scenario says. The reason is"
        " that of the last reply. Strategies are not in this table; see What is missing."
    )
    return Table(head, tuple(rows), (False, *[True] * (len(head) - 1)), note)


def _share_lost(study: Study) -> float:
    every = decisions(study.encounters, study.moves)
    return float(every["is_lost"].mean()) if len(every) else 0.0


def _of(n: int, n_all: int, what: str) -> str:
    return f"{n:,} of {n_all:,} {what} ({n / n_all:.1%})"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _either(values: Sequence[Any]) -> str:
    return " or ".join(number(value) for value in values) or "an unknown number of"
