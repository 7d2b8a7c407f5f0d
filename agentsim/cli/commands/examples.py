"""`agentsim examples`: list and copy the scenarios, notebooks and studies that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, app

examples = typer.Typer(help="The scenarios, notebooks and finished studies that are shipped.", no_args_is_help=True)
app.add_typer(examples, name="examples")


@command("list", of=examples, examples=["examples list"])
def list_examples(as_json: Json = False) -> None:
    """List every example with what it says of itself."""
    from agentsim.scenario.shipped import examples, first_words

    found = [(name, first_words(name)) for name in examples()]
    if as_json:
        print_document("examples list", examples=[{"name": name, "says": said} for name, said in found])
        return
    console = Console()
    for name, said in found:
        console.print(Text(f"{name}: {said}" if said else name), soft_wrap=True)


@command("copy", of=examples, examples=["examples copy", "examples copy donor-game --to my-examples"])
def copy_examples(
    names: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Argument(help="Examples, such as donor-game; all by default.", show_default=False),
    ] = None,
    to: Annotated[Path, typer.Option(help="The folder to copy into.")] = Path("agentsim-examples"),
) -> None:
    """Copy examples, and what they read, into a folder; nothing there is overwritten."""
    from agentsim.scenario.shipped import copy, examples, named

    written = copy([named(name) for name in names] if names else examples(), to)
    Console().print(Text(f"{len(written)} files were written into {to}"), soft_wrap=True)
