"""`agentsim status`: how far the runs of a study are."""

from __future__ import annotations

from rich.console import Console

from agentsim.cli.options import Studies, app


@app.command()
def status(folders: Studies) -> None:
    """Say how far each run of a study is, what it took, and why it stopped."""
    from agentsim.analysis.frames.study import load
    from agentsim.cli.tables.status import status_table

    study = load(*folders, allow_mixed=True)
    Console().print(status_table(study))
    if study.runs["status"].isin(["unfinished", "not begun"]).any():
        Console().print("Run the same command again to go on with what is not complete.")
