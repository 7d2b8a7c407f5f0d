"""Names of conditions, groups and models as figures and pages show them: short, and never cut where they differ."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

__all__ = ["beginning", "labels_of"]

BREAK: Final = re.compile(r"--|: |, |/")
"""Where a name may be parted: a common beginning ends behind one of these."""
LEAST_BEGINNING: Final = 4
"""A shorter common beginning stays: leaving it out would save nothing."""
MAX_CHARS: Final = 60


def labels_of(names: Iterable[str], *, max_chars: int = MAX_CHARS) -> dict[str, str]:
    """Return what each name is called among the others: without what all begin with, and cut where none differ.

    No two names get the same label. Between settings, `--` becomes a comma.
    """
    different = list(dict.fromkeys(str(name) for name in names))
    n = len(beginning(different))
    readable = {name: name[n:].replace("--", ", ") for name in different}
    if len(set(readable.values())) < len(different):
        readable = {name: name[n:] for name in different}
    return _cut(readable, max_chars)


def beginning(names: Collection[str]) -> str:
    """Return what all of two names or more begin with, up to a place where names may be parted; it may be empty."""
    different = set(names)
    if len(different) < 2:
        return ""
    common = _common(different)
    ends = [found.end() for found in BREAK.finditer(common) if all(name[found.end() :] for name in different)]
    return common[: ends[-1]] if ends and ends[-1] >= LEAST_BEGINNING else ""


def _cut(labels: dict[str, str], max_chars: int) -> dict[str, str]:
    """Cut long labels at their end; those that would be alike then, around the place where they differ."""
    ends = {name: _at_end(label, max_chars) for name, label in labels.items()}
    alike: dict[str, list[str]] = {}
    for name, short in ends.items():
        alike.setdefault(short, []).append(name)
    for group in alike.values():
        if len(group) == 1:
            continue
        common = len(_common([labels[name] for name in group]))
        begin = max_chars // 3
        for name in group:
            rest = labels[name][max(begin, common - max_chars // 6) :]
            ends[name] = f"{labels[name][:begin]}…{_at_end(rest, max_chars - begin - 1)}"
    return ends if len(set(ends.values())) == len(labels) else labels


def _common(texts: Collection[str]) -> str:
    first, last = min(texts), max(texts)  # what these two begin with, all do that stand between them
    same = (place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1])
    return first[: next(same, min(len(first), len(last)))]


def _at_end(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
