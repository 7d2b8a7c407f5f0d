"""What logs of earlier agentsims say otherwise than logs of today, brought up to date while it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agentsim.core.facts import rounded

__all__ = ["content_digest", "recurs_by_choice", "rounds_by_choice", "up_to_date"]

SELECTION: Final = {"moran": "death_birth"}
"""Kinds of selection that have other names now; what they do is the same."""


def content_digest(content: Mapping[str, Any], *, seed: int, probe: Mapping[str, Any] | None) -> str:
    """Return the SHA-256, in hex, of a condition as it is logged, the seed, and a probe's design if there is one.

    Of the prompt set only the folder's name counts, not where it lies.
    """
    probed = {} if probe is None else {"probe": probe}
    data = {"condition": {**content, "prompts": Path(content["prompts"]).name}, "seed": seed, **probed}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def up_to_date(started: Any) -> Any:
    """Return a `run_started` record as it would be written today; one that needs no change, or is none, as it is.

    Its digest, where it is that of its condition, becomes that of the condition as written today.
    """
    condition = started.get("condition") if isinstance(started, Mapping) else None
    if not isinstance(condition, Mapping):
        return started
    try:
        now = _renamed(_with_its_halves(_with_its_pairing(condition)))
        if now is condition:
            return started
        own = {"seed": started["seed"], "probe": started.get("probe")}
        is_whole = started["digest"] == content_digest(condition, **own)
        digest = content_digest(now, **own) if is_whole else started["digest"]
    except (LookupError, TypeError, ValueError, AttributeError):
        return started  # something is missing or of another kind; whoever validates it says what
    return {**started, "condition": now, "digest": digest}


def _renamed(condition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a selection rule the name that it has now."""
    selection = condition["selection"]
    name = SELECTION.get(selection.get("kind"))
    return condition if name is None else {**condition, "selection": {**selection, "kind": name}}


def _with_its_pairing(condition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say of an alternating pairing how its pairs recurred before there was a choice, where that makes a difference."""
    pairing, agents = condition["pairing"], condition["agents"]
    if pairing.get("kind") != "alternating" or "in_both_roles" in pairing or not recurs_by_choice(agents):
        return condition
    return {**condition, "pairing": {**pairing, "in_both_roles": True}}


def _with_its_halves(condition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say of a share of survivors how halves were rounded before there was a choice, where that makes a difference."""
    selection = condition["selection"]
    if "halves" in selection or not rounds_by_choice(condition["agents"], selection.get("fraction")):
        return condition
    return {**condition, "selection": {**selection, "halves": "to_even"}}


def rounds_by_choice(n_agents: int, fraction: float | None) -> bool:
    """Return whether the number of survivors depends on how a half is rounded."""
    return fraction is not None and rounded(n_agents * fraction) != round(n_agents * fraction)


def recurs_by_choice(n_agents: int) -> bool:
    """Return whether `alternating` can pair so many agents in two ways: half of them is an odd number, but not 1."""
    return n_agents % 4 == 2 and n_agents > 2
