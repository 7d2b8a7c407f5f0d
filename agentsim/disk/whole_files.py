"""Files that people read beside results: folders are made, files are replaced whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from agentsim.errors import AgentsimError

__all__ = ["make_folder", "replace_whole"]


def make_folder(folder: Path) -> None:
    """Make a folder to write into, unless it exists.

    Raises:
        AgentsimError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AgentsimError(f"{folder}: cannot be written to ({error.strerror}); name another with -o") from error


def replace_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it to `path`: a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)  # otherwise a link that somebody left there would be followed
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
