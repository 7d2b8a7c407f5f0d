"""The table of what answered: snapshot, configuration and server in the servers' words, and what came from caches."""

from __future__ import annotations

from typing import Final

from agentsim.analysis.frames.study import Study
from agentsim.analysis.served import served
from agentsim.report.tables import Table, from_frame

__all__ = ["served_table"]

MAX_ROWS: Final = 200
TITLES: Final = {
    "model": "asked for",
    "model_answered": "answered",
    "n_replies": "replies",
    "input_tokens": "tokens in",
    "n_cache_said": "replies that say what a cache gave",
    "cached_tokens": "from a cache",
    "cache_write_tokens": "written to a cache",
}
NOTE: Final = (
    "Answered, fingerprint and server are what servers say of themselves. Tokens of caches are those of the replies"
    " that say it; a dash is not 0."
)


def served_table(study: Study) -> Table | None:
    """Return a row for each group of replies that alike models and servers gave; None if nobody was asked."""
    found = served(study)
    if found.empty:
        return None
    for name in ("first_reply", "last_reply"):
        found[name] = found[name].dt.strftime("%Y-%m-%d %H:%M").astype("string")
    n_more = len(found) - MAX_ROWS
    more = f" {n_more:,} more rows are in served.csv of `agentsim methods`." if n_more > 0 else ""
    return from_frame(found.head(MAX_ROWS), titles=TITLES, note=NOTE + more)
