"""Models that are named by the path of a file: frames call them by the file's stem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from agentsim.scenario.names import by_stem

__all__ = ["by_stem_where_unique"]

LABELS: Final = ("model", "donor_model", "recipient_model", "actor_model", "player")
"""The columns that hold players' labels, in any table."""


def by_stem_where_unique(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return frames that call each model file by its stem; files whose stems are equal keep their paths."""
    labels = {
        label
        for frame in frames.values()
        for name in LABELS
        if name in frame
        for label in frame[name].dropna().unique()
    }
    stems = {label: by_stem(label) for label in labels if ".gguf" in label}
    if not stems:
        return dict(frames)
    taken = [stems.get(label, label) for label in labels]
    stems = {label: stem for label, stem in stems.items() if taken.count(stem) == 1}
    return {
        table: frame.assign(
            **{name: frame[name].replace(stems).astype(frame[name].dtype) for name in LABELS if name in frame}
        )
        for table, frame in frames.items()
    }
