"""`agentsim view`: a live page of studies in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.options import Plugins
from agentsim.errors import AgentsimError


@command(examples=["view", "view results/quickstart --open"])
def view(
    results: Annotated[Path, typer.Argument(help="The folder that holds studies, or a study's folder.")] = Path(
        "results"
    ),
    host: Annotated[
        str, typer.Option(help="The address to serve at. With any but this machine's own, the page asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any that is free.")] = 8017,
    opens: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    plugin: Plugins = None,
) -> None:
    """Show studies in the browser, as they are played or afterwards: it reads their logs and changes nothing."""
    try:
        from agentsim.view.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise AgentsimError(
            f"the page needs {error.name}, which is not installed: install the extra `view` of agentsim, or"
            " pip install starlette uvicorn"
        ) from error

    console = Console()

    def tell(address: str, host: str | None) -> None:
        console.print(Text(f"{results}: {address}"), soft_wrap=True)
        if host is not None:
            console.print("Whoever has this address can read the studies; the connection is not encrypted.")
        console.print("Ctrl-C ends it.")
        if opens:
            import webbrowser

            webbrowser.open(address)

    try:
        serve(results, host=host, port=port, plugins=plugin or (), on_ready=tell)
    except KeyboardInterrupt:
        console.print("The page has ended; runs are not affected.")
