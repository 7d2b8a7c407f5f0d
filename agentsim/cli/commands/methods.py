"""`agentsim methods`: the sentences and the tables that a methods section needs."""

from __future__ import annotations

from rich.console import Console

from agentsim.cli.comparing import Bayes, By, Course, Design, Equivalence, Looked, Prereg, Spent, TakeOff, comparison_of
from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Output, Plugins, Studies
from agentsim.cli.telling import folder_for


@command(
    examples=[
        "methods results/quickstart",
        "methods results/scripted-baselines --by condition --equivalence 1.25",
    ]
)
def methods(
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
    """Write what a methods section has to say of a study and of its comparison, from its logs alone."""
    from agentsim.analysis.frames.study import load
    from agentsim.analysis.methods import methods as described
    from agentsim.analysis.result_files import write_methods
    from agentsim.cli.tables.cells import plain
    from agentsim.errors import AgentsimError

    study = load(*folders)
    is_stated = any((by, design, take_off, prereg, look, equivalence, course, bayes))
    try:
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
    except AgentsimError:
        if is_stated:
            raise
        comparison = None  # the sentences then say that nothing was compared
    told = described(study, comparison)
    paths = write_methods(told, folder_for(study, output, "methods"))
    if as_json:
        tables = {"table": told.table, "served": told.served, "tests": told.tests}
        print_document("methods", sentences=told.sentences, **tables, files=paths)
        return
    console = Console()
    for sentence in told.sentences:
        console.print(plain(sentence, max_chars=4000))
    for path in paths:
        console.print(plain(str(path), max_chars=4000), soft_wrap=True)
