"""All dialects, by name. A new one is a file next to this one that defines `DIALECT`, and an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentsim.providers.dialects import anthropic, local, openai
from agentsim.providers.dialects.dialect import Dialect

__all__ = ["add_dialect", "built_in", "dialects", "serves_here"]

_DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect for dialect in (openai.DIALECT, anthropic.DIALECT, local.DIALECT)
}


def dialects() -> Mapping[str, Dialect]:
    """Return those that ship, then those of plug-ins."""
    return _DIALECTS


def add_dialect(dialect: Dialect) -> None:
    """Add the dialect of a plug-in, or take its newer form."""
    _DIALECTS[dialect.name] = dialect


def serves_here(dialect: object) -> bool:
    """Whether the models of a dialect run on this machine, so that no call of theirs is billed."""
    return isinstance(dialect, str) and dialect in _DIALECTS and _DIALECTS[dialect].serves_here


def built_in() -> dict[str, dict[str, Any]]:
    """Return the accounts that need no settings from the user: name -> settings."""
    return {
        name: {"dialect": dialect.name, **settings}
        for dialect in _DIALECTS.values()
        for name, settings in dialect.accounts.items()
    }
