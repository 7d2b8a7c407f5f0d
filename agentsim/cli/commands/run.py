"""`agentsim run`: play a scenario, or continue it."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.options import (
    Claim,
    File,
    Fork,
    Job,
    MaxCost,
    Model,
    New,
    On,
    Plugins,
    Pull,
    Quiet,
    Results,
    Seeds,
    Sets,
    Wait,
    Workers,
    app,
    settings,
)
from agentsim.cli.telling import EXIT_CODES, exit_code, fetch, show_ended, tell


@app.command(epilog=EXIT_CODES)
def run(
    file: File,
    set_: Sets = None,
    model: Model = None,
    seeds: Seeds = None,
    results: Results = Path("results"),
    new: New = False,
    fork: Fork = None,
    max_cost: MaxCost = None,
    claim: Claim = False,
    on: On = None,
    workers: Workers = 1,
    job: Job = None,
    wait: Wait = False,
    pull: Pull = False,
    quiet: Quiet = False,
    plugin: Plugins = None,
) -> None:
    """Play a scenario, or continue it: the same command resumes where it stopped."""
    from agentsim.cli.progress import Progress
    from agentsim.orchestrator.study import run as play
    from agentsim.scenario.loading import load_scenario
    from agentsim.scenario.runs import runs

    scenario = load_scenario(file, sets=settings(set_, max_cost), model=model, seeds=seeds)
    console = Console(quiet=quiet)
    if pull:
        from agentsim.orchestrator.engines.orders import embedded

        for name in embedded(scenario):
            fetch(name, console)
    specs = runs(scenario)
    n_requests = sum(spec.condition.n_requests(spec.seed) for spec in specs)
    console.print(f"{scenario.name}: {len(specs)} runs, {n_requests:,} questions", highlight=False)
    if on is not None:
        from agentsim.cli.elsewhere import play_elsewhere
        from agentsim.orchestrator.engines.known import engine
        from agentsim.orchestrator.engines.orders import Orders

        there = engine(on, settings=job or ())
        orders = Orders(
            file=file.resolve(),
            results=results.resolve(),
            sets=tuple(settings(set_, max_cost)),
            model=model,
            seeds=seeds,
            plugins=tuple(path.resolve() for path in plugin or ()),
            pull=pull,
        )
        study = play_elsewhere(there, orders, console, workers=workers, new=new, fork=fork, wait=wait)
        raise typer.Exit(show_ended(study, console) if wait or there.ends_with_us else 0)
    if claim:
        from agentsim.orchestrator.engines.worker import work as play
    with Progress(console, n_runs=len(specs)) as progress:
        result = play(scenario, results=results, new=new, fork=fork, observer=progress)
    if fork is not None:
        console.print(Text(f"{result.n_taken_over:,} replies were reused from {fork}"), soft_wrap=True)
    tell(result, console, is_new=new or fork is not None, is_alone=result.is_last)
    raise typer.Exit(exit_code(result))
