"""`agentsim plan`: an estimate of a scenario's calls, time and cost."""

from __future__ import annotations

from typing import Annotated, Optional

import typer
from rich.console import Console

from agentsim.cli.declaring import command
from agentsim.cli.documents import plan_parts
from agentsim.cli.json_output import print_document
from agentsim.cli.options import File, Json, Model, Plugins, Seeds, Sets


@command(
    examples=[
        "plan scenarios/donor-game.yaml --model openai/gpt-4o-2024-08-06",
        "plan scenarios/donor-game.yaml --pilot results/my-pilot",
    ],
)
def plan(
    file: File,
    set_: Sets = None,
    model: Model = None,
    seeds: Seeds = None,
    pilot: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--pilot", help="Estimate from this study, whose runs use the same model.", metavar="STUDY"),
    ] = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Estimate a scenario's calls, tokens, time and cost before the first call."""
    from agentsim.analysis.frames.study import load
    from agentsim.cli.tables.plan import plan_table
    from agentsim.experiments.plan import plan as planned
    from agentsim.scenario.loading import load_scenario

    scenario = load_scenario(file, sets=set_ or (), model=model, seeds=seeds)
    plans = planned(scenario, pilot=load(*pilot) if pilot else None)
    if as_json:
        print_document("plan", **plan_parts(plans))
    else:
        Console().print(plan_table(plans))
