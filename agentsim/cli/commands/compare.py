"""`agentsim compare`: final resources of groups of runs, with ratios, intervals and tests."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.documents import comparison_parts
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Output, Plugins, Studies
from agentsim.cli.telling import folder_for


@command(
    examples=[
        "compare results/scripted-baselines --by condition",
        "compare results/first results/second --design paired",
    ],
)
def compare(
    folders: Studies,
    by: Annotated[
        str,
        typer.Option(
            help="What groups the runs: model, condition, study or a setting that varies; or player, to compare the"
            " models that share societies."
        ),
    ] = "model",
    design: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(
            help="unpaired: all runs, whatever their seeds (the default); paired: differences between runs with the"
            " same seed. Players are always compared within the societies they share.",
            show_default=False,
        ),
    ] = None,
    take_off: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option(
            "--take-off",
            help="A run has taken off at this efficiency or more: above 0, at most 1; 0.7 by default.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Compare final resources between groups of runs: ratios, intervals and tests."""
    from agentsim.analysis.compare import compare as compared
    from agentsim.analysis.figures import efficiency, final_resources, save
    from agentsim.analysis.frames.study import load
    from agentsim.analysis.result_files import write_comparison
    from agentsim.cli.tables.cells import plain
    from agentsim.cli.tables.comparison import comparison_tables, sensitivity_table
    from agentsim.cli.tables.published import published_table, published_unlike_table

    study = load(*folders)
    stated: dict[str, Any] = {} if take_off is None else {"take_off_at": take_off}
    comparison = compared(study, by=by, design=design, **stated)  # type: ignore[arg-type] # checked there
    place = folder_for(study, output, "comparison")
    paths = [*write_comparison(comparison, place), *save(final_resources(study), place / "final-resources")]
    unlike = published_unlike_table(study)
    paths += save(efficiency(study), place / "efficiency") if unlike else []
    if as_json:
        print_document("compare", **comparison_parts(comparison, study), files=paths)
        return
    console = Console()
    for table in comparison_tables(comparison):
        console.print(table)
    for optional_table in (sensitivity_table(study), published_table(study), unlike):
        if optional_table is not None:
            console.print(optional_table)
    for note in comparison.notes:
        console.print(plain(note, max_chars=1000))
    for path in paths:
        console.print(Text(str(path)), soft_wrap=True)
