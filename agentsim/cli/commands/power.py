"""`agentsim power`: how many seeds are needed to tell two models apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Plugins
from agentsim.errors import AgentsimError


@command(
    examples=[
        "power --from results/scripted-baselines --by condition --effect 1.2",
        "power --spread 3 --effect 2 --effect 4",
        "power --spread 3 --effect 4 --prereg plan.prereg.json",
    ],
)
def power(
    pilot: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--from", help="The folder of a pilot study; may be repeated.", metavar="STUDY"),
    ] = None,
    effect: Annotated[
        Optional[list[float]],  # noqa: UP045 - typer reads it
        typer.Option("--effect", help="The ratio of final resources to detect, such as 2; may be repeated."),
    ] = None,
    spread: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option(
            help="Instead of a pilot: the factor, such as 3, by which runs of one model differ (one standard deviation"
            " of log scores); if paired, the factor by which two runs with the same seed differ."
        ),
    ] = None,
    target: Annotated[float, typer.Option("--power", help="The power wanted.")] = 0.8,
    by: Annotated[str, typer.Option(help="What groups the pilot's runs: model, condition, ...")] = "model",
    design: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(
            help="How the study will be compared: unpaired (the default) or paired; with --prereg as planned.",
            show_default=False,
        ),
    ] = None,
    prereg: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option(
            help="A plan that `agentsim prereg` wrote: what would it find, with its looks and its margin?",
            metavar="FILE",
        ),
    ] = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Estimate how many seeds, calls and dollars are needed to tell two models apart."""
    from math import inf, log

    from agentsim.analysis.frames.study import load
    from agentsim.analysis.planned_power import planned_power
    from agentsim.analysis.power import Pilot, pilot_of
    from agentsim.analysis.power import power as seeds_for
    from agentsim.analysis.preregistration import read_prereg
    from agentsim.cli.tables.power import planned_sentence, power_sentences, power_table

    if spread is not None and not 1 < spread < inf:
        raise AgentsimError(
            f"--spread {spread:g}: state a factor above 1, such as 3 if runs of one model differ threefold"
        )
    plan = None if prereg is None else read_prereg(prereg)
    design = design or ("unpaired" if plan is None else plan.design)
    if design not in ("unpaired", "paired"):
        raise AgentsimError(f"--design {design}: is not known; use unpaired or paired")
    if pilot and spread is None:
        source: Pilot | float = pilot_of(load(*pilot), by=by, design=design)  # type: ignore[arg-type] # checked above
    elif spread is not None and not pilot:
        source = log(spread)
    else:
        raise AgentsimError("power needs either a pilot (--from results/pilot) or a --spread, such as 3")
    answers = [
        seeds_for(source, effect=ratio, target=target, design=design)  # type: ignore[arg-type]
        for ratio in effect or [2.0]
    ]
    of_plan = [] if plan is None else [planned_power(plan, source, effect=ratio) for ratio in effect or [2.0]]
    if as_json:
        print_document("power", target=target, effects=answers, planned=of_plan)
        return
    console = Console()
    for result in answers:
        console.print(power_table(result))
        for sentence in power_sentences(result, target=target):
            console.print(Text(sentence))
    for planned in of_plan:
        console.print(Text(planned_sentence(planned)))
    for note in result.notes:
        console.print(Text(note))
