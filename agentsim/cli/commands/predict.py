"""`agentsim predict`: what societies should do, from how newborns' levels follow from their parents'."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Output, Plugins, Sets
from agentsim.errors import AgentsimError


@command(
    examples=[
        "predict results/probe-quickstart-children",
        "predict results/probe-quickstart-children --set groups.number=2 --over groups.weight --values 0,0.5,1",
        "predict results/probe-quickstart-children --study results/quickstart",
    ],
)
def predict(
    source: Annotated[
        Path, typer.Argument(help="The folder of a probe with --children of families.", show_default=False)
    ],
    study: Annotated[
        Optional[list[Path]],  # noqa: UP045 - typer reads it
        typer.Option("--study", help="Forecast this study's conditions too, and score the forecast; may be repeated."),
    ] = None,
    set_: Sets = None,
    over: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(help="Find the value of this setting at which cooperation tips.", metavar="PATH"),
    ] = None,
    values: Annotated[str, typer.Option(help="The values of --over, in rising order.")] = "0,0.25,0.5,0.75,1",
    at: Annotated[float, typer.Option(help="The level of the last generation that is crossed there.")] = 0.5,
    start: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option(help="The level of all first agents; by default founders', or those of the study."),
    ] = None,
    output: Output = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Predict the course of societies under each selection rule from a probe's newborns."""
    from agentsim.analysis.result_files import write_prediction
    from agentsim.cli.tables.predict import predict_tables
    from agentsim.experiments.predict import predict as foretell

    try:
        numbers = [float(value) for value in values.split(",")]
    except ValueError:
        raise AgentsimError(f"--values {values}: cannot be read; write numbers, as 0,0.25,0.5,0.75,1") from None
    result = foretell(source, studies=study or (), sets=set_ or (), over=over, values=numbers, at=at, start=start)
    files = write_prediction(
        result.probe.families,
        result.found.course,
        crossing=result.threshold,
        scores=result.scores,
        logged=result.logged,
        folder=source / "prediction" if output is None else output,
    )
    if as_json:
        print_document(
            "predict",
            probe=source,
            families=result.probe.families,
            course=result.found.course,
            threshold=result.threshold,
            scores=result.scores,
            logged=result.logged,
            notes=result.notes,
            files=files,
        )
        return
    console = Console()
    for table in predict_tables(result):
        console.print(table)
    for note in result.notes:
        console.print(Text(note), soft_wrap=True)
    console.print(Text(f"files:    {files[0].parent}"), soft_wrap=True)
