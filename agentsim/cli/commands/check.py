"""`agentsim check`: a scenario's settings, runs and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import File, Json, Model, Plugins, Seeds, Sets
from agentsim.scenario.names import condition_of

if TYPE_CHECKING:
    from agentsim.scenario.conditions import Scenario
    from agentsim.scenario.runs import RunSpec, Summary


@command(
    examples=["check scenarios/donor-game.yaml", "check scenarios/quickstart.yaml --set game.rounds=6 --seeds 0-4"],
)
def check(
    file: File,
    set_: Sets = None,
    model: Model = None,
    seeds: Seeds = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Check a scenario and print its settings, runs and warnings; calls no model."""
    from agentsim.cli.tables.fitting import Name
    from agentsim.play.rehearsal import rehearsed
    from agentsim.scenario.loading import load_scenario
    from agentsim.scenario.remarks import remarks, warnings
    from agentsim.scenario.runs import describe

    scenario = load_scenario(file, sets=set_ or (), model=model, seeds=seeds)
    summary = describe(scenario)
    rehearsed(spec.condition for spec in summary.runs)
    conditions = {condition_of(spec.name): spec for spec in reversed(summary.runs)}
    conditions = dict(reversed(conditions.items()))
    if as_json:
        _print_document(scenario, summary, conditions)
        return
    console = Console()
    console.print(Text(summary.yaml))
    shown = summary.runs[:20]
    for spec in shown:
        more = f": {spec.condition.n_requests(spec.seed):,} questions"
        console.print(Padding(Name((spec.name,), more=more), (0, 0, 0, 2)))
    if len(summary.runs) > len(shown):
        console.print(f"  ... and {len(summary.runs) - len(shown)} more")
    for name, spec in list(conditions.items())[:20]:
        of = f"{name}: " if len(conditions) > 1 else ""
        for remark in remarks(spec.condition, seed=spec.seed):
            console.print(Text(f"  {of}{remark}"), soft_wrap=True)
        for warning in warnings(spec.condition):
            console.print(Text.assemble(("warning: ", "bold yellow"), f"{of}{warning}"), soft_wrap=True)
    console.print(
        f"{len(summary.runs)} runs, {summary.n_requests:,} questions if every first answer is readable",
        highlight=False,
    )


def _print_document(scenario: Scenario, summary: Summary, conditions: Mapping[str, RunSpec]) -> None:
    from agentsim.scenario.remarks import remarks, warnings

    print_document(
        "check",
        name=scenario.name,
        scenario=scenario,
        runs=[
            {
                "run": spec.name,
                "condition": condition_of(spec.name),
                "seed": spec.seed,
                "n_questions": spec.condition.n_requests(spec.seed),
            }
            for spec in summary.runs
        ],
        n_questions=summary.n_requests,
        remarks=[
            {"condition": name, "remark": remark}
            for name, spec in conditions.items()
            for remark in remarks(spec.condition, seed=spec.seed)
        ],
        warnings=[
            {"condition": name, "warning": warning}
            for name, spec in conditions.items()
            for warning in warnings(spec.condition)
        ],
    )
