"""Records of older logs, brought up to date as they are read: the rest of the program knows today's form alone.

Older logs differ in what they leave out, in how they name things, and in where they state the account of a single
player. A log itself is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentsim.scenario.digests import content_digest
from agentsim.scenario.old_conditions import condition_up_to_date
from agentsim.scenario.players import labels_in

__all__ = ["finish_up_to_date", "start_up_to_date"]

FIRST_READER: Final = 1
"""The reader of replies of logs that name none."""
NOT_KNOWN: Final = ("tokens", "cost_usd", "code_digest", "log_digest", "own_digest")
"""What the last record of older logs does not state."""


def start_up_to_date(record: Any) -> Any:
    """Return a `run_started` record as it would be written today; what is none is returned as it is.

    Its digest, where it is that of its condition, becomes that of the condition as written today.
    """
    if not isinstance(record, Mapping):
        return record
    return _with_its_accounts(_with_its_condition({"reader": FIRST_READER, **record}))


def finish_up_to_date(record: Any) -> Any:
    """Return a `run_finished` record with `None` for what it does not state; what is none is returned as it is."""
    return {**dict.fromkeys(NOT_KNOWN), **record} if isinstance(record, Mapping) else record


def _with_its_accounts(record: dict[str, Any]) -> dict[str, Any]:
    """Name the account of a single player by the player's label, as the accounts of several are."""
    account = record.get("account")
    if not isinstance(account, Mapping):
        return record
    record = {key: value for key, value in record.items() if key != "account"}
    if account:
        try:
            [label] = labels_in(record["condition"])
        except (LookupError, TypeError, ValueError, AttributeError):
            return {**record, "account": account}  # whoever validates it says what is wrong with it
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
        return record  # something is missing or of another kind; whoever validates it says what
    return {**record, "condition": now, "digest": digest}
