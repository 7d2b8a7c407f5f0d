"""Commands as a user gives them, in this process: a new one takes longer to start than most of them do to work."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

import typer.main

from agentsim.cli import main

__all__ = ["run_command"]

MADE = cache(typer.main.get_command)
"""What typer makes of all commands' signatures: once here, as in each process; it takes longer than short commands."""


def run_command(
    *arguments: str | Path, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run `agentsim` with these arguments; return its exit code and what it printed, as of a process.

    Signals, kills, what is loaded at the start and output that cannot be written need a process of their own.
    """
    words, out, err = [str(argument) for argument in arguments], io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd or Path.cwd()),
        patch.dict(os.environ, environ or {}),
        patch.object(sys, "argv", ["agentsim", *words]),
        patch.object(typer.main, "get_command", MADE),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return CompletedProcess(words, code, out.getvalue(), err.getvalue())
