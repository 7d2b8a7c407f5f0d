"""From the columns of runs to the frames of one study, all runs at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from agentsim.analysis.frames.bounds import least_of, maximum_of_rules, of_schedules, with_bounds_of_other_games
from agentsim.analysis.frames.columns import TABLES, TOKENS
from agentsim.analysis.frames.decisions import failed, own_fraction, own_level, own_level_of_moves
from agentsim.analysis.frames.logs import ARROW, RunColumns
from agentsim.analysis.frames.rows import Row, columns_of, given, row_of
from agentsim.core.facts import Connected, Grouped, NoteWritten, Settled, StrategyFormed, Talked
from agentsim.log.records import Reply, RunFinished
from agentsim.scenario.names import condition_of

__all__ = ["frames_of", "shaped"]

DTYPES: Final = {arrow: pd.api.types.pandas_dtype(dtype) for dtype, arrow in ARROW.items()}
TURN: Final = ["run", "generation", "agent"]


def frames_of(runs: Mapping[str, RunColumns]) -> dict[str, pd.DataFrame]:
    """Return the frames of a study's readable runs, by name; their columns are those declared in `TABLES` but `study`.

    What follows from several records is computed here; the rows of every other table are what its records give.
    """
    if not runs:
        return {name: shaped(name, []) for name in TABLES}
    numbers = np.repeat(np.arange(len(runs)), [log.encounters.num_rows for log in runs.values()])
    encounters = _encounters(runs, numbers)
    moves = _moves(runs)
    outcomes = _outcomes(runs)
    decided = _decided(_coded(encounters, list(runs), numbers), moves, outcomes)
    generations = _generations(runs, encounters, decided, numbers)
    agents = _agents(runs, decided)
    computed = {
        "runs": _runs(runs, generations, encounters, moves, decided),
        "agents": agents,
        "groups": _groups(agents),
        "generations": generations,
        "encounters": encounters,
        "moves": moves,
        "outcomes": outcomes,
        "neighbours": _neighbours(runs),
    }
    return {name: _as_declared(name, computed[name]) if name in computed else _recorded(name, runs) for name in TABLES}


def _recorded(name: str, runs: Mapping[str, RunColumns]) -> pd.DataFrame:
    """Return a table whose rows single records give; what follows from several of them is missing."""
    columns = columns_of(TABLES[name], {run: (log.records, log.started) for run, log in runs.items()})
    return _framed(name, columns) if columns["run"] else shaped(name, [])


def _as_declared(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame's declared columns, in their order and with their dtypes."""
    dtypes = TABLES[name].dtypes
    columns = {name: frame[name].array for name in dtypes}
    typed = {name: one if str(one.dtype) == dtypes[name] else one.astype(dtypes[name]) for name, one in columns.items()}
    return pd.DataFrame(typed, copy=False)


