"""`agentsim compare`: final resources of groups of runs, with ratios, intervals and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

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
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(
            help="What groups the runs: model (the default), condition, study or a setting that varies; or player, to"
            " compare the models that share societies.",
            show_default=False,
        ),
    ] = None,
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
    prereg: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option(
            help="A plan that `agentsim prereg` wrote: say of each line whether it is as planned.", metavar="FILE"
        ),
    ] = None,
    look: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(
            help="This is one of several looks, such as 2/3; with --prereg the plan says how many.", metavar="K/N"
        ),
    ] = None,
    spending: Annotated[
        str, typer.Option(help="How looks spend the 5 %: obrien-fleming or pocock; with --prereg as planned.")
    ] = "obrien-fleming",
    equivalence: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option(help="Test also whether groups are equal within this ratio, such as 1.25.", show_default=False),
    ] = None,
    course: Annotated[
        bool, typer.Option("--course", help="Compare whole courses too: area, slope and time to the threshold.")
    ] = False,
    output: Output = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Compare final resources between groups of runs: ratios, intervals and tests."""
    from agentsim.analysis.compare import compare as compared
    from agentsim.analysis.families import look_of
    from agentsim.analysis.figures import efficiency, final_resources, save
    from agentsim.analysis.frames.study import load
    from agentsim.analysis.preregistration import read_prereg
    from agentsim.analysis.result_files import write_comparison
    from agentsim.cli.tables.cells import plain
    from agentsim.cli.tables.comparison import comparison_tables, sensitivity_table
    from agentsim.cli.tables.published import published_table, published_unlike_table

    plan = None if prereg is None else read_prereg(prereg)
    looked = None if look is None else look_of(look, spending)
    study = load(*folders)
    comparison = compared(
        study,
        by=by,
        design=design,  # type: ignore[arg-type] # checked there
        take_off_at=take_off,
        plan=plan,
        look=looked,
        equivalence=equivalence,
        course=course,
    )
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
