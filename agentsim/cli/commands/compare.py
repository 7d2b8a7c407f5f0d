"""`agentsim compare`: final resources of groups of runs, with ratios, intervals and tests."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from agentsim.cli.comparing import Bayes, By, Course, Design, Equivalence, Looked, Prereg, Spent, TakeOff, comparison_of
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
    by: By = None,
    design: Design = None,
    take_off: TakeOff = None,
    prereg: Prereg = None,
    look: Looked = None,
    spending: Spent = "obrien-fleming",
    equivalence: Equivalence = None,
    course: Course = False,
    bayes: Bayes = False,
    output: Output = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Compare final resources between groups of runs: ratios, intervals and tests."""
    from agentsim.analysis.figures import efficiency, final_resources, save
    from agentsim.analysis.frames.study import load
    from agentsim.analysis.result_files import write_comparison
    from agentsim.cli.tables.cells import plain
    from agentsim.cli.tables.comparison import comparison_tables, sensitivity_table
    from agentsim.cli.tables.published import published_table, published_unlike_table

    study = load(*folders)
    comparison = comparison_of(
        study,
        by=by,
        design=design,
        take_off=take_off,
        prereg=prereg,
        look=look,
        spending=spending,
        equivalence=equivalence,
        course=course,
        bayes=bayes,
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
