"""`agentsim probe`: what strategies would give in designed situations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from agentsim.cli.declaring import PLAYED, command
from agentsim.cli.documents import plan_parts
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Log, MaxCost, Model, New, Plan, Plugins, Pull, Quiet, Results, Sets
from agentsim.cli.telling import exit_code, fetch, print_probed, tell_probe, tell_why


@command(
    examples=[
        "probe results/quickstart --run qwen2.5-coder-1.5b--seed-0 --generation 3 --plan",
        "probe scenarios/scripted-baselines.yaml --set vary=null --model scripted/standing",
    ],
    codes=PLAYED,
)
def probe(
    source: Annotated[
        Path,
        typer.Argument(help="The folder of a study whose strategies to probe, or a scenario.", show_default=False),
    ],
    run: Annotated[Optional[str], typer.Option(help="A run of the study.", metavar="RUN")] = None,  # noqa: UP045
    generation: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option(help="A generation of the run; by default its last.", min=1),
    ] = None,
    agent: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--agent", help="Probe only this agent's strategy, such as 3_1; may be repeated."),
    ] = None,
    strategy: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--strategy", help="Probe this strategy under the scenario's rules; may be repeated."),
    ] = None,
    n: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option("--n", help="How often to ask each situation; by default 5, or 0 with --children.", min=0),
    ] = None,
    children: Annotated[
        int, typer.Option(help="Ask for this many newborns' strategies and compare them with their parents'.", min=0)
    ] = 0,
    family: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option(
            help="With --children, give children to each so many parents instead of to all together: 1, each has its"
            " own.",
            min=1,
        ),
    ] = None,
    families: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option(help="Choose parents for this many families over the range of the run's levels.", min=1),
    ] = None,
    levels: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(help="Parents that give these shares, in percent, under a scenario's rules."),
    ] = None,
    founders: Annotated[
        int, typer.Option(help="Ask for this many strategies without parents, as in a first generation.", min=0)
    ] = 0,
    background: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(help="Score strategies among these policies; mostly used with --children.", metavar="POLICIES"),
    ] = None,
    societies: Annotated[int, typer.Option(help="Number of societies in which to score each strategy.", min=1)] = 1,
    records: Annotated[Optional[str], typer.Option(help="Recipients' records, in percent.")] = None,  # noqa: UP045
    partners: Annotated[Optional[str], typer.Option(help="Their partners' records, in percent.")] = None,  # noqa: UP045
    resources: Annotated[Optional[str], typer.Option(help="Units that the donor holds.")] = None,  # noqa: UP045
    set_: Sets = None,
    model: Model = None,
    name: Annotated[Optional[str], typer.Option(help="Name of the probe's folder.")] = None,  # noqa: UP045
    results: Results = Path("results"),
    new: New = False,
    max_cost: MaxCost = None,
    plan: Plan = False,
    pull: Pull = False,
    log_file: Log = None,
    quiet: Quiet = False,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Ask strategies what they would give in designed situations, or compare newborns with their parents."""
    from agentsim.cli.progress import Progress, logged
    from agentsim.cli.tables.plan import plan_table
    from agentsim.experiments.probe import plan as planned
    from agentsim.experiments.probe import probe as ask
    from agentsim.experiments.probe_options import Options, designed

    options = Options(
        run=run,
        generation=generation,
        agents=tuple(agent or ()),
        strategies=tuple(strategy or ()),
        n=n,
        children=children,
        family=family,
        families=families,
        levels=levels,
        founders=founders,
        background=background,
        societies=societies,
        records=records,
        partners=partners,
        resources=resources,
        sets=tuple(set_ or ()),
        model=model,
        name=name,
        max_cost=max_cost,
    )
    scenario, design = designed(source, options)
    console = Console(quiet=quiet, stderr=as_json)
    foreseen = planned(scenario, design)
    if plan:
        if as_json:
            print_document("probe", plan=plan_parts([foreseen]))
        else:
            Console().print(plan_table([foreseen]))
        return
    if pull:
        from agentsim.orchestrator.engines.orders import embedded

        for model_name in embedded(scenario):
            fetch(model_name, console)
    console.print(f"{scenario.name}: {foreseen.n_questions:,} questions of {foreseen.model}", highlight=False)
    with logged(Progress(console, n_runs=1), log_file) as watch:
        result = ask(scenario, design, results=results, new=new, observer=watch)
    if as_json:
        print_probed(result)
        tell_why(result, is_new=new)
    else:
        tell_probe(result, console, is_new=new)
    raise typer.Exit(exit_code(result))
