"""The command line: arguments in, calls out. `commands/` has one file for each command, `tables/` what they print.

Exit codes: 0 done; 1 stopped, not exact, or the output could not be written; 2 the user made a mistake;
3 a model never gave a readable answer; 130 interrupted.
"""

from __future__ import annotations

import gc
import sys

from rich.console import Console

from agentsim.cli import commands  # importing a command registers it
from agentsim.cli.options import app
from agentsim.cli.output import Output
from agentsim.cli.telling import complain
from agentsim.errors import AgentsimError

__all__ = ["app", "commands", "main"]


def main() -> None:
    """Run the command line; a user's mistake prints one message and exits with code 2."""
    gc.set_threshold(100_000, 20, 20)  # most of what a command makes it keeps: to look for cycles took a tenth of it
    output = Output()
    output.guard()
    code = _run()
    failure = output.failure()
    if failure is not None:
        complain(AgentsimError(failure))
    sys.exit(code or (1 if failure is not None else 0))


def _run() -> int:
    """Run the command that the arguments name; return its exit code."""
    try:
        app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except AgentsimError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; run the same command again to continue")
        return 130
    return 0
