"""Names of runs: short, readable, unique in their study, and safe as folder names on every system."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

__all__ = ["by_stem", "condition_names", "condition_of", "natural", "run_name", "seed_of"]

MAX_CHARS = 96
"""The longest name without its seed, which adds at most 23 characters."""

SEED: Final = "--seed-"
"""What stands between the name of a run's condition and its seed."""

FILE: Final = re.compile(r"([a-z0-9][a-z0-9_-]*/)(?:\S*[/:])?([^\s/:]+)\.gguf(?!\S)")
"""A model that is named by its file: the account, and the file's stem."""

Settings = Mapping[str, Any]


def by_stem(label: str) -> str:
    """Return a label with model files called by their stems, as `local/phi` for `local//m/phi.gguf`."""
    return FILE.sub(r"\1\2", label)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts names as people do: seed-2 before seed-10."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), "") if n % 2 else (1, 0, part) for n, part in enumerate(parts) if part]


def run_name(condition: str, *, seed: int) -> str:
    """Return the name of a condition's run under a seed, as `gpt-4o--depth-3--seed-0`."""
    return f"{condition}{SEED}{seed}"


def condition_of(run: str) -> str:
    """Return the name of a run's condition: the run's own name without its seed."""
    return run.rpartition(SEED)[0] or run


def seed_of(run: str) -> str:
    """Return what a run's name says of its seed, as `seed-0`."""
    return run.removeprefix(condition_of(run)).lstrip("-") or run


def condition_names(conditions: Sequence[tuple[str, Settings]]) -> list[str]:
    """Return a name for each condition, given as its label and its settings (path -> value), as `gpt-4o--depth-3`.

    The label is that of its players, joined by " + ".

    Names that are not unique in short are all written with numbers of agents, or in long, with the provider and the
    whole paths; if even those are not, a number of hexadecimal digits tells them apart.
    """
    forms: tuple[Callable[[str, Settings], str], ...] = (_short, _counted, _long, _hashed)
    for form in forms:
        names = [form(label, settings) for label, settings in conditions]
        if len(set(names)) == len(names):
            return names
    raise AssertionError("two conditions with the same label and the same settings")


def _short(label: str, settings: Settings) -> str:
    words = [_slug("-".join(part.partition("/")[2] for part in by_stem(label).split(" + ")))]
    for path, value in settings.items():
        if path == "players.model" or (path == "players" and isinstance(value, list | tuple)):
            continue  # the label stands first
        setting = path.rpartition(".")[2]
        if path == "players" and isinstance(value, Mapping):
            words += [_pair(key, part) for key, part in value.items() if key != "model"]
        else:
            words.append(_pair(setting, value))
    return _cut("--".join(words))


def _counted(label: str, settings: Settings) -> str:
    """Return the short name with the number of agents that each player of a varied mixed society plays."""
    players = settings.get("players")
    if not isinstance(players, list | tuple):
        return _short(label, settings)
    counts = ["" if player.get("agents") is None else f" {player['agents']}" for player in players]
    labels = [one + count for one, count in zip(label.split(" + "), counts, strict=True)]
    return _short(" + ".join(labels), settings)


def _long(label: str, settings: Settings) -> str:
    words = [_slug(label)]
    words += [_pair(path, value) for path, value in settings.items() if path != "players.model"]
    return _cut("--".join(words))


def _hashed(label: str, settings: Settings) -> str:
    text = json.dumps([label, settings], sort_keys=True)
    return f"{_short(label, settings)[: MAX_CHARS - 14]}--{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _pair(setting: str, value: Any) -> str:
    return _slug(f"{setting}-{_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        # The kind speaks for itself: pairing-random, punishment-cost-1-effect-2.
        return "-".join(_text(part) if key == "kind" else f"{key}-{_text(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return "-".join(_text(part) for part in value)
    if value is None:
        return "none"
    if isinstance(value, str):
        return value.rstrip("/").rpartition("/")[2] if value.startswith("/") else value
    return str(value).lower()


def _slug(text: str) -> str:
    """Return lower-case letters, digits, '.', '_' and single '-', so that `--` only ever separates."""
    slug = re.sub(r"[^a-z0-9._]+", "-", text.lower())
    return re.sub(r"\.{2,}", ".", slug).strip("-.") or "x"


def _cut(name: str) -> str:
    if len(name) <= MAX_CHARS:
        return name
    return f"{name[: MAX_CHARS - 14].rstrip('-.')}--{hashlib.sha256(name.encode()).hexdigest()[:12]}"
