"""From logs to tidy dataframes. Works on logs alone; a number that was not logged is missing, never 0."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pydantic import ValidationError

from agentsim.analysis.columns import COLUMNS, Column
from agentsim.analysis.maximum import highest_mean, highest_mean_of_first
from agentsim.analysis.studies import find_studies
from agentsim.core.society import SocietyRules
from agentsim.core.types import (
    Agent,
    Donated,
    Encounter,
    GameEnded,
    GenerationEnded,
    Missed,
    Punished,
    StrategyFormed,
)
from agentsim.errors import AgentsimError, LogError
from agentsim.runlog import LOG_NAME, LogContent, Reply, RunFinished, RunStarted, read_log

__all__ = ["COLUMNS", "Column", "Study", "load"]


TOKENS: Final = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


@dataclass(frozen=True, eq=False)
class Study:
    """The dataframes of one study or several; `COLUMNS` says what their columns hold."""

    folders: Mapping[str, Path]
    """The folder of each study, by the study's name."""
    runs: pd.DataFrame
    """One row a run, unfinished and unreadable ones too."""
    agents: pd.DataFrame
    """One row an agent and generation it lives in."""
    generations: pd.DataFrame
    """One row a generation that has ended."""
    resources: pd.DataFrame
    """One row an agent and game that has ended."""
    encounters: pd.DataFrame
    """One row an encounter."""
    replies: pd.DataFrame
    """One row a reply; none for scripted players."""
    started: Mapping[tuple[str, str], RunStarted]
    """The first record of each readable log, by study and run: condition, seed, versions, account."""
    notes: tuple[str, ...] = ()
    """What is amiss with the folders themselves, in sentences for a person."""

    @property
    def name(self) -> str:
        """The names of the studies, by comma."""
        return ", ".join(self.folders)


def load(*paths: str | Path) -> Study:
    """Read one study or several from their logs, into frames that know them apart by `study`.

    Args:
        paths: folders of studies (as `results/quickstart`), or patterns of such (as `results/*`, in which what is no
            study is passed over).

    Raises:
        LogError: there is no such study, it holds no runs, or two different folders have the same name.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    started: dict[tuple[str, str], RunStarted] = {}
    studies = find_studies(paths)
    for study in studies:
        for run in study.runs:
            key = {"study": study.name, "run": run, "condition": run.rpartition("--seed-")[0] or run}
            try:
                first, content = _read(study.folder / run)
            except AgentsimError as error:
                rows["runs"].append({**key, "status": "unreadable", "problem": str(error)})
                continue
            started[study.name, run] = first
            for name, own in _rows(first, content).items():
                rows[name].extend({**key, **row} for row in own)
    frames = {name: _frame(name, own) for name, own in rows.items()}
    return Study(
        folders={study.name: study.folder for study in studies},
        started=started,
        notes=tuple(note for study in studies for note in study.notes),
        runs=_with_settings(frames.pop("runs"), started),
        **frames,
    )


def _read(folder: Path) -> tuple[RunStarted, LogContent]:
    if not os.path.exists(folder / LOG_NAME):  # unlike Path.exists it takes any name, however long
        raise LogError(f"{folder}: has no log; the run has not begun, or its log was deleted")
    content = read_log(folder)
    first = content.records[0] if content.records else None
    if not isinstance(first, RunStarted):
        raise LogError(f"{folder}: the log is empty or does not begin with run_started")
    return first, content


def _with_settings(runs: pd.DataFrame, started: Mapping[tuple[str, str], RunStarted]) -> pd.DataFrame:
    """Add a column for each setting that any of the studies varies, filled for all runs that have such a setting."""
    paths = dict.fromkeys(path for run in started.values() for path in run.settings if path not in COLUMNS["runs"])
    keys = list(zip(runs["study"], runs["run"], strict=True))
    for path in paths:
        values = [_setting(started[key], path) if key in started else _ABSENT for key in keys]
        runs[path] = _settings_column(values)
    return runs


_ABSENT: Final = object()


def _setting(run: RunStarted, path: str) -> Any:
    """Return the condition's value at a dotted path, as `observation.depth`."""
    if path in run.settings:
        return run.settings[path]
    value: Any = run.condition
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _settings_column(values: Sequence[Any]) -> pd.Series:
    """Return numbers as numbers; anything else, and a `null` that was set, as text. Runs without it are missing."""
    present = [value for value in values if value is not _ABSENT]
    kinds = {type(value) for value in present}
    for kind, dtype in ((bool, "boolean"), (int, "Int64"), (float, "Float64")):
        if kinds <= ({kind, int} if kind is float else {kind}):
            return pd.Series([None if value is _ABSENT else value for value in values], dtype=dtype)
    texts = [value if isinstance(value, str) else json.dumps(value) for value in present]
    spoken = iter(texts)
    return pd.Series([None if value is _ABSENT else next(spoken) for value in values], dtype="string")


