"""How a command is declared: with the examples and the exit codes that its `--help` ends with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import typer

from agentsim.cli.options import app

__all__ = ["CODES", "PLAYED", "REPLAYED", "command"]

CODES: Final = "Exit codes: 0 done; 1 the output could not be written; 2 a mistake in the command or in what it reads."
REPLAYED: Final = (
    "Exit codes: 0 every log is exact; 1 one is not, or the output could not be written; 2 a mistake in the command or"
    " in what it reads."
)
PLAYED: Final = (
    "Exit codes: 0 all runs are complete; 1 some are not, and the same command continues them; 2 a mistake in the"
    " command or the scenario, no model was called; 3 a model never gave a readable answer; 130 interrupted by Ctrl-C."
)

Declared = TypeVar("Declared", bound=Callable[..., Any])


def command(
    name: str | None = None, *, examples: Sequence[str], codes: str = CODES, of: typer.Typer = app
) -> Callable[[Declared], Declared]:
    """Register a command; `examples` are what follows `agentsim` on a command line that works."""
    lines = ["Examples:", *(f"agentsim {example}".replace("[", r"\[") for example in examples), codes]
    return of.command(name, epilog="\n\n".join(lines))
