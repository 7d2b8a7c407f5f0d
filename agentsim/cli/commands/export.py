"""`agentsim export`: a study's dataframes as files."""

from __future__ import annotations

from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Output, Plugins, Studies
from agentsim.cli.telling import folder_for


@command(
    examples=[
        "export results/quickstart",
        "export results/quickstart --format csv -o tables",
        "export results/quickstart --format inspect",
        "export results/quickstart --format deposit --licence CC-BY-4.0 --creator 'Ada Lovelace'",
    ],
)
def export(
    folders: Studies,
    format: Annotated[str, typer.Option(help="parquet, csv, inspect or deposit.")] = "parquet",
    licence: Annotated[
        str, typer.Option(help="Of a deposit: the SPDX identifier of its licence, such as CC-BY-4.0.", metavar="SPDX")
    ] = "",
    creator: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option(help="Of a deposit: the name of an author; may be repeated.", metavar="NAME"),
    ] = None,
    output: Output = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Write a study for other programs: its dataframes, its replies as logs of Inspect, or all of it as a deposit."""
    from agentsim.analysis.export import export as write
    from agentsim.analysis.frames.study import load

    study = load(*folders)
    folder = folder_for(study, output, format if format in ("inspect", "deposit") else "export")
    paths = write(study, folder, format=format, licence=licence, creators=creator or ())  # type: ignore[arg-type] # checked there
    if as_json:
        print_document("export", files=paths)
        return
    console = Console()
    for path in paths:
        console.print(Text(str(path)), soft_wrap=True)
