"""All dialects, by name. A new one is a file next to this one that defines `DIALECT`, and an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agentsim.providers.dialects import anthropic, local, openai
from agentsim.providers.dialects.dialect import Dialect

__all__ = ["DIALECTS", "SERVED_HERE"]

DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect for dialect in (openai.DIALECT, anthropic.DIALECT, local.DIALECT)
}
SERVED_HERE: Final = tuple(dialect.name for dialect in DIALECTS.values() if dialect.serves_here)
"""Names of the dialects whose models run on this machine, so that no call of theirs is billed."""
