"""`agentsim methods`: the sentences and the table that a methods section needs."""

from __future__ import annotations

from rich.console import Console

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Output, Plugins, Studies
from agentsim.cli.telling import folder_for


@command(examples=["methods results/quickstart", "methods results/first results/second -o methods"])
def methods(folders: Studies, output: Output = None, as_json: Json = False, plugin: Plugins = None) -> None:
    """Write what a methods section has to say of a study, from its logs alone."""
    from agentsim.analysis.export import write_csv
    from agentsim.analysis.frames.study import load
    from agentsim.analysis.methods import methods as described
    from agentsim.cli.tables.cells import plain
    from agentsim.disk.whole_files import make_folder, replace_whole
    from agentsim.errors import AgentsimError

    study = load(*folders)
    told = described(study)
    place = folder_for(study, output, "methods")
    make_folder(place)
    text = "".join(f"{sentence}\n" for sentence in told.sentences)
    try:
        replace_whole(place / "methods.txt", lambda path: path.write_text(text, encoding="utf-8"))
        replace_whole(place / "methods.csv", lambda path: write_csv(told.table, path))
    except OSError as error:
        raise AgentsimError(f"{place}: cannot be written to ({error.strerror}); name another with -o") from error
    if as_json:
        files = [place / "methods.txt", place / "methods.csv"]
        print_document("methods", sentences=told.sentences, table=told.table, files=files)
        return
    console = Console()
    for sentence in told.sentences:
        console.print(plain(sentence, max_chars=4000))
    for name in ("methods.txt", "methods.csv"):
        console.print(plain(str(place / name), max_chars=4000), soft_wrap=True)
