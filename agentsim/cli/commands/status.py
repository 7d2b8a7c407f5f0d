"""`agentsim status`: the progress of a study's runs."""

from __future__ import annotations

from rich.console import Console

from agentsim.cli.declaring import command
from agentsim.cli.documents import status_parts
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Plugins, Studies


@command(
    examples=["status results/quickstart", "status results/*"],
)
def status(folders: Studies, as_json: Json = False, plugin: Plugins = None) -> None:
    """Print each run's progress and cost, and why it stopped."""
    from agentsim.analysis.frames.progress import progress
    from agentsim.cli.tables.status import status_table

    study = progress(*folders)
    if as_json:
        print_document("status", **status_parts(study))
        return
    Console().print(status_table(study))
    if study.runs["status"].isin(["unfinished", "not begun"]).any():
        Console().print("Run the study's command again to continue the runs that are not complete.")
