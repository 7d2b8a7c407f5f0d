"""`agentsim run`: play a scenario, or continue it."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import PLAYED, command
from agentsim.cli.options import (
    Claim,
    File,
    Fork,
    Job,
    Json,
    Log,
    MaxCost,
    Model,
    New,
    On,
    Plugins,
    Pull,
    Quiet,
    Results,
    Rows,
    Seeds,
    Sets,
    Wait,
    Workers,
    settings,
)
from agentsim.cli.rows import By
from agentsim.cli.telling import exit_code, fetch, print_elsewhere, print_ended, show_ended, tell, tell_why
from agentsim.errors import AgentsimError


@command(
    examples=[
        "run scenarios/quickstart.yaml --pull",
        "run scenarios/donor-game.yaml --model openai/gpt-4o-2024-08-06 --max-cost 20 --seeds 0-4",
        "run scenarios/donor-game.yaml --set name=trial --set generations=2 --model scripted/constant-share",
    ],
    codes=PLAYED,
)
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
    by: Rows = By.CONDITION,
    log_file: Log = None,
    quiet: Quiet = False,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Play a scenario, or continue it: the same command resumes where it stopped."""
    from agentsim.cli.progress import Progress, logged
    from agentsim.orchestrator.study import run as play
    from agentsim.scenario.loading import load_scenario
    from agentsim.scenario.runs import runs

    scenario = load_scenario(file, sets=settings(set_, max_cost), model=model, seeds=seeds)
    console = Console(quiet=quiet, stderr=as_json)
    if pull:
        from agentsim.orchestrator.engines.orders import embedded

        for name in embedded(scenario):
            fetch(name, console)
    specs = runs(scenario)
    expected = {spec.name: spec.condition.n_requests(spec.seed) for spec in specs}
    console.print(f"{scenario.name}: {len(specs)} runs, {sum(expected.values()):,} questions", highlight=False)
    if on is not None:
        if log_file is not None:
            raise AgentsimError(
                "--log-file is of this process; with --on, workers write their logs into the study's folder"
            )
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
        is_ended = wait or there.ends_with_us
        code = show_ended(study, console) if is_ended else 0
        if as_json:
            print_elsewhere(study, is_ended=is_ended)
        raise typer.Exit(code)
    if claim:
        from agentsim.orchestrator.engines.worker import work as play
    with logged(Progress(console, n_runs=len(specs), expected=expected, by=by), log_file) as watch:
        result = play(scenario, results=results, new=new, fork=fork, observer=watch)
    if fork is not None:
        console.print(Text(f"{result.n_taken_over:,} replies were reused from {fork}"), soft_wrap=True)
    if as_json:
        print_ended(result)
        tell_why(result, is_new=new or fork is not None)
    else:
        tell(result, console, is_new=new or fork is not None, is_alone=result.is_last)
    raise typer.Exit(exit_code(result))
