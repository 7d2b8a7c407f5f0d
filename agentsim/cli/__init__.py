"""The command line: arguments in, calls out. `commands/` has one file for each command, `tables/` what they print.

Exit codes: 0 done; 1 stopped, not exact, or the output could not be written; 2 the user made a mistake;
3 a model never gave a readable answer; 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from typing import Final, cast

import typer
from rich.console import Console

from agentsim.cli import commands  # importing a command registers it
from agentsim.cli.json_output import error_code, print_error, remedy
from agentsim.cli.options import app
from agentsim.cli.output import Output
from agentsim.cli.telling import complain
from agentsim.errors import AgentsimError

__all__ = ["app", "commands", "main"]

USAGE_ERROR: Final = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
"""A mistake in the arguments: typer exports this kind's subclass alone."""


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
    is_json = "--json" in sys.argv[1:]  # also of arguments that cannot be understood
    try:
        code = app(standalone_mode=not is_json)
        return code if isinstance(code, int) else 0
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except USAGE_ERROR as error:
        complain(AgentsimError(error.format_message()))
        print_error("usage_error", error.format_message(), "agentsim COMMAND --help shows what a command takes.")
        return 2
    except AgentsimError as error:
        complain(error)
        if is_json:
            print_error(error_code(error), str(error), remedy(error))
        return 2
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; run the same command again to continue")
        return 130
    return 0
