"""From the columns of runs to the frames of one study, all runs at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import ValidationError

from agentsim.analysis.frames.columns import TABLES, TOKENS
from agentsim.analysis.frames.decisions import failed, own_fraction
from agentsim.analysis.frames.logs import ARROW, RunColumns
from agentsim.analysis.frames.maximum import gives_shares, highest_mean_of_first, unit_worth
from agentsim.analysis.frames.rows import Row, given, row_of, rows_of
from agentsim.core.facts import GenerationEnded, NoteWritten, StrategyFormed
from agentsim.core.rules import SocietyRules
from agentsim.log.records import Reply, RunFinished, RunStarted
from agentsim.scenario.names import condition_of

__all__ = ["frames_of", "shaped"]

DTYPES: Final = {arrow: pd.api.types.pandas_dtype(dtype) for dtype, arrow in ARROW.items()}
TURN: Final = ["run", "generation", "donor"]


def frames_of(runs: Mapping[str, RunColumns]) -> dict[str, pd.DataFrame]:
    """Return the frames of a study's readable runs, by name; their columns are those declared in `TABLES` but `study`.

    What follows from several records is computed here; the rows of every other table are what its records give.
    """
    encounters = _encounters(runs)
    generations = _generations(runs, encounters)
    computed = {
        "runs": _runs(runs, generations, encounters),
        "agents": _agents(runs, encounters),
        "generations": generations,
        "encounters": encounters,
    }
    return {name: _as_declared(name, computed[name]) if name in computed else _recorded(name, runs) for name in TABLES}


def _recorded(name: str, runs: Mapping[str, RunColumns]) -> pd.DataFrame:
    """Return a table whose rows single records give; what follows from several of them is missing."""
    table = TABLES[name]
    return shaped(
        name,
        ({"run": run, **row} for run, log in runs.items() for row in rows_of(table, log.records, log.started)),
    )


def _as_declared(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame's declared columns, in their order and with their dtypes."""
    dtypes = TABLES[name].dtypes
    others = {column: dtype for column, dtype in dtypes.items() if str(frame[column].dtype) != dtype}
    return frame[list(dtypes)].astype(others)


