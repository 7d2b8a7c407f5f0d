"""Logs that tests change on purpose, closed again as their runs would have closed them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from agentsim.log.records import RunFinished

__all__ = ["sealed"]


def sealed(log: Path, text: str) -> None:
    """Write `text` as a log; its last line, where it is the end of a run, gets the digest of the lines before it."""
    *lines, last = text.encode().splitlines(keepends=True)
    record = json.loads(last)
    if record["type"] == "run_finished":
        record["log_digest"] = hashlib.sha256(b"".join(lines)).hexdigest()
        last = RunFinished.model_validate(record).sealed().model_dump_json().encode() + b"\n"
    log.write_bytes(b"".join([*lines, last]))
