"""`agentsim run`: play a scenario, or continue it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.options import File, Model, Plugins, Seeds, Sets, app
from agentsim.cli.telling import EXIT_CODES, embedded, exit_code, fetch, tell


@app.command(epilog=EXIT_CODES)
def run(
    file: File,
    set_: Sets = None,
    model: Model = None,
    seeds: Seeds = None,
    results: Annotated[Path, typer.Option(help="The folder that holds the study's folder.")] = Path("results"),
    new: Annotated[bool, typer.Option("--new", help="Begin a new study instead of continuing an old one.")] = False,
    fork: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option(
            "--fork", help="Begin a new study, reusing replies of this one that are still valid.", metavar="STUDY"
        ),
    ] = None,
    max_cost: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option("--max-cost", help="Never spend more than this in total, over all sittings.", metavar="US$"),
    ] = None,
    pull: Annotated[bool, typer.Option("--pull", help="Fetch missing weights of embedded models.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress and no tables.")] = False,
    plugin: Plugins = None,
) -> None:
    """Play a scenario, or continue it: the same command resumes where it stopped."""
    from agentsim.cli.progress import Progress
    from agentsim.orchestrator.study import run as play
    from agentsim.scenario.loading import load_scenario
    from agentsim.scenario.runs import runs

    sets = [*(set_ or ()), *([] if max_cost is None else [f"budget={max_cost}"])]
    scenario = load_scenario(file, sets=sets, model=model, seeds=seeds)
    console = Console(quiet=quiet)
    if pull:
        for name in embedded(scenario):
            fetch(name, console)
    specs = runs(scenario)
    n_requests = sum(spec.condition.n_requests(spec.seed) for spec in specs)
    console.print(f"{scenario.name}: {len(specs)} runs, {n_requests:,} questions", highlight=False)
    with Progress(console, n_runs=len(specs)) as progress:
        result = play(scenario, results=results, new=new, fork=fork, observer=progress)
    if fork is not None:
        console.print(Text(f"{result.n_taken_over:,} replies were reused from {fork}"), soft_wrap=True)
    tell(result, console, is_new=new or fork is not None)
    raise typer.Exit(exit_code(result))
