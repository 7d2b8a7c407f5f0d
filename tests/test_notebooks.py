"""Every notebook runs from top to bottom, on what it makes itself or on what is shipped."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_the_notebooks_are_there() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {
        "anatomy-of-a-society",
        "compare-base-models",
        "from-plan-to-paper",
        "getting-started",
        "published-results-revisited",
        "theory-and-invasions",
        "theory-in-its-own-units",
    }


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    """One process for all notebooks: each forgets the names of the one before, but need not load the libraries."""
    manager, client = start_new_kernel(startup_timeout=600, kernel_name="python3", cwd=str(FOLDER))
    client.stop_channels()
    yield manager
    manager.shutdown_kernel(now=True)
    manager.context.destroy(linger=0)
    with warnings.catch_warnings():  # a socket that is closed only now is none of the next test's
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_gives_what_it_shows(path: Path, kernel: KernelManager) -> None:
    stored, fresh = (nbformat.read(path, as_version=4) for _ in range(2))  # type: ignore[no-untyped-call]
    forgets = "%reset -f\nimport pandas\npandas.reset_option('^display')"
    fresh.cells.insert(0, nbformat.v4.new_code_cell(forgets))  # type: ignore[no-untyped-call]
    client = NotebookClient(fresh, km=kernel, timeout=1200, startup_timeout=600)
    client.execute()
    assert client.kc is not None
    client.kc.stop_channels()  # the kernel is not the client's own, so it leaves them open
    del fresh.cells[0]
    outputs = [output for cell in fresh.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]  # no warning in anyone's face
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert texts(stored) == texts(fresh)  # the numbers that stand there are those of today's code
    assert "/home/" not in json.dumps(stored) and "/tmp/" not in json.dumps(stored)


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """What its cells show in words and numbers."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [str(output.get("text") or output.get("data", {}).get("text/plain", "")) for output in outputs]
