"""`agentsim init`: begin a study of one's own, as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command


@command(
    "init",
    examples=["init my-study", "init my-study --from compare-models", "init my-study --prompts"],
)
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to write; its name is the study's.", show_default=False)],
    from_: Annotated[str, typer.Option("--from", help="The shipped scenario to begin with.")] = "donor-game",
    prompts: Annotated[bool, typer.Option("--prompts", help="Also write the prompts, to be edited.")] = False,
) -> None:
    """Begin a study: write a commented scenario, a notebook, and on wish the prompts, into a new folder."""
    from agentsim.scenario.beginning import begin

    begin(folder, source=from_, with_prompts=prompts)
    console = Console()
    for line in (
        f"{folder} holds scenario.yaml and notebook.ipynb{', and prompts' if prompts else ''}. Next:",
        f"  cd {folder}",
        "  agentsim check scenario.yaml",
        "  agentsim plan scenario.yaml",
        "  agentsim run scenario.yaml      (or first, at no cost: --model scripted/constant-share)",
    ):
        console.print(Text(line), soft_wrap=True)
