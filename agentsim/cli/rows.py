"""What has a row of the live view; here, because options must be read without loading what draws it."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["By"]


class By(StrEnum):
    """What has a row of the live view."""

    CONDITION = "condition"
    RUN = "run"
