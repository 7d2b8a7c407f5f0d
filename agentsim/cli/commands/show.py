"""`agentsim show`: the tables of a study."""

from __future__ import annotations

from rich.console import Console

from agentsim.cli.declaring import command
from agentsim.cli.documents import study_parts
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Plugins, Studies


@command(
    examples=["show results/quickstart", "show results/first results/second"],
)
def show(folders: Studies, as_json: Json = False, plugin: Plugins = None) -> None:
    """Print the runs, generations and strategies of one or more studies."""
    from agentsim.analysis.frames.study import load
    from agentsim.cli.tables.study import study_tables

    study, console = load(*folders), Console()
    if as_json:
        print_document("show", **study_parts(study))
        return
    for table in study_tables(study):
        console.print(table)
