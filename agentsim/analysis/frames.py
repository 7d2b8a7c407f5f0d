"""From logs to tidy dataframes. Works on logs alone; a number that was not logged is missing, never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from agentsim.core.types import (
    Agent,
    Donated,
    Encounter,
    GenerationEnded,
    Missed,
    Punished,
    StrategyFormed,
)
from agentsim.errors import AgentsimError, LogError
from agentsim.runlog import LogContent, Reply, RunFinished, RunStarted, read_log

__all__ = ["COLUMNS", "Column", "Study", "load"]


class Column(NamedTuple):
    """One column of a dataframe."""

    dtype: str
    """pandas dtype; capital letters and `string` are dtypes that know missing values."""
    meaning: str
    """What it holds, with units."""


COLUMNS: Final[Mapping[str, Mapping[str, Column]]] = {
    "runs": {
        "run": Column("string", "name of the run, and of its folder"),
        "model": Column("string", "the player asked for, as provider/model"),
        "seed": Column("Int64", "seed of the run"),
        "status": Column("string", "complete, unfinished, or unreadable (then see problem)"),
        "problem": Column("string", "why the log could not be read"),
        "generations": Column("Int64", "generations finished"),
        "mean_final_resources": Column("Float64", "units: the last finished generation's reported score"),
        "n_replies": Column("Int64", "replies in the log, every asking counted"),
        "n_encounters": Column("Int64", "encounters that happened"),
        "n_asked_again": Column("Int64", "askings beyond the first of a question"),
        "n_missed": Column("Int64", "encounters without a readable decision: nothing moved"),
        "n_replaced": Column("Int64", "encounters where the scenario counts an unreadable answer as a gift of 0"),
        "input_tokens": Column("Int64", "tokens of all prompts; missing where a reply did not say"),
        "cached_tokens": Column("Int64", "those of them read from the provider's cache"),
        "output_tokens": Column("Int64", "tokens of all answers, reasoning included"),
        "reasoning_tokens": Column("Int64", "those of them spent on hidden reasoning"),
        "models_answered": Column("string", "the models that answered, in the servers' words, by comma"),
        "n_torn_bytes": Column("Int64", "bytes of an unfinished last line, passed over"),
    },
    "agents": {
        "run": Column("string", "name of the run"),
        "generation": Column("Int64", "a generation the agent lives in, from 1"),
        "agent": Column("string", "its name, <generation born>_<index>"),
        "born": Column("Int64", "generation it joined in"),
        "model": Column("string", "the player behind it"),
        "strategy": Column("string", "its strategy; missing where none could be read"),
        "parents": Column("string", "the survivors it was shown, by space"),
        "score": Column("Float64", "units: what selection saw; missing until the generation has ended"),
        "survived": Column("boolean", "whether it was kept; missing in the last generation"),
        "mean_fraction": Column("Float64", "mean fraction given in its own donations of this generation"),
        "n_decisions": Column("Int64", "encounters it was donor in"),
        "n_missed": Column("Int64", "those of them without a readable decision"),
    },
    "generations": {
        "run": Column("string", "name of the run"),
        "generation": Column("Int64", "from 1; only generations that have ended"),
        "mean_final_resources": Column("Float64", "units: mean over agents, averaged over the generation's games"),
        "mean_fraction": Column("Float64", "mean fraction given over donations the donors decided themselves"),
        "n_encounters": Column("Int64", "encounters"),
        "n_punished": Column("Int64", "encounters in which the donor punished"),
        "n_missed": Column("Int64", "encounters without a readable decision"),
        "n_replaced": Column("Int64", "encounters counted as a gift of 0 for want of a readable answer"),
        "n_asked_again": Column("Int64", "askings beyond the first, strategies included"),
    },
    "encounters": {
        "run": Column("string", "name of the run"),
        "key": Column("string", "the decision's key, as g3/game1/r04/2_4"),
        "generation": Column("Int64", "from 1"),
        "game": Column("Int64", "from 1"),
        "round": Column("Int64", "from 1"),
        "donor": Column("string", "agent"),
        "recipient": Column("string", "agent"),
        "act": Column("string", "give, punish or missing"),
        "amount": Column("Float64", "units given, or spent on punishing; missing without a decision"),
        "fraction": Column("Float64", "amount / donor_before; missing without a decision or with nothing to give"),
        "removed": Column("Float64", "units taken from the recipient by punishment"),
        "donor_before": Column("Float64", "units"),
        "donor_after": Column("Float64", "units"),
        "recipient_before": Column("Float64", "units"),
        "recipient_after": Column("Float64", "units"),
        "attempts": Column("Int64", "how often the donor was asked"),
        "problem": Column("string", "why the last reply was not readable; missing for a valid answer"),
        "replaced_by": Column("string", "zero where the scenario's fallback stands in for an answer"),
        "reading": Column("string", "how the amount was written: plain units, or percent of own resources"),
    },
    "replies": {
        "run": Column("string", "name of the run"),
        "key": Column("string", "the question's key"),
        "attempt": Column("Int64", "1 for the first asking"),
        "model": Column("string", "the model asked for"),
        "model_answered": Column("string", "the model that answered, in the server's words"),
        "finish_reason": Column("string", "stop, length, filtered, refused or other"),
        "input_tokens": Column("Int64", "tokens of the prompt"),
        "cached_tokens": Column("Int64", "those of them read from the provider's cache"),
        "output_tokens": Column("Int64", "tokens of the answer"),
        "reasoning_tokens": Column("Int64", "those of them spent on hidden reasoning"),
        "latency_s": Column("Float64", "seconds from sending to the whole answer"),
        "time": Column("datetime64[us, UTC]", "when the answer had come"),
        "text": Column("string", "the model's words"),
    },
}
"""Every column of every dataframe; `runs` also has one for each setting that the study varies, by its path."""

TOKENS: Final = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


@dataclass(frozen=True, eq=False)
class Study:
    """A study's dataframes; `COLUMNS` says what their columns hold."""

    folder: Path
    runs: pd.DataFrame
    """One row a run, unfinished and unreadable ones too."""
    agents: pd.DataFrame
    """One row an agent and generation it lives in."""
    generations: pd.DataFrame
    """One row a generation that has ended."""
    encounters: pd.DataFrame
    """One row an encounter."""
    replies: pd.DataFrame
    """One row a reply; none for scripted players."""
    started: Mapping[str, RunStarted]
    """The first record of each readable log, by run: condition, seed, versions, account."""


