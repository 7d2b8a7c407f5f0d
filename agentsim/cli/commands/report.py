"""`agentsim report`: a study or a probe as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.comparing import Prereg
from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Plugins, Studies
from agentsim.errors import AgentsimError


@command(
    examples=[
        "report results/quickstart",
        "report results/first results/second -o both.html",
        "report results/quickstart --prereg plan.json",
    ],
)
def report(
    folders: Studies,
    output: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option("-o", "--output", help="The file to write; by default report.html in the study's folder."),
    ] = None,
    prereg: Prereg = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Write a study or a probe as one HTML file for the browser; it loads nothing from the network."""
    from agentsim.analysis.frames.study import load
    from agentsim.analysis.preregistration import read_prereg
    from agentsim.analysis.probes import is_probe, load_probe
    from agentsim.report import write_probe_report, write_report

    plan = None if prereg is None else read_prereg(prereg)
    if len(folders) == 1 and is_probe(folders[0]):
        if plan is not None:
            raise AgentsimError("--prereg: a probe is not compared; leave it out")
        path = write_probe_report(load_probe(folders[0]), output)
    else:
        path = write_report(load(*folders), output, plan=plan)
    if as_json:
        print_document("report", files=[path])
        return
    Console().print(Text(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser"), soft_wrap=True)
