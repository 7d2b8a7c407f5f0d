"""`agentsim figures`: a study's figures as SVG and PNG."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Output, Plugins, Studies
from agentsim.cli.telling import folder_for
from agentsim.errors import AgentsimError


@command(
    examples=["figures results/quickstart", "figures results/quickstart --societies all -o pictures"],
)
def figures(
    folders: Studies,
    societies: Annotated[
        str,
        typer.Option(
            help="For how many runs to draw the society and lineage figures: a number, or all."
            " The first run of each condition comes first."
        ),
    ] = "3",
    output: Output = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Draw a study's figures as SVG and PNG."""
    if societies != "all" and not (societies.isascii() and societies.isdigit()):
        raise AgentsimError(f"--societies: {societies!r} is not a number of runs; state 0 or more, or all")
    from agentsim.analysis.figures import write_figures
    from agentsim.analysis.frames.study import load

    study = load(*folders)
    paths, undrawn = write_figures(
        study,
        folder_for(study, output, "figures"),
        n_societies=None if societies == "all" else int(societies),
    )
    if as_json:
        print_document("figures", files=paths, not_drawn=undrawn)
        return
    console = Console()
    for path in paths:
        console.print(Text(str(path)), soft_wrap=True)
    for reason in undrawn:
        console.print(Text(reason), soft_wrap=True)