def load(folder: str | Path) -> Study:
    """Read the study in `folder` (as `results/quickstart`) from its logs.

    Raises:
        LogError: there is no such study, or it holds no runs yet.
    """
    folder = Path(folder)
    paths = sorted(path.parent for path in folder.glob("*/log.jsonl"))
    if not paths:
        raise LogError(f"{folder}: holds no runs; name the folder of a study, such as results/quickstart")
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    started: dict[str, RunStarted] = {}
    for path in paths:
        run = path.name
        try:
            content = read_log(path)
            first = content.records[0] if content.records else None
            if not isinstance(first, RunStarted):
                raise LogError(f"{path}: the log is empty or does not begin with run_started")
        except AgentsimError as error:
            rows["runs"].append({"run": run, "status": "unreadable", "problem": str(error)})
            continue
        started[run] = first
        for name, own in _rows(run, first, content).items():
            rows[name].extend({"run": run, **row} for row in own)
    frames = {name: _frame(name, own) for name, own in rows.items()}
    return Study(folder=folder, started=started, **frames)


def _frame(name: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    columns = COLUMNS[name]
    frame = pd.DataFrame(list(rows))
    settings = [column for column in frame.columns if column not in columns]
    return frame.reindex(columns=[*columns, *settings]).astype({key: column.dtype for key, column in columns.items()})


def _rows(run: str, started: RunStarted, content: LogContent) -> dict[str, list[dict[str, Any]]]:
    records = content.records
    encounters = [record for record in records if isinstance(record, Encounter)]
    replies = [record for record in records if isinstance(record, Reply)]
    strategies = [record for record in records if isinstance(record, StrategyFormed)]
    ended = [record for record in records if isinstance(record, GenerationEnded)]
    return {
        "runs": [_run(started, content, encounters=encounters, replies=replies, ended=ended)],
        "agents": _agents(encounters, strategies, ended),
        "generations": [_generation(end, encounters, strategies) for end in ended],
        "encounters": [_encounter(record) for record in encounters],
        "replies": [_reply(record) for record in replies],
    }


def _run(
    started: RunStarted,
    content: LogContent,
    *,
    encounters: Sequence[Encounter],
    replies: Sequence[Reply],
    ended: Sequence[GenerationEnded],
) -> dict[str, Any]:
    is_complete = any(isinstance(record, RunFinished) for record in content.records)
    answered = sorted({reply.completion.model for reply in replies if reply.completion.model})
    return {
        "model": started.condition["players"]["model"],
        "seed": started.seed,
        "status": "complete" if is_complete else "unfinished",
        "generations": len(ended),
        "mean_final_resources": ended[-1].mean_final_resources if ended else None,
        "n_replies": len(replies),
        "n_encounters": len(encounters),
        "n_asked_again": sum(reply.attempt > 1 for reply in replies),
        "n_missed": _count(encounters, Missed),
        "n_replaced": _n_replaced(encounters),
        **{name: _total([getattr(reply.completion.usage, name) for reply in replies]) for name in TOKENS},
        "models_answered": ", ".join(answered) or None,
        "n_torn_bytes": content.n_torn_bytes,
        **started.settings,
    }


def _agents(
    encounters: Sequence[Encounter], strategies: Sequence[StrategyFormed], ended: Sequence[GenerationEnded]
) -> list[dict[str, Any]]:
    by_name: dict[str, Agent] = {}
    alive: list[str] = []
    rows: list[dict[str, Any]] = []
    ends = {end.generation: end for end in ended}
    acts: dict[tuple[int, str], list[Encounter]] = {}
    for encounter in encounters:
        acts.setdefault((encounter.generation, encounter.donor), []).append(encounter)
    for generation in sorted({event.generation for event in strategies}):
        born = [event.agent for event in strategies if event.generation == generation]
        by_name.update((agent.id, agent) for agent in born)
        alive = [*alive, *(agent.id for agent in born)]
        end = ends.get(generation)
        for name in alive:
            own = acts.get((generation, name), [])
            agent = by_name[name]
            rows.append(
                {
                    "generation": generation,
                    "agent": name,
                    "born": agent.born,
                    "model": agent.model,
                    "strategy": agent.strategy,
                    "parents": " ".join(agent.parents) or None,
                    "score": end.scores[name] if end else None,
                    "survived": name in end.survivors if end and end.survivors else None,
                    "mean_fraction": _mean_fraction(own),
                    "n_decisions": len(own),
                    "n_missed": _count(own, Missed),
                }
            )
        alive = list(end.survivors) if end else []
    return rows


def _generation(
    end: GenerationEnded, encounters: Sequence[Encounter], strategies: Sequence[StrategyFormed]
) -> dict[str, Any]:
    own = [encounter for encounter in encounters if encounter.generation == end.generation]
    formed = [event for event in strategies if event.generation == end.generation]
    return {
        "generation": end.generation,
        "mean_final_resources": end.mean_final_resources,
        "mean_fraction": _mean_fraction(own),
        "n_encounters": len(own),
        "n_punished": _count(own, Punished),
        "n_missed": _count(own, Missed),
        "n_replaced": _n_replaced(own),
        "n_asked_again": sum(event.attempts - 1 for event in own) + sum(event.attempts - 1 for event in formed),
    }


def _encounter(record: Encounter) -> dict[str, Any]:
    row = record.model_dump(exclude={"type"})
    row["act"] = {"donated": "give", "punished": "punish"}.get(str(getattr(record, "type", "")), "missing")
    return row


def _reply(record: Reply) -> dict[str, Any]:
    completion = record.completion
    return {
        "key": record.key,
        "attempt": record.attempt,
        "model": record.prompt.model,
        "model_answered": completion.model,
        "finish_reason": completion.finish_reason,
        **{name: getattr(completion.usage, name) for name in TOKENS},
        "latency_s": completion.latency_s,
        "time": record.time,
        "text": completion.text,
    }


def _count(encounters: Sequence[Encounter], kind: type[Encounter]) -> int:
    return sum(isinstance(encounter, kind) for encounter in encounters)


def _n_replaced(encounters: Sequence[Encounter]) -> int:
    return sum(isinstance(record, Donated) and record.replaced_by is not None for record in encounters)


def _mean_fraction(encounters: Sequence[Encounter]) -> float | None:
    """Mean fraction over donations that were the donor's own decision and had something to give."""
    fractions = [
        encounter.fraction
        for encounter in encounters
        if isinstance(encounter, Donated) and encounter.problem is None and encounter.fraction is not None
    ]
    return sum(fractions) / len(fractions) if fractions else None


def _total(values: Sequence[int | None]) -> int | None:
    """Sum, or missing where a reply did not say."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
