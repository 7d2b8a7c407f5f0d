"""The digest of what decides a run's facts: its condition, its seed and, if there is one, a probe's design."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["content_digest"]


def content_digest(content: Mapping[str, Any], *, seed: int, probe: Mapping[str, Any] | None) -> str:
    """Return the SHA-256, in hex, of a condition as it is logged, the seed, and a probe's design if there is one.

    Of the prompt set only the folder's name counts, not its place.
    """
    probed = {} if probe is None else {"probe": probe}
    data = {"condition": {**content, "prompts": Path(content["prompts"]).name}, "seed": seed, **probed}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
