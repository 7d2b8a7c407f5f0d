"""The digest of what decides a run's facts: its condition, its seed and, if there is one, a probe's design."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["canonical", "content_digest", "digest_of"]


def content_digest(content: Mapping[str, Any], *, seed: int, probe: Mapping[str, Any] | None) -> str:
    """Return the SHA-256, in hex, of a condition as it is logged, the seed, and a probe's design if there is one.

    Of the prompt set only the folder's name counts, not its place.
    """
    return digest_of(canonical(content), seed=seed, probe=probe)


def canonical(content: Mapping[str, Any]) -> str:
    """Return the text of a condition as it is logged that its digests are made of."""
    return _json({**content, "prompts": Path(content["prompts"]).name})


def digest_of(text: str, *, seed: int, probe: Mapping[str, Any] | None) -> str:
    """Return what `content_digest` does of a condition whose canonical text is known."""
    probed = "" if probe is None else f'"probe":{_json(probe)},'
    return hashlib.sha256(f'{{"condition":{text},{probed}"seed":{seed}}}'.encode()).hexdigest()


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
