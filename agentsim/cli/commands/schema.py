"""`agentsim schema`: the JSON schema of scenario files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from agentsim.cli.declaring import command
from agentsim.cli.options import Plugins
from agentsim.errors import AgentsimError


@command(
    examples=["schema", "schema -o scenario.schema.json"],
)
def schema(
    output: Annotated[Optional[Path], typer.Option("-o", "--output", help="Write to this file.")] = None,  # noqa: UP045
    plugin: Plugins = None,
) -> None:
    """Print the JSON schema of scenario files, for editors."""
    from agentsim.scenario.schema import json_schema

    text = json.dumps(json_schema(), indent=2) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise AgentsimError(f"{output}: cannot be written ({error.strerror})") from error
