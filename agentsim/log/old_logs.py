"""Brings records of older logs up to date as they are read, so that the rest of the program knows only today's form.

Older logs leave things out, use other names, and state the account of a single player elsewhere. A log itself is never
changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentsim.scenario.digests import content_digest
from agentsim.scenario.old_conditions import condition_up_to_date
from agentsim.scenario.players import labels_in

__all__ = ["finish_up_to_date", "start_up_to_date"]

FIRST_READER: Final = 1
"""The version of the reader of replies in logs that state none."""
NOT_KNOWN: Final = ("tokens", "cost_usd", "code_digest", "log_digest", "own_digest")
"""Fields that the last record of older logs lacks."""


def start_up_to_date(record: Any) -> Any:
    """Return a `run_started` record as it would be written today; anything else is returned unchanged.

    A digest that matches its condition becomes the digest of the condition as written today.
    """
    if not isinstance(record, Mapping):
        return record
    return _with_its_accounts(_with_its_condition({"reader": FIRST_READER, **record}))


def finish_up_to_date(record: Any) -> Any:
    """Return a `run_finished` record with `None` for missing fields; anything else is returned unchanged."""
    return {**dict.fromkeys(NOT_KNOWN), **record} if isinstance(record, Mapping) else record


def _with_its_accounts(record: dict[str, Any]) -> dict[str, Any]:
    """Store the account of a single player under the player's label, as the accounts of several players are."""
    account = record.get("account")
    if not isinstance(account, Mapping):
        return record
    record = {key: value for key, value in record.items() if key != "account"}
    if account:
        try:
            [label] = labels_in(record["condition"])
        except (LookupError, TypeError, ValueError, AttributeError):
            return {**record, "account": account}  # validation reports what is wrong
        record["accounts"] = {label: account}
    return {"accounts": {}, **record}


def _with_its_condition(record: dict[str, Any]) -> dict[str, Any]:
    condition = record.get("condition")
    if not isinstance(condition, Mapping):
        return record
    try:
        now = condition_up_to_date(condition)
        if now is condition:
            return record
        decided = {"seed": record["seed"], "probe": record.get("probe")}
        is_whole = record["digest"] == content_digest(condition, **decided)
        digest = content_digest(now, **decided) if is_whole else record["digest"]
    except (LookupError, TypeError, ValueError, AttributeError):
        return record  # something is missing or has another type; validation reports what
    return {**record, "condition": now, "digest": digest}
