"""Why the runs of a study stopped; for people only, no result depends on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from agentsim.disk.durable import replace
from agentsim.log.files import STOPPED_NAME
from agentsim.log.writing import is_locked

__all__ = ["note_sitting", "stop_reasons"]


def note_sitting(study: Path, reasons: Mapping[str, str | None]) -> None:
    """Write into a study's folder why runs stopped.

    `reasons` holds the runs of this sitting, with `None` for a complete one. What other sittings wrote about other runs
    stays, and a run that another process is playing now is left to that process.
    """
    unlocked = {run: reason for run, reason in reasons.items() if not is_locked(study / run)}
    known = {**stop_reasons(study), **unlocked}
    text = json.dumps({run: reason for run, reason in known.items() if reason}, indent=2, ensure_ascii=False)
    with suppress(OSError):
        replace(study / STOPPED_NAME, text + "\n")


def stop_reasons(study: Path) -> dict[str, str]:
    """Return why runs stopped when they were last played, as far as it was written down."""
    try:
        content = json.loads((study / STOPPED_NAME).read_text(encoding="utf-8"))
        return {str(run): str(reason) for run, reason in content.items()}
    except (OSError, ValueError, AttributeError):
        return {}
