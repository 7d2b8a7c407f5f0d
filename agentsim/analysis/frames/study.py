"""From logs to tidy dataframes. Works on logs alone; a number that was not logged is missing, never 0."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from agentsim.analysis.frames.cache import Cached, fingerprints
from agentsim.analysis.frames.cache import read as read_cache
from agentsim.analysis.frames.cache import write as write_cache
from agentsim.analysis.frames.columns import KEY, TABLES
from agentsim.analysis.frames.grouped import with_groups
from agentsim.analysis.frames.logs import RunColumns, read_runs
from agentsim.analysis.frames.model_files import by_stem_where_unique
from agentsim.analysis.frames.players import one_player_each
from agentsim.analysis.frames.sight import with_sight
from agentsim.analysis.frames.studies import StudyFolder, find_studies
from agentsim.analysis.frames.summaries import frames_of, shaped
from agentsim.errors import LogError
from agentsim.log.experiment import mixed
from agentsim.log.records import RunStarted
from agentsim.providers.ledger_state import LedgerState, read_ledger
from agentsim.scenario.names import condition_of
from agentsim.scenario.plugins import load_installed, what_is_missing

__all__ = [
    "Study",
    "load",
    "logged_costs",
    "not_begun",
    "refuse_missing_plugins",
    "tabulated",
    "unreadable",
    "unstored",
]


BROKEN: Final = (ArithmeticError, LookupError, TypeError, ValueError)
"""What tabulating raises over records that contradict each other."""


@dataclass(frozen=True, eq=False)
class Study:
    """The dataframes of one study or several; `COLUMNS` says what their columns hold, `docs/columns.md` where from."""

    folders: Mapping[str, Path]
    """The folder of each study, by the study's name."""
    runs: pd.DataFrame
    """One row a run, also of those that are not complete; `status` says what each is."""
    agents: pd.DataFrame
    """One row an agent and generation it lives in."""
    generations: pd.DataFrame
    """One row a generation that has ended."""
    resources: pd.DataFrame
    """One row an agent and game that has ended."""
    encounters: pd.DataFrame
    """One row an encounter; where donors see less than a trace shows in time, also what `with_sight` adds; where
    there are groups, those of both agents."""
    replies: pd.DataFrame
    """One row a reply; none for scripted players."""
    gossip: pd.DataFrame
    """One row a note that a recipient was to write about its donor; none under other observation rules than gossip."""
    moves: pd.DataFrame
    """One row a move that was asked for, in games other than the donor game; none in the donor game."""
    outcomes: pd.DataFrame
    """One row a member and an encounter of such a game."""
    messages: pd.DataFrame
    """One row a message that was to be written before deciding; none where agents do not talk."""
    sat_out: pd.DataFrame
    """One row an agent that took no part in an encounter that was due; none where nobody can refuse or be excluded."""
    groups: pd.DataFrame
    """One row a group and generation; none where agents have no groups."""
    neighbours: pd.DataFrame
    """One row an agent, a generation and a neighbour it has in that; none where agents have no places in a network."""
    started: Mapping[tuple[str, str], RunStarted]
    """The first record of each readable log, by study and run: condition, seed, versions, account."""
    notes: tuple[str, ...] = ()
    """What is amiss with the folders themselves, in sentences for a person."""
    further: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Every other table that is declared, by name."""

    def frame(self, name: str) -> pd.DataFrame:
        """Return the dataframe of a declared table, by its name in `COLUMNS`."""
        frame: pd.DataFrame = self.further[name] if name in self.further else getattr(self, name)
        return frame

    @property
    def name(self) -> str:
        """The names of the studies, comma-separated."""
        return ", ".join(self.folders)

    @property
    def scored(self) -> pd.DataFrame:
        """`generations` without those of unread runs, whose scores say nothing."""
        unread = self.runs.loc[self.runs["status"] == "unread", KEY]
        keys = set(unread.itertuples(index=False, name=None))
        keys_of_rows = self.generations[KEY].itertuples(index=False, name=None)
        return self.generations[np.array([key not in keys for key in keys_of_rows], dtype=bool)]

    def conditions(self, frame: pd.DataFrame) -> pd.Series[str]:
        """Return the condition of each row of a frame of this study, with its study's name where there are several.

        Runs that one model answered and runs that another did (a server's new snapshot) are not one condition.
        """
        return frame[KEY].join(self._condition_of_run, on=KEY)["condition"]

    def with_strategies(self, agents: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of `agents` of runs in which agents have strategies."""
        without = {key for key, run in self.started.items() if run.condition["transmission"].get("kind") == "none"}
        keys_of_rows = agents[KEY].itertuples(index=False, name=None)
        return agents[np.array([key not in without for key in keys_of_rows], dtype=bool)] if without else agents

    @cached_property
    def _condition_of_run(self) -> pd.DataFrame:
        names = self.runs["condition"]
        names = names if len(self.folders) == 1 else self.runs["study"] + ": " + names
        named, _ = one_player_each(self.runs, names, self.started)
        return self.runs[KEY].assign(condition=named).set_index(KEY)


def load(*paths: str | Path, cache: bool = True, allow_mixed: bool = False) -> Study:
    """Read one study or several from their logs, into frames that know them apart by `study`.

    Args:
        paths: folders of studies (as `results/quickstart`), or patterns of such (as `results/*`, in which what is no
            study is passed over).
        cache: whether frames of large studies are kept in `.cache` of their folder, to load quickly the next time.

        allow_mixed: whether a study may hold runs of two experiments, which are then in frames that nothing should
            pool; without it, it is refused.

    Raises:
        LogError: there is no such study, it holds no runs or those of two experiments, or two different folders have
            the same name.
    """
    load_installed()
    studies = find_studies(paths)
    with _uncollected():
        parts = [_load_study(study, cache=cache) for study in studies]
    mixtures = [mixed(study.folder, part.started) for study, part in zip(studies, parts, strict=True)]
    if not allow_mixed and (mixture := next(filter(None, mixtures), None)):
        raise LogError(mixture)
    started = {
        (study.name, run): first
        for study, part in zip(studies, parts, strict=True)
        for run, first in part.started.items()
    }
    refuse_missing_plugins(started)
    frames = {name: _stacked([part.frames[name] for part in parts], studies) for name in TABLES}
    frames = by_stem_where_unique(frames)
    frames["encounters"] = with_groups(with_sight(frames["encounters"], started), frames["agents"])
    frames["moves"] = with_groups(frames["moves"], frames["agents"])
    named = {member.name for member in fields(Study)}
    further = {name: frames.pop(name) for name in TABLES if name not in named}
    return Study(
        folders={study.name: study.folder for study in studies},
        started=started,
        notes=(
            *(
                note
                for study, part in zip(studies, parts, strict=True)
                for note in (*study.notes, *_unstored(study, part))
            ),
            *filter(None, mixtures),
        ),
        further=further,
        runs=_with_settings(frames.pop("runs"), started),
        **frames,
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for circular garbage meanwhile.

    It would look through all records again and again as they are read: a fifth of the time, and there is none.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def refuse_missing_plugins(started: Mapping[tuple[str, str], RunStarted]) -> None:
    """Raise LogError if a run, by study and name, was played with a plug-in that is not here."""
    for (name, run), first in started.items():
        if lacking := what_is_missing(first.plugins):
            raise LogError(f"{name}/{run}: {lacking}")


class _Part(NamedTuple):
    frames: dict[str, pd.DataFrame]
    """Of one study, without its name; unreadable runs are only in `runs`."""
    started: dict[str, RunStarted]


def _load_study(study: StudyFolder, *, cache: bool) -> _Part:
    known = fingerprints(study.folder, study.runs) if cache else {}
    cached = read_cache(study.folder, known)
    read: dict[str, RunColumns] = {}
    rows, begun = list[dict[str, Any]](), []
    for run in study.runs:
        if cached and run in cached.started:
            continue
        if (study.folder / run).exists():
            begun.append(run)
        else:
            rows.append(not_begun(run))
    for run, columns in zip(begun, read_runs(study.folder / run for run in begun), strict=True):
        if isinstance(columns, RunColumns):
            read[run] = columns
        else:
            rows.append(unreadable(run, str(columns)))
    made, failed = tabulated(study.folder, read)
    rows += failed
    started = {run: columns.started for run, columns in read.items()}
    parts = [made] if read or not cached else []
    if cached:
        started |= cached.started
        parts.append(cached.frames)
    frames = {name: _in_order([part[name] for part in parts]) for name in TABLES}
    if any(run in known for run in read):
        write_cache(study.folder, Cached(started, frames), known)
    if rows:
        frames["runs"] = _in_order([frames["runs"], shaped("runs", rows)])
    return _Part(frames, started)


def tabulated(folder: Path, runs: dict[str, RunColumns]) -> tuple[dict[str, pd.DataFrame], list[dict[str, Any]]]:
    """Return the frames of the runs, and a row for each whose records are sound but do not fit together.

    The latter (logs edited by hand, or of foreign rules) are taken out of `runs`.
    """
    failed: list[dict[str, Any]] = []
    try:
        return frames_of(runs), failed
    except BROKEN:
        for run in list(runs):
            try:
                frames_of({run: runs[run]})
            except BROKEN as error:
                del runs[run]
                what = f"{folder / run}: its records do not fit together ({error!r}); restore its log"
                failed.append(unreadable(run, what))
        if not failed:
            raise
        return frames_of(runs), failed


def not_begun(run: str) -> dict[str, Any]:
    """Return the row of a run that is only planned."""
    return {"run": run, "condition": condition_of(run), "status": "not begun"}


def unreadable(run: str, problem: str) -> dict[str, Any]:
    """Return the row of a run whose log cannot be read."""
    return {"run": run, "condition": condition_of(run), "status": "unreadable", "problem": problem}


def _unstored(study: StudyFolder, part: _Part) -> Iterator[str]:
    return unstored(study, part.frames["runs"], part.started, lambda: part.frames["replies"])


def logged_costs(study: StudyFolder) -> pd.DataFrame:
    """Return the replies of a study, which say what each has cost."""
    return _load_study(study, cache=True).frames["replies"]


def unstored(
    study: StudyFolder, runs: pd.DataFrame, started: Mapping[str, RunStarted], replies: Callable[[], pd.DataFrame]
) -> Iterator[str]:
    """Say of how many paid calls no log holds an answer, as the study's ledger knows.

    `replies` is asked for the replies where the costs of the runs do not say enough.
    """
    try:
        ledger = read_ledger(study.folder)
    except LogError as error:
        yield f"{error}; calls that may have been billed without an answer are not known"
        return
    if ledger is None or (runs["status"] == "unreadable").any():
        return
    paid = {run for run, first in started.items() if first.is_paid}
    paid_runs = runs[runs["run"].isin(paid)]
    n_lost = ledger.n_answered + len(ledger.open) - int(paid_runs["n_replies"].sum())
    for model, known in sorted(ledger.billing.items()):
        if known.is_beyond:
            most = (
                f"{known.n_out:,} tokens of output"
                if known.n_out
                else f"{known.n_in:,} tokens of input beyond all bounds"
            )
            yield f"{study.folder}: {model} billed up to {most} for one answer, more than its calls were bounded to"
    if n_lost > 0:
        logged = paid_runs["cost_usd"]
        if logged.isna().any():  # which of their replies have none?
            every = replies()
            logged = every.loc[every["run"].isin(paid), "cost_usd"]
        usd = _lost_usd(ledger, logged)
        worth = "of unknown price" if ledger.n_unknown else f"US$ {usd:,.4f} at most"
        yield (
            f"{study.folder}: {n_lost:,} calls may have been billed whose answers are in no log ({worth}): under way"
            " now, or cut off by a kill, a deadline or a hedge"
        )


def _lost_usd(ledger: LedgerState, logged: pd.Series[float]) -> float:
    """Return the most (US dollars) that calls can have cost whose answers are in no log; `logged` is of all replies.

    Where all costs are known, `logged` may be of all runs instead.

    That is what is open, what answered calls have cost beyond the logged ones, and, where answers without a count of
    tokens were lost, the most that such calls can have cost.
    """
    counted = ledger.spent_usd - ledger.open_usd - ledger.uncounted_usd
    is_uncounted_lost = ledger.n_uncounted > int(logged.isna().sum())
    return ledger.open_usd + max(0.0, counted - float(logged.sum())) + ledger.uncounted_usd * is_uncounted_lost


def _in_order(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put frames under each other, run by run in the order of their names; within a run as they are."""
    filled = [part for part in parts if not part.empty] or parts[:1]
    if len(filled) == 1:
        return filled[0]
    return pd.concat(filled).sort_values("run", kind="stable", ignore_index=True)


def _stacked(frames: Sequence[pd.DataFrame], studies: Sequence[StudyFolder]) -> pd.DataFrame:
    """Put the frames of several studies under each other, each under its study's name."""
    names = pd.array([study.name for study in studies], dtype="string")
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    numbers = np.repeat(np.arange(len(frames)), [len(one) for one in frames])
    frame.insert(0, "study", pd.Series(names.take(numbers)))
    return frame


def _with_settings(runs: pd.DataFrame, started: Mapping[tuple[str, str], RunStarted]) -> pd.DataFrame:
    """Add a column for each setting that any of the studies varies, filled for all runs that have such a setting."""
    declared = TABLES["runs"].columns
    paths = dict.fromkeys(path for run in started.values() for path in run.settings if path not in declared)
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