def shaped(name: str, rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a frame with the declared columns but `study`; what a row lacks is missing."""
    dtypes = TABLES[name].dtypes
    frame = pd.DataFrame(list(rows)).reindex(columns=list(dtypes))
    for column, dtype in dtypes.items():
        if dtype.startswith("datetime64"):
            frame[column] = pd.to_datetime(frame[column], format="ISO8601", utc=True)
    return frame.astype(dtypes)


# --- encounters, and what they sum to ------------------------------------------------------------------------------


def _encounters(runs: Mapping[str, RunColumns]) -> pd.DataFrame:
    if not runs:
        return shaped("encounters", [])
    tables = [columns.encounters for columns in runs.values()]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas(types_mapper=DTYPES.get)
    names = pd.array(list(runs), dtype="string")
    numbers = np.repeat(np.arange(len(runs)), [table.num_rows for table in tables])
    frame.insert(0, "run", pd.Series(names.take(numbers)))
    return frame


def _sums(encounters: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return counts of acts, and the mean fraction over donations that were the donors' own, for each group."""
    act = encounters["act"]
    has_failed = failed(encounters)
    data = encounters[list(by)].assign(
        mean_fraction=own_fraction(encounters),
        n_punished=(act == "punish") & ~has_failed,
        n_missed=act == "missing",
        n_replaced=encounters["replaced_by"].notna(),
        n_failed=has_failed,
        n_asked_again=encounters["attempts"] - 1,
    )
    groups = data.groupby(list(by), sort=False)
    counts = ["n_punished", "n_missed", "n_replaced", "n_failed", "n_asked_again"]
    sums = groups[counts].sum().astype("Int64")
    return sums.assign(n_encounters=groups.size().astype("Int64"), mean_fraction=groups["mean_fraction"].mean())


def _joined(rows: pd.DataFrame, sums: pd.DataFrame, *, on: Sequence[str]) -> pd.DataFrame:
    """Add the sums to the rows; where a row has no encounters its counts are 0 and its mean is missing."""
    joined = rows.join(sums, on=list(on))
    counts = [column for column in sums.columns if column.startswith("n_")]
    joined[counts] = joined[counts].fillna(0)
    return joined


# --- generations ---------------------------------------------------------------------------------------------------


def _ends(run: RunColumns) -> Iterator[GenerationEnded]:
    return (record for record in run.records if isinstance(record, GenerationEnded))


def _generations(runs: Mapping[str, RunColumns], encounters: pd.DataFrame) -> pd.DataFrame:
    frame = _recorded("generations", runs)[["run", *given(TABLES["generations"])]]
    frame = _joined(frame, _sums(encounters, ["run", "generation"]), on=["run", "generation"])
    frame = frame.join(_maxima(runs, encounters), on=["run", "generation"])
    n_rounds = encounters.groupby(["run", "generation"])["round"].max().rename("n_rounds")
    frame = frame.join(n_rounds, on=["run", "generation"])
    formed = pd.DataFrame(
        [
            {"run": name, "generation": record.generation, "again": max(0, record.attempts - 1)}
            for name, run in runs.items()
            for record in run.records
            if isinstance(record, StrategyFormed | NoteWritten)
        ],
        columns=["run", "generation", "again"],
    ).astype({"run": "string", "generation": "Int64", "again": "Int64"})
    again = formed.groupby(["run", "generation"])["again"].sum()
    frame["n_asked_again"] += frame.join(again, on=["run", "generation"])["again"].fillna(0)
    return frame


def _maxima(runs: Mapping[str, RunColumns], encounters: pd.DataFrame) -> pd.Series[float]:
    """Return the highest mean final resources that each run's and generation's schedule allows."""
    generation = encounters.groupby(["run", "generation"], sort=False).ngroup().to_numpy()
    game = encounters.groupby(["run", "generation", "game"], sort=False).ngroup().to_numpy()
    agents, _ = pd.factorize(pd.concat([encounters["donor"], encounters["recipient"]]))
    holders, firsts = _numbered(np.concatenate([game, game]), agents)
    conditions = pd.DataFrame(
        {name: _linear(run.started.condition["game"]) for name, run in runs.items()}, index=["endowment", "multiplier"]
    ).T.astype(float)
    worth = unit_worth(
        donor=holders[: len(encounters)],
        recipient=holders[len(encounters) :],
        round_=encounters["round"],
        multiplier=conditions["multiplier"].reindex(encounters["run"]).to_numpy(),
        n_holders=len(firsts),
    )
    groups = pd.Series(worth).groupby(np.concatenate([generation, generation])[firsts])
    keys = encounters[["run", "generation"]].drop_duplicates()
    n_holders = pd.Series({name: _n_holders(run.started.condition) for name, run in runs.items()})
    n_all = n_holders.reindex(keys["run"]).to_numpy()
    n_idle = np.maximum(n_all - groups.size().to_numpy(), 0)  # who sat out every round of a game keeps what it had
    mean = (groups.sum().to_numpy() + n_idle) / n_all
    maximum = mean * conditions["endowment"].reindex(keys["run"]).to_numpy()
    return pd.Series(maximum, index=pd.MultiIndex.from_frame(keys), name="maximum", dtype="Float64")


def _linear(game: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a schedule's highest score follows from; nothing where donors may not give any share."""
    return {name: game[name] for name in ("endowment", "multiplier")} if gives_shares(game) else {}


def _n_holders(condition: Mapping[str, Any]) -> float:
    return float(condition["agents"] * condition["game"]["games"])


def _numbered(groups: NDArray[np.int64], members: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the pairs of two numbers from 0; return each row's, and the first row of each."""
    pairs = groups * (int(members.max(initial=0)) + 1) + members
    _, firsts, numbers = np.unique(pairs, return_index=True, return_inverse=True)
    return numbers, firsts


# --- agents --------------------------------------------------------------------------------------------------------


def _agents(runs: Mapping[str, RunColumns], encounters: pd.DataFrame) -> pd.DataFrame:
    rows = shaped("agents", (row for name, run in runs.items() for row in _living(name, run)))
    sums = _sums(encounters, TURN).rename(columns={"n_encounters": "n_decisions"})
    sums = sums.rename_axis(index={"donor": "agent"})[["n_decisions", "n_missed", "mean_fraction"]]
    rows = rows.drop(columns=list(sums.columns))
    return _joined(rows, sums, on=["run", "generation", "agent"])


def _living(name: str, run: RunColumns) -> Iterator[Row]:
    formed = [record for record in run.records if isinstance(record, StrategyFormed)]
    ends = {end.generation: end for end in _ends(run)}
    last: dict[str, StrategyFormed] = {}
    alive: list[str] = []
    for generation in sorted({event.generation for event in formed} | set(ends)):
        own = {event.agent.id: event for event in formed if event.generation == generation}
        last |= own  # the last words of a survivor that may state another strategy
        alive += [name for name in own if name not in alive]
        end = ends.get(generation)
        for agent in alive:
            yield {
                "run": name,
                **row_of(TABLES["agents"], last[agent], run.started),
                "generation": generation,
                "score": end.scores.get(agent) if end else None,
                "survived": agent in end.survivors if end and end.survivors else None,
            }
        alive = [one for one in end.survivors if one in last] if end else []


# --- runs --------------------------------------------------------------------------------------------------------


def _runs(runs: Mapping[str, RunColumns], generations: pd.DataFrame, encounters: pd.DataFrame) -> pd.DataFrame:
    last = generations.groupby("run").last()
    highest, score = last["maximum"].to_dict(), last["mean_final_resources"].to_dict()
    frame = shaped("runs", (_run(name, run, maximum=highest.get(name)) for name, run in runs.items()))
    frame["mean_final_resources"] = frame["run"].map(score)
    sums = _sums(encounters, ["run"])[["n_encounters", "n_missed", "n_replaced", "n_failed"]]
    frame = _joined(frame.drop(columns=list(sums.columns)), sums, on=["run"])
    frame["problem"] = frame["run"].map(_unread(encounters)).astype("string")
    is_unread = frame["problem"].notna() & (frame["status"] == "complete")
    frame["status"] = frame["status"].mask(is_unread, "unread")
    return frame


def _unread(encounters: pd.DataFrame) -> dict[str, str]:
    """Return, for each run in which none of a model's decisions could be read, the sentence that says so."""
    is_asked = (encounters["attempts"] > 0) & ~encounters["donor_model"].str.startswith("scripted/").fillna(False)
    asked = encounters[is_asked]
    groups = asked.assign(read=asked["problem"].isna()).groupby(["run", "donor_model"], sort=False)["read"]
    counts = groups.agg(["sum", "size"]).reset_index()
    found: dict[str, list[str]] = {}
    for row in counts[counts["sum"] == 0].to_dict("records"):
        sentence = f"not one of {row['size']} decisions of {row['donor_model']!r} could be read"
        found.setdefault(str(row["run"]), []).append(sentence)
    return {run: "; ".join(sentences) for run, sentences in found.items()}


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
        "maximum": _maximum_of_rules(started) if maximum is None else maximum,
        "generations": sum(1 for _ in _ends(run)),
        "n_replies": len(replies),
        "n_asked_again": sum(reply.attempt > 1 for reply in replies),
        **{token: _total([getattr(reply.completion.usage, token) for reply in replies]) for token in TOKENS},
        "cost_usd": _total([started.cost_usd(reply) for reply in replies]) if replies else 0.0,
        "models_answered": ", ".join(answered) or None,
        "n_torn_bytes": run.n_torn_bytes,
    }


def _maximum_of_rules(started: RunStarted) -> float | None:
    """Return the first generation's maximum by the rules; missing where they are unknown or no shares are given."""
    if not gives_shares(started.condition["game"]):
        return None
    own = {key: value for key, value in started.condition.items() if key in SocietyRules.model_fields}
    try:
        return highest_mean_of_first(SocietyRules.model_validate(own), seed=started.seed)
    except ValidationError:
        return None


def _total(values: Sequence[float | None]) -> float | None:
    """Sum, or missing where a reply did not say."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
