"""What a methods section has to say of a study, from its logs alone: a table by group, and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import pandas as pd

from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.words import counted, listed
from agentsim.errors import LogError

__all__ = ["Methods", "methods"]

COLUMNS: Final = {
    "condition": "string",
    "model": "string",
    "answered_by": "string",
    "servers": "string",
    "seeds": "string",
    "n_runs": "Int64",
    "n_replies": "Int64",
    "n_asked_again": "Int64",
    "n_missing": "Int64",
    "n_decisions": "Int64",
    "input_tokens": "Int64",
    "cached_tokens": "Int64",
    "output_tokens": "Int64",
    "first_reply": "string",
    "last_reply": "string",
    "prompts": "string",
}


class Methods(NamedTuple):
    """What a methods section needs."""

    table: pd.DataFrame
    """One row for each condition's complete runs: the model asked for and those that answered, in the servers' words,
    servers, seeds, replies, decisions that could not be read, tokens (missing where a server did not count them), when
    it was played (UTC), and the prompt set with the SHA-256 of its files."""
    sentences: tuple[str, ...]


def methods(study: Study) -> Methods:
    """Return the table and the sentences, from complete runs.

    Raises:
        LogError: no run is complete.
    """
    runs = study.runs[study.runs["status"] == "complete"]
    if runs.empty:
        raise LogError(f"{study.name}: no run is complete, so there is nothing to report; play the scenario to its end")
    labelled = runs.assign(label=study.conditions(runs))
    n_asked = study.agents.groupby(KEY)["n_decisions"].sum()
    rows = [_row(study, str(name), own, n_asked) for name, own in labelled.groupby("label", sort=True)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return Methods(table, tuple(_sentences(study, runs, rows)))


def _row(study: Study, name: str, runs: pd.DataFrame, n_asked: pd.Series[int]) -> dict[str, Any]:
    keys = set(runs[KEY].itertuples(index=False, name=None))
    is_own = [key in keys for key in study.replies[KEY].itertuples(index=False, name=None)]
    replies = study.replies[pd.Series(is_own, index=study.replies.index, dtype=bool)]
    starts = [study.started[key] for key in sorted(keys) if key in study.started]
    times = replies["time"].dropna()
    read = [start for start in starts if start.templates_read]
    digests = sorted({f"{start.condition['prompts']} {start.templates_read}" for start in read})
    return {
        "condition": name,
        "model": listed(sorted(runs["model"].dropna().unique())),
        "answered_by": _counts(replies["model_answered"]) if len(replies) else "nobody: scripted",
        "servers": listed(sorted(replies["server"].dropna().unique())),
        "seeds": ", ".join(str(seed) for seed in sorted(runs["seed"])),
        "n_runs": len(runs),
        "n_replies": len(replies),
        "n_asked_again": int((replies["attempt"] > 1).sum()),
        "n_missing": int((runs["n_missed"] + runs["n_replaced"]).sum()),
        "n_decisions": int(runs[KEY].join(n_asked, on=KEY)["n_decisions"].sum()),
        **{
            kind: int(replies[kind].sum()) if len(replies) and replies[kind].notna().all() else None
            for kind in ("input_tokens", "cached_tokens", "output_tokens")
        },
        "first_reply": None if times.empty else f"{times.min():%Y-%m-%d %H:%M}",
        "last_reply": None if times.empty else f"{times.max():%Y-%m-%d %H:%M}",
        "prompts": "; ".join(digests) or "none: no model read any",
    }


def _counts(models: pd.Series[Any]) -> str:
    counts = models.fillna("a model that the server did not name").value_counts()
    return "; ".join(f"{model} ({count:,} replies)" for model, count in counts.items())


def _sentences(study: Study, runs: pd.DataFrame, rows: Sequence[dict[str, Any]]) -> list[str]:
    starts = [study.started[key] for key in map(tuple, runs[KEY].to_numpy()) if key in study.started]
    played = sorted({f"agentsim {start.versions.get('agentsim', 'of unknown version')}" for start in starts})
    n_other = len(study.runs) - len(runs)
    said = [
        f"We report {counted(len(runs), 'complete run')} of {counted(len(rows), 'condition')}, played with"
        f" {listed(played)}; {counted(n_other, 'further run')} {'was' if n_other == 1 else 'were'} not complete and"
        f" {'is' if n_other == 1 else 'are'} left out."
    ]
    for row in rows:
        if not row["n_replies"]:
            said.append(f"{row['condition']}: a scripted policy ({row['model']}) under seeds {row['seeds']}.")
            continue
        share = row["n_missing"] / row["n_decisions"] if row["n_decisions"] else 0
        said.append(
            f"{row['condition']}: {row['model']} was asked and {row['answered_by']} answered, under seeds"
            f" {row['seeds']}, from {row['first_reply']} to {row['last_reply']} UTC; {row['n_asked_again']:,} of"
            f" {row['n_replies']:,} replies were to questions asked again, and {row['n_missing']:,} of"
            f" {row['n_decisions']:,} decisions ({share:.1%}) could not be read; {_cache(row)}; prompt set"
            f" {row['prompts']} (SHA-256)."
        )
    said.append(
        "The unit of analysis is the run. Groups were compared by the permutation test of the difference of mean log"
        " final resources of the last generation, two-sided, exact up to 65,536 arrangements and otherwise over 9,999"
        " random ones, with 95 % intervals from inverting the same test and Holm's correction over all pairs."
    )
    if any(row["n_replies"] for row in rows):
        said.append("System fingerprints are not recorded: models are known by the names that servers gave.")
    return said


def _cache(row: dict[str, Any]) -> str:
    if row["cached_tokens"] is None or not row["input_tokens"]:
        return "how many tokens came from a cache is not known"
    return f"{row['cached_tokens'] / row['input_tokens']:.0%} of the prompts' tokens came from the server's cache"
