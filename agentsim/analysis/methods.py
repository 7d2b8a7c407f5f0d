"""What a methods section has to say of a study and of its comparison: tables by group, and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import pandas as pd

from agentsim.analysis.compare import Comparison
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.served import served
from agentsim.analysis.statistics_said import statistics_said, tests_of
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
    served: pd.DataFrame
    """What answered, by condition: see `served.served`; empty if only scripted policies played."""
    tests: pd.DataFrame
    """Every line that was tested, with what was done to it; empty if nothing was compared."""


def methods(study: Study, comparison: Comparison | None = None) -> Methods:
    """Return the tables and the sentences, from complete runs.

    Args:
        study: one or more studies.
        comparison: what `compare` returned of it: the sentences on statistics say what was done there, and nothing
            else. Without it they say that nothing was compared.

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
    return Methods(table, tuple(_sentences(study, runs, rows, comparison)), served(study), tests_of(comparison))


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


def _sentences(
    study: Study, runs: pd.DataFrame, rows: Sequence[dict[str, Any]], comparison: Comparison | None
) -> list[str]:
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
    if any(row["n_replies"] for row in rows):
        said += _of_servers(study)
    said += statistics_said(comparison)
    return said


def _of_servers(study: Study) -> Iterator[str]:
    """Return what servers said of themselves, and how tokens of their caches were priced."""
    answered = served(study)
    prints = sorted(set(answered["fingerprint"].dropna()))
    n_without = int(answered["n_replies"][answered["fingerprint"].isna()].sum())
    n = int(answered["n_replies"].sum())
    if not prints:
        yield "The servers stated no system fingerprint; models are known by the names that they gave."
    else:
        without = f"; {n_without:,} of {n:,} replies came without one" if n_without else ""
        yield f"System fingerprints: {listed(prints)}{without}."
    prices = {
        label: account["price"]
        for started in study.started.values()
        for label, account in started.accounts.items()
        if account.get("price") and account["price"].get("input")  # nothing is priced on one's own machine
    }
    own = sorted(label for label, price in prices.items() if price.get("cached") is not None)
    full = sorted(prices.keys() - set(own))
    if own:
        yield f"Tokens read from a cache were priced as the price list says for {listed(own)}."
    if full:
        yield f"No own price of tokens read from a cache is known for {listed(full)}: they were priced as any other."


def _cache(row: dict[str, Any]) -> str:
    if row["cached_tokens"] is None or not row["input_tokens"]:
        return "how many tokens came from a cache is not known"
    return f"{row['cached_tokens'] / row['input_tokens']:.0%} of the prompts' tokens came from the server's cache"
