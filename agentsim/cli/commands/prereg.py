"""`agentsim prereg`: a study's plan, written before its first run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.options import File, Model, Plugins, Seeds, Sets
from agentsim.errors import AgentsimError


@command(
    examples=[
        "prereg scenarios/donor-game.yaml --by model",
        "prereg scenarios/scripted-baselines.yaml --by condition --seeds 0-14 --looks 5,10,15 -o plan.prereg.json",
    ]
)
def prereg(
    file: File,
    by: Annotated[
        str, typer.Option(help="What will group the runs: model, condition or a setting that varies.")
    ] = "model",
    contrast: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option(
            help="Two groups that will be compared; may be repeated. By default all pairs.", metavar="'A / B'"
        ),
    ] = None,
    measure: Annotated[
        str, typer.Option(help="The outcome: final (resources of the last generation), area, slope or time.")
    ] = "final",
    design: Annotated[str, typer.Option(help="unpaired or paired.")] = "unpaired",
    take_off: Annotated[
        float, typer.Option("--take-off", help="The threshold of take-off, and of the measure time.")
    ] = 0.7,
    equivalence: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option(help="Test also whether groups are equal within this ratio, such as 1.25.", show_default=False),
    ] = None,
    looks: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(
            help="After how many seeds the results are looked at, such as 5,10,15; by default once.", metavar="N,N,..."
        ),
    ] = None,
    spending: Annotated[
        str, typer.Option(help="How looks spend the 5 %: obrien-fleming or pocock.")
    ] = "obrien-fleming",
    set_: Sets = None,
    model: Model = None,
    seeds: Seeds = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option("-o", "--output", help="The file to write; by default the scenario's name and .prereg.json."),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Write what is fixed before a study is played: groups, measure, runs, looks, digests of scenario and prompts."""
    from agentsim.cli.tables.prereg import prereg_table
    from agentsim.experiments.prereg import prereg as planned
    from agentsim.experiments.prereg import write_prereg
    from agentsim.scenario.loading import load_scenario

    scenario = load_scenario(file, sets=set_ or (), model=model, seeds=seeds)
    plan = planned(
        scenario,
        by=by,
        contrasts=[_pair(text) for text in contrast or ()],
        measure=measure,
        design=design,
        take_off_at=take_off,
        equivalence=equivalence,
        looks=[] if looks is None else _numbers(looks),
        spending=spending,
    )
    path = write_prereg(plan, output or Path(f"{scenario.name}.prereg.json"))
    console = Console()
    console.print(prereg_table(plan))
    console.print(Text(str(path)), soft_wrap=True)


def _pair(text: str) -> tuple[str, str]:
    first, slash, second = text.partition(" / ")
    if not (slash and first.strip() and second.strip()):
        raise AgentsimError(f"--contrast {text!r}: name two groups with a slash and spaces between them, as 'A / B'")
    return first.strip(), second.strip()


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise AgentsimError(f"--looks {text!r}: state comma-separated numbers of seeds, as 5,10,15") from error
