"""The map in docs/architecture.md names each room, and each folder of modules in it."""

from __future__ import annotations

import re
from pathlib import Path

import agentsim

PACKAGE = Path(agentsim.__file__).parent


def test_the_map_names_each_room_and_each_folder_of_it() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"^    (\w+) {2,}(\S.*(?:\n {19}\S.*)*)", page, re.MULTILINE))
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert named.keys() - {"errors"} == rooms
    for path in PACKAGE.glob("*/*/__init__.py"):
        room, folder = path.relative_to(PACKAGE).parts[:2]
        assert f"{folder}/" in named[room], f"{room}/{folder}"
