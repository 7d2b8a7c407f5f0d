"""The scenarios, notebooks and finished studies that agentsim ships, and copies of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from agentsim.errors import ScenarioError, did_you_mean, quote

__all__ = ["copy", "examples", "files_of", "first_words", "named", "shipped_folder"]

KINDS: Final = {"scenarios": "**/*.yaml", "notebooks": "*.ipynb", "results": "example-*/"}
"""The folders, and what each example in them is."""
EXTENDS: Final = re.compile(r"^extends: *([\w./-]+)", re.MULTILINE)
BESIDE: Final = re.compile(r"\.\./((?:scenarios|results)/[\w./-]+)")
"""What a notebook reads, from its own folder."""


def shipped_folder() -> Path:
    """Return the folder that holds `scenarios`, `notebooks` and `results`: in the wheel, or the repository itself."""
    package = Path(__file__).parent.parent
    inside = package / "examples"
    return inside if inside.is_dir() else package.parent


def examples() -> list[str]:
    """Return the name of every example, such as `scenarios/games/trust.yaml`, in order."""
    root = shipped_folder()
    return [
        path.relative_to(root).as_posix()
        for kind, pattern in KINDS.items()
        for path in sorted((root / kind).glob(pattern))
    ]


def named(name: str, *, among: Sequence[str] | None = None) -> str:
    """Return the example that a name or the end of one means, as `donor-game` or `games/trust.yaml`.

    Raises:
        ScenarioError: there is none, or there are several.
    """
    known = examples() if among is None else among
    plain = {example: re.sub(r"\.(yaml|ipynb)$", "", example) for example in known}
    asked = name.rstrip("/")
    found = [one for one, short in plain.items() if asked in (one, short) or f"/{one}".endswith(f"/{asked}")]
    found = found or [one for one, short in plain.items() if short.endswith(f"/{asked}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ScenarioError(f"{quote(name)} means several examples: {', '.join(found)}; write one of them")
    near = did_you_mean(asked, [short.rpartition("/")[2] for short in plain.values()])
    raise ScenarioError(f"no example is called {quote(name)}{near}; `agentsim examples list` names all")


def first_words(name: str) -> str:
    """Return what an example says of itself, in one line; empty if it says nothing."""
    path = shipped_folder() / name
    if path.suffix == ".yaml":
        found = re.search(r"^description: *(.+)", path.read_text("utf-8"), re.MULTILINE)
    elif path.suffix == ".ipynb":
        found = re.search(r'"# (.+?)(?:\\n)?"', path.read_text("utf-8"))
    else:
        found = re.search(r'"description": "(.+)"', (path / "study.json").read_text("utf-8"))
    return found[1].strip() if found else ""


def files_of(name: str) -> list[Path]:
    """Return the files, from the shipped folder, of an example and of the examples that it reads."""
    root, found, open_ = shipped_folder(), list[Path](), [Path(name)]
    while open_:
        path = open_.pop()
        if (root / path).is_dir():
            open_ += [child.relative_to(root) for child in sorted((root / path).rglob("*")) if _is_file(child)]
        elif path not in found:
            found.append(path)
            open_ += _read_by(root, path)
    return found


def _read_by(root: Path, path: Path) -> Iterator[Path]:
    if path.suffix not in (".yaml", ".ipynb"):
        return
    text = (root / path).read_text("utf-8")
    if path.suffix == ".yaml":
        yield from (path.parent / base for base in EXTENDS.findall(text))
    else:
        yield from (Path(beside) for beside in BESIDE.findall(text) if (root / beside).exists())


def _is_file(path: Path) -> bool:
    return path.is_file() and path.name != "lock" and ".cache" not in path.parts


def copy(names: Sequence[str], folder: Path) -> list[Path]:
    """Copy examples, and what they read, into `folder`, laid out as shipped; return the files that were written.

    Raises:
        ScenarioError: a file there differs from the shipped one, or cannot be written; nothing was overwritten.
    """
    root = shipped_folder()
    files = dict.fromkeys(file for name in names for file in files_of(name))
    for file in files:
        target = folder / file
        if target.exists() and target.read_bytes() != (root / file).read_bytes():
            raise ScenarioError(f"{target}: is there and differs from the example; name another folder with --to")
    written = [folder / file for file in files if not (folder / file).exists()]
    try:
        for target in written:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / target.relative_to(folder), target)
    except OSError as error:
        raise ScenarioError(f"{folder}: cannot be written ({error.strerror}); name another with --to") from error
    return written
