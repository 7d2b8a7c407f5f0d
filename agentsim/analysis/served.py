"""What answered, by group: model and configuration in the servers' words, server, dates, and what came from caches."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study

__all__ = ["SERVED", "served"]

SERVED: Final = {
    "condition": "string",
    "model": "string",
    "model_answered": "string",
    "fingerprint": "string",
    "server": "string",
    "n_replies": "Int64",
    "first_reply": "datetime64[us, UTC]",
    "last_reply": "datetime64[us, UTC]",
    "input_tokens": "Int64",
    "n_cache_said": "Int64",
    "cached_tokens": "Int64",
    "cache_write_tokens": "Int64",
}
BY: Final = ("condition", "model", "model_answered", "fingerprint", "server")


def served(study: Study) -> pd.DataFrame:
    """Return a row for each group of replies that alike models and servers gave; none of scripted players.

    Columns: `condition`; `model`, asked for; `model_answered` and `fingerprint`, the snapshot and the configuration in
    the server's words, missing where it said none; `server`, its address; `n_replies`, from `first_reply` to
    `last_reply`; `input_tokens`; `cached_tokens`, read from the server's cache, and `cache_write_tokens`, written to
    it, over the `n_cache_said` replies that say how many were read; missing if none does.
    """
    replies, runs = study.replies, study.runs
    if replies.empty:
        return pd.DataFrame(columns=list(SERVED)).astype(SERVED)
    labels = runs[KEY].assign(condition=study.conditions(runs))
    every = replies.merge(labels, on=KEY, how="left")
    rows = []
    for key, own in every.groupby(list(BY), sort=True, dropna=False):
        says = own[own["cached_tokens"].notna()]
        row: dict[str, Any] = dict(zip(BY, key, strict=True)) | {"n_replies": len(own), "n_cache_said": len(says)}
        row |= {"first_reply": own["time"].min(), "last_reply": own["time"].max()}
        row["input_tokens"] = own["input_tokens"].sum(min_count=1)
        row |= {name: says[name].sum(min_count=1) for name in ("cached_tokens", "cache_write_tokens")}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(SERVED)).astype(SERVED)
