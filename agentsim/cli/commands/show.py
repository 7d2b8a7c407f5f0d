"""`agentsim show`: the tables of a study."""

from __future__ import annotations

from rich.console import Console

from agentsim.cli.declaring import command
from agentsim.cli.options import Plugins, Studies


@command(
    examples=["show results/quickstart", "show results/first results/second"],
)
def show(folders: Studies, plugin: Plugins = None) -> None:
    """Print the runs, generations and strategies of one or more studies."""
    from agentsim.analysis.frames.study import load
    from agentsim.cli.tables.study import study_tables

    console = Console()
    for table in study_tables(load(*folders)):
        console.print(table)
