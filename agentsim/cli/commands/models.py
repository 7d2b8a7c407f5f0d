"""`agentsim models`: list and fetch the embedded models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, app
from agentsim.cli.telling import fetch
from agentsim.errors import AgentsimError

models = typer.Typer(help="The embedded models, which need no key.", no_args_is_help=True)
app.add_typer(models, name="models")


@command("list", of=models, examples=["models list"])
def list_models(as_json: Json = False) -> None:
    """List the embedded models and where their weights are."""
    from agentsim.providers.dialects.weights import WEIGHTS

    found = [(weights, _place(weights.name)) for weights in WEIGHTS.values()]
    if as_json:
        print_document(
            "models list",
            models=[
                {
                    "model": f"local/{weights.name}",
                    "title": weights.title,
                    "licence": weights.licence,
                    "size_bytes": weights.size_bytes,
                    "download_bytes": weights.download_bytes,
                    "file": file,
                }
                for weights, file in found
            ],
        )
        return
    console = Console()
    for weights, file in found:
        place = f"not here: agentsim models pull local/{weights.name}" if file is None else str(file)
        size = f"{weights.size_bytes / 1e6:,.0f} MB"
        console.print(
            Text(f"local/{weights.name}: {weights.title}, {weights.licence}, {size}; {place}"), soft_wrap=True
        )


def _place(name: str) -> Path | None:
    """Return the file of a model's weights; `None` if they are not on this machine."""
    from agentsim.providers.dialects.weights import find

    try:
        return find(name)
    except AgentsimError:
        return None


@command("pull", of=models, examples=["models pull local/qwen2.5-coder-1.5b", "models pull hf:OWNER/REPO:FILE.gguf"])
def pull_model(
    name: Annotated[
        str,
        typer.Argument(help="For example local/qwen2.5-coder-1.5b, or hf:OWNER/REPO:FILE.gguf.", show_default=False),
    ],
) -> None:
    """Fetch, verify and store a model's weights: an embedded one's, or a file of a Hugging Face hub."""
    fetch(name.removeprefix("local/"), Console())
