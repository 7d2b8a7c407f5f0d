"""All dialects, by name. A new one is a file beside this one, with a `DIALECT` in it, and a name here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agentsim.providers.dialects import anthropic, local, openai
from agentsim.providers.dialects.dialect import Dialect

__all__ = ["DIALECTS"]

DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect for dialect in (openai.DIALECT, anthropic.DIALECT, local.DIALECT)
}
