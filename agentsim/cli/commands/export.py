"""`agentsim export`: a study's dataframes as files."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Output, Plugins, Studies
from agentsim.cli.telling import folder_for


@command(
    examples=["export results/quickstart", "export results/quickstart --format csv -o tables"],
)
def export(
    folders: Studies,
    format: Annotated[str, typer.Option(help="parquet or csv.")] = "parquet",
    output: Output = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Write a study's dataframes as files, with a description of their columns."""
    from agentsim.analysis.export import export as write
    from agentsim.analysis.frames.study import load

    study = load(*folders)
    paths = list(write(study, folder_for(study, output, "export"), format=format))  # type: ignore[arg-type] # checked there
    if as_json:
        print_document("export", files=paths)
        return
    console = Console()
    for path in paths:
        console.print(Text(str(path)), soft_wrap=True)
