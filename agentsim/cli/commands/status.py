"""`agentsim status`: the progress of a study's runs."""

from __future__ import annotations

from rich.console import Console

from agentsim.cli.declaring import command
from agentsim.cli.options import Plugins, Studies


@command(
    examples=["status results/quickstart", "status results/*"],
)
def status(folders: Studies, plugin: Plugins = None) -> None:
    """Print each run's progress and cost, and why it stopped."""
    from agentsim.analysis.frames.progress import progress
    from agentsim.cli.tables.status import status_table

    study = progress(*folders)
    Console().print(status_table(study))
    if study.runs["status"].isin(["unfinished", "not begun"]).any():
        Console().print("Run the study's command again to continue the runs that are not complete.")
