"""`agentsim figures`: a study's figures as SVG and PNG."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Output, Plugins, Studies
from agentsim.cli.telling import folder_for
from agentsim.errors import AgentsimError


@command(
    examples=[
        "figures results/quickstart",
        "figures results/quickstart --only final-resources --width single-column --format pdf --format png",
        "figures results/quickstart --societies all -o pictures",
    ],
)
def figures(
    folders: Studies,
    societies: Annotated[
        str,
        typer.Option(
            help="For how many runs to draw the society and lineage figures: a number, or all."
            " The first run of each condition comes first."
        ),
    ] = "3",
    only: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option(
            help="Draw this figure alone, such as final-resources or society; may be repeated.", metavar="NAME"
        ),
    ] = None,
    width: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(help="single-column (3.5 in), double-column (7.2 in), or inches.", show_default=False),
    ] = None,
    height: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option(help="In inches.", show_default=False),
    ] = None,
    order: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option(help="Draw this condition first, then the next one named; may be repeated.", metavar="CONDITION"),
    ] = None,
    label: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option(help="What a condition is called; may be repeated.", metavar="CONDITION=TEXT"),
    ] = None,
    formats: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--format", help="svg, png or pdf; may be repeated. By default svg and png.", metavar="FORMAT"),
    ] = None,
    dpi: Annotated[float, typer.Option(help="Dots per inch of PNG files.")] = 300,
    output: Output = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Draw a study's figures as SVG, PNG or PDF."""
    if societies != "all" and not (societies.isascii() and societies.isdigit()):
        raise AgentsimError(f"--societies: {societies!r} is not a number of runs; state 0 or more, or all")
    from agentsim.analysis.figures import write_figures
    from agentsim.analysis.frames.study import load

    options: dict[str, Any] = {"order": order or (), "labels": _labels(label or [])}
    options |= {} if width is None else {"width": _width(width)}
    options |= {} if height is None else {"height": height}
    study = load(*folders)
    paths, undrawn = write_figures(
        study,
        folder_for(study, output, "figures"),
        n_societies=None if societies == "all" else int(societies),
        only=only or (),
        formats=formats or ("svg", "png"),
        dpi=dpi,
        **options,
    )
    if as_json:
        print_document("figures", files=paths, not_drawn=undrawn)
        return
    console = Console()
    for path in paths:
        console.print(Text(str(path)), soft_wrap=True)
    for reason in undrawn:
        console.print(Text(reason), soft_wrap=True)


def _width(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _labels(pairs: list[str]) -> dict[str, str]:
    parted = [pair.rpartition("=") for pair in pairs]  # names may hold = themselves
    if odd := next((pair for pair, (name, _, _) in zip(pairs, parted, strict=True) if not name), None):
        raise AgentsimError(f"--label: {odd!r} is not CONDITION=TEXT, such as all-give='always generous'")
    return {name: text for name, _, text in parted}
