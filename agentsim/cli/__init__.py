"""The command line: arguments in, calls out.

Exit codes: 0 done, 1 stopped or not exact, 2 a mistake of the user's, 130 interrupted.
"""

from __future__ import annotations

import sys

from rich.console import Console

from agentsim.cli import playing, reading, strategies  # their commands are registered as they are imported
from agentsim.cli.options import app
from agentsim.cli.telling import complain
from agentsim.errors import AgentsimError

__all__ = ["app", "main", "playing", "reading", "strategies"]


def main() -> None:
    """Run the command line; a mistake is one clean message and exit code 2."""
    try:
        app()
    except AgentsimError as error:
        complain(error)
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; run the same command again to go on")
        sys.exit(130)