def _frame(name: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    columns = COLUMNS[name]
    frame = pd.DataFrame(list(rows)).reindex(columns=list(columns))
    return frame.astype({key: column.dtype for key, column in columns.items()})


def _rows(started: RunStarted, content: LogContent) -> dict[str, list[dict[str, Any]]]:
    records = content.records
    encounters = [record for record in records if isinstance(record, Encounter)]
    replies = [record for record in records if isinstance(record, Reply)]
    strategies = [record for record in records if isinstance(record, StrategyFormed)]
    ended = [record for record in records if isinstance(record, GenerationEnded)]
    generations = [_generation(started, end, encounters, strategies) for end in ended]
    return {
        "runs": [_run(started, content, encounters=encounters, replies=replies, generations=generations)],
        "agents": _agents(encounters, strategies, ended),
        "generations": generations,
        "resources": [
            {"generation": record.generation, "game": record.game, "agent": agent, "resources": units}
            for record in records
            if isinstance(record, GameEnded)
            for agent, units in record.resources.items()
        ],
        "encounters": [_encounter(record) for record in encounters],
        "replies": [_reply(record) for record in replies],
    }


def _run(
    started: RunStarted,
    content: LogContent,
    *,
    encounters: Sequence[Encounter],
    replies: Sequence[Reply],
    generations: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    last = generations[-1] if generations else {"maximum": _maximum_of_rules(started)}
    condition, game = started.condition, started.condition["game"]
    is_complete = any(isinstance(record, RunFinished) for record in content.records)
    answered = sorted({reply.completion.model for reply in replies if reply.completion.model})
    return {
        "model": condition["players"]["model"],
        "seed": started.seed,
        "status": "complete" if is_complete else "unfinished",
        "n_agents": condition["agents"],
        "n_generations": condition["generations"],
        "n_games": game["games"],
        "n_rounds": game["rounds"],
        "endowment": game["endowment"],
        "maximum": last["maximum"],
        "rules_digest": _rules_digest(started),
        "generations": len(generations),
        "mean_final_resources": last.get("mean_final_resources"),
        "n_replies": len(replies),
        "n_encounters": len(encounters),
        "n_asked_again": sum(reply.attempt > 1 for reply in replies),
        "n_missed": _count(encounters, Missed),
        "n_replaced": _n_replaced(encounters),
        **{name: _total([getattr(reply.completion.usage, name) for reply in replies]) for name in TOKENS},
        "models_answered": ", ".join(answered) or None,
        "n_torn_bytes": content.n_torn_bytes,
    }


def _rules_digest(started: RunStarted) -> str:
    """Return the SHA-256 of the condition without its players; of the prompt set only the content counts."""
    rules = {key: value for key, value in started.condition.items() if key != "players"}
    text = json.dumps({**rules, "prompts": started.prompts_digest}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _maximum_of_rules(started: RunStarted) -> float | None:
    """Return the first generation's maximum by the rules; missing where this agentsim does not know the rules."""
    own = {key: value for key, value in started.condition.items() if key in SocietyRules.model_fields}
    try:
        return highest_mean_of_first(SocietyRules.model_validate(own), seed=started.seed)
    except ValidationError:
        return None


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
    started: RunStarted, end: GenerationEnded, encounters: Sequence[Encounter], strategies: Sequence[StrategyFormed]
) -> dict[str, Any]:
    own = [encounter for encounter in encounters if encounter.generation == end.generation]
    formed = [event for event in strategies if event.generation == end.generation]
    return {
        "generation": end.generation,
        "mean_final_resources": end.mean_final_resources,
        "maximum": highest_mean(
            ((event.game, event.round, event.donor, event.recipient) for event in own),
            endowment=started.condition["game"]["endowment"],
            multiplier=started.condition["game"]["multiplier"],
            n_agents=len(end.scores),
        ),
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