def shaped(name: str, rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a frame with the declared columns but `study`; what a row lacks is missing."""
    found = list(rows)
    return _framed(name, found) if found else _empty(name).copy()


@cache
def _empty(name: str) -> pd.DataFrame:
    return _framed(name, [])


def _framed(name: str, content: Sequence[Row] | Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return a frame made column by column: to cast a whole frame afterwards takes three times as long."""
    dtypes = TABLES[name].dtypes
    columns = content if isinstance(content, Mapping) else {key: [row.get(key) for row in content] for key in dtypes}
    missing = [None] * len(next(iter(columns.values()), []))
    return pd.DataFrame({key: _typed(columns.get(key, missing), dtype) for key, dtype in dtypes.items()})


def _typed(values: Any, dtype: Any) -> Any:
    if dtype.startswith("datetime64"):
        return pd.Series(pd.to_datetime(values, format="ISO8601", utc=True)).astype(dtype)
    return pd.array(values, dtype=dtype)


# --- encounters, and what they sum to ------------------------------------------------------------------------------


def _encounters(runs: Mapping[str, RunColumns], numbers: NDArray[np.intp]) -> pd.DataFrame:
    """Return the encounters of all runs; `numbers` says for each of them of which run it is, from 0."""
    tables = [columns.encounters for columns in runs.values()]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas(types_mapper=DTYPES.get)
    names = pd.array(list(runs), dtype="string")
    frame.insert(0, "run", pd.Series(names.take(numbers)))
    return frame


def _coded(encounters: pd.DataFrame, runs: Sequence[str], numbers: NDArray[np.intp]) -> pd.DataFrame:
    """Return encounters with runs and donors as categories, by which a million rows are grouped in half of the time."""
    return encounters.assign(
        run=pd.Categorical.from_codes(numbers, categories=pd.Index(pd.array(runs, dtype="string"))),
        donor=encounters["donor"].astype("category"),
    )


def _moves(runs: Mapping[str, RunColumns]) -> pd.DataFrame:
    """Return the moves of other games, with the player behind each."""
    frame = _recorded("moves", runs)
    if frame.empty:
        return frame
    models = {
        (name, record.agent.id): record.agent.label
        for name, run in runs.items()
        for record in run.records
        if isinstance(record, StrategyFormed)
    }
    keys = zip(frame["run"], frame["actor"], strict=True)
    frame["actor_model"] = pd.array([models.get(key) for key in keys], dtype="string")
    return frame


def _outcomes(runs: Mapping[str, RunColumns]) -> pd.DataFrame:
    """Return what each encounter of another game brought each of its members."""
    table = TABLES["outcomes"]
    return shaped(
        "outcomes",
        (
            {"run": name, **row_of(table, record, run.started), "agent": agent, "before": before, "after": after}
            for name, run in runs.items()
            for record in run.records
            if isinstance(record, Settled)
            for agent, before, after in zip(record.members, record.before, record.after, strict=True)
        ),
    )


def _groups(agents: pd.DataFrame) -> pd.DataFrame:
    """Return what the agents of each group did, and what became of them."""
    groups = agents.dropna(subset=["group"]).groupby(["run", "generation", "group"], sort=True)
    frame = groups[["score", "mean_fraction", "mean_level"]].mean()
    counts = {"n_agents": groups.size(), "n_survivors": groups["survived"].sum(min_count=1)}
    return frame.assign(**counts).reset_index()


def _neighbours(runs: Mapping[str, RunColumns]) -> pd.DataFrame:
    """Return each agent's neighbours in each generation."""
    return shaped(
        "neighbours",
        (
            {
                "run": name,
                "generation": record.generation,
                "game": record.game,
                "agent": agent,
                "neighbour": neighbour,
            }
            for name, run in runs.items()
            for record in run.records
            if isinstance(record, Connected)
            for edge in record.edges
            for agent, neighbour in (edge, edge[::-1])
        ),
    )


def _decided(encounters: pd.DataFrame, moves: pd.DataFrame, outcomes: pd.DataFrame) -> _Decided:
    """Return all decisions of all games in the same columns, and all encounters."""
    act = encounters["act"]
    has_failed = failed(encounters)
    donations = encounters[["run", "generation", "donor"]].assign(
        mean_fraction=own_fraction(encounters),
        mean_level=own_level(encounters),
        n_punished=(act == "punish") & ~has_failed,
        n_missed=act == "missing",
        n_replaced=encounters["replaced_by"].notna(),
        n_failed=has_failed,
        n_asked_again=encounters["attempts"] - 1,
        n_decisions=1,
    )
    donations = donations.rename(columns={"donor": "agent"})
    met = encounters[["run", "generation"]]
    if moves.empty:
        return _Decided(donations, met)
    others = moves[["run", "generation", "actor"]].assign(
        mean_fraction=pd.array([pd.NA] * len(moves), dtype="Float64"),
        mean_level=own_level_of_moves(moves),
        n_punished=False,
        n_missed=moves["option"].isna(),
        n_replaced=moves["replaced_by"].notna(),
        n_failed=moves["intended"].notna(),
        n_asked_again=moves["attempts"] - 1,
        n_decisions=1,
    )
    others = others.rename(columns={"actor": "agent"})
    once = outcomes.drop_duplicates(["run", "generation", "game", "round", "members"])[["run", "generation"]]
    return _Decided(*(_stacked(*pair) for pair in ((donations, others), (met, once))))


class _Decided(NamedTuple):
    decisions: pd.DataFrame
    """One row a decision: whose, its fraction and level, and what became of it."""
    met: pd.DataFrame
    """One row an encounter: its run and generation."""


def _stacked(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    filled = [frame for frame in (first, second) if not frame.empty]
    if len(filled) < 2:
        return filled[0] if filled else first
    return pd.concat(filled, ignore_index=True)


def _sums(decided: _Decided, by: Sequence[str]) -> pd.DataFrame:
    """Return counts, and the mean fraction and level over decisions that were the agents' own, for each group."""
    groups = decided.decisions.groupby(list(by), sort=False, observed=True)
    counts = ["n_decisions", "n_punished", "n_missed", "n_replaced", "n_failed", "n_asked_again"]
    summed = groups[counts].sum()
    sums = pd.DataFrame({name: summed[name].array.astype("Int64") for name in counts}, index=summed.index)
    means = groups[["mean_fraction", "mean_level"]].mean()
    sums = sums.assign(**means)
    if "agent" not in by:
        sums["n_encounters"] = decided.met.groupby(list(by), sort=False, observed=True).size().astype("Int64")
    coded = sums.reset_index()
    names = {name: "string" for name in ("run", "agent") if name in by}
    return coded.astype(names).set_index(list(by))


def _joined(rows: pd.DataFrame, sums: pd.DataFrame, *, on: Sequence[str]) -> pd.DataFrame:
    """Add the sums to the rows; where a row has no encounters its counts are 0 and its mean is missing."""
    joined = rows.join(sums, on=list(on))
    counts = [column for column in sums.columns if column.startswith("n_")]
    joined[counts] = joined[counts].fillna(0)
    return joined


# --- generations ---------------------------------------------------------------------------------------------------


def _generations(
    runs: Mapping[str, RunColumns], encounters: pd.DataFrame, decided: _Decided, numbers: NDArray[np.intp]
) -> pd.DataFrame:
    frame = _recorded("generations", runs)[["run", *given(TABLES["generations"])]]
    frame = _joined(frame, _sums(decided, ["run", "generation"]), on=["run", "generation"])
    frame = frame.join(of_schedules(runs, encounters, numbers), on=["run", "generation"])
    frame["minimum"] = pd.array([least_of(runs[run].started.condition) for run in frame["run"]], dtype="Float64")
    frame = with_bounds_of_other_games(frame, runs)
    again = Counter[tuple[str, int]]()
    for name, run in runs.items():
        for record in run.records:
            if isinstance(record, StrategyFormed | NoteWritten | Talked):
                again[name, record.generation] += max(0, record.attempts - 1)
    keys = zip(frame["run"], frame["generation"], strict=True)
    frame["n_asked_again"] += pd.array([again[key] for key in keys], dtype="Int64")
    return frame


# --- agents --------------------------------------------------------------------------------------------------------


def _agents(runs: Mapping[str, RunColumns], decided: _Decided) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {"run": []}
    for name, run in runs.items():
        for row in _living(run):
            columns["run"].append(name)
            for column, value in row.items():
                columns.setdefault(column, []).append(value)
    rows = _framed("agents", columns)
    sums = _sums(decided, TURN)[["n_decisions", "n_missed", "mean_fraction", "mean_level"]]
    rows = rows.drop(columns=list(sums.columns))
    return _joined(rows, sums, on=["run", "generation", "agent"])


def _living(run: RunColumns) -> Iterator[Row]:
    """Yield a row for each agent and generation it lives in; all rows have the same columns."""
    formed = [record for record in run.records if isinstance(record, StrategyFormed)]
    ends = {end.generation: end for end in run.ends()}
    grouped = {record.generation: record.groups for record in run.records if isinstance(record, Grouped)}
    rows: dict[str, Row] = {}
    alive: list[str] = []
    for generation in sorted({event.generation for event in formed} | set(ends)):
        stated = {event.agent.id: event for event in formed if event.generation == generation}
        # the last words of a survivor that may state another strategy
        rows |= {name: row_of(TABLES["agents"], event, run.started) for name, event in stated.items()}
        alive += [name for name in stated if name not in alive]
        end = ends.get(generation)
        groups = grouped.get(generation, {})
        for agent in alive:
            yield {
                **rows[agent],
                "generation": generation,
                "group": groups.get(agent),
                "score": end.scores.get(agent) if end else None,
                "survived": agent in end.survivors if end and end.survivors else None,
            }
        alive = [one for one in end.survivors if one in rows] if end else []


# --- runs --------------------------------------------------------------------------------------------------------


def _runs(
    runs: Mapping[str, RunColumns],
    generations: pd.DataFrame,
    encounters: pd.DataFrame,
    moves: pd.DataFrame,
    decided: _Decided,
) -> pd.DataFrame:
    last = generations.groupby("run").last()
    highest, score = last["maximum"].to_dict(), last["mean_final_resources"].to_dict()
    frame = shaped("runs", (_run(name, run, maximum=highest.get(name)) for name, run in runs.items()))
    frame["mean_final_resources"] = frame["run"].map(score)
    sums = _sums(decided, ["run"])[["n_encounters", "n_missed", "n_replaced", "n_failed"]]
    frame = _joined(frame.drop(columns=list(sums.columns)), sums, on=["run"])
    frame["problem"] = frame["run"].map(_unread(encounters, moves)).astype("string")
    is_unread = frame["problem"].notna() & (frame["status"] == "complete")
    frame["status"] = frame["status"].mask(is_unread, "unread")
    return frame


def _unread(encounters: pd.DataFrame, moves: pd.DataFrame) -> dict[str, str]:
    """Return, for each run in which none of a model's decisions could be read, the sentence that says so."""
    columns = ["run", "donor_model", "attempts", "problem"]
    decisions = _stacked(encounters[columns], moves.rename(columns={"actor_model": "donor_model"})[columns])
    is_asked = (decisions["attempts"] > 0) & ~decisions["donor_model"].str.startswith("scripted/").fillna(False)
    asked = decisions[is_asked]
    groups = asked.assign(read=asked["problem"].isna()).groupby(["run", "donor_model"], sort=False)["read"]
    counts = groups.agg(["sum", "size"]).reset_index()
    by_run: dict[str, list[str]] = {}
    for row in counts[counts["sum"] == 0].to_dict("records"):
        sentence = f"not one of {row['size']} decisions of {row['donor_model']!r} could be read"
        by_run.setdefault(str(row["run"]), []).append(sentence)
    return {run: "; ".join(sentences) for run, sentences in by_run.items()}


def _run(name: str, run: RunColumns, *, maximum: float | None) -> Row:
    started = run.started
    replies = [record for record in run.records if isinstance(record, Reply)]
    is_complete = any(isinstance(record, RunFinished) for record in run.records)
    is_asked = not all(player.startswith("scripted/") for player in started.players)
    answered = sorted({reply.completion.model for reply in replies if reply.completion.model})
    return {
        "run": name,
        **row_of(TABLES["runs"], started, started),
        "condition": condition_of(name),
        "status": "complete" if is_complete else "unfinished" if replies or not is_asked else "not begun",
        "maximum": maximum_of_rules(started) if maximum is None else maximum,
        "generations": sum(1 for _ in run.ends()),
        "n_replies": len(replies),
        "n_asked_again": sum(reply.attempt > 1 for reply in replies),
        **{token: _total([getattr(reply.completion.usage, token) for reply in replies]) for token in TOKENS},
        "cost_usd": _total([started.cost_usd(reply) for reply in replies]) if replies else 0.0,
        "models_answered": ", ".join(answered) or None,
        "fingerprints": ", ".join(sorted({r.completion.fingerprint for r in replies if r.completion.fingerprint}))
        or None,
        "n_torn_bytes": run.n_torn_bytes,
    }


def _total(values: Sequence[float | None]) -> float | None:
    """Sum, or missing where a reply did not say."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
