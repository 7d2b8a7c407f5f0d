"""The names of the files in a study's folder and in a run's."""

from __future__ import annotations

from typing import Final

__all__ = ["LOCK_NAME", "LOG_NAME", "PROBE_NAME", "STOPPED_NAME", "STUDY_NAME"]

STUDY_NAME: Final = "study.json"
"""What a study is: its scenario and all its runs."""
PROBE_NAME: Final = "probe.json"
"""The design of a probe. A folder that holds it is not a study's."""
STOPPED_NAME: Final = "stopped.json"
"""Why runs of a study stopped, for people."""
LOG_NAME: Final = "log.jsonl"
"""The log of a run, in the run's folder."""
LOCK_NAME: Final = "lock"
"""Locked by the process that writes the run's log."""
