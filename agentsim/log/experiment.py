"""What makes runs one experiment: one condition for each name, and the same rules except for what is varied.

Works on the first records of logs, both those on the disk and those of runs that have yet to begin.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from agentsim.log.records import RunStarted
from agentsim.scenario.names import condition_of

__all__ = [
    "Clash",
    "Difference",
    "clash",
    "difference",
    "first_difference",
    "mixed",
    "price_difference",
    "renamed",
]

TEMPLATES: Final = "the templates of the prompt set"
PLUGIN: Final = "the plug-in "
ADDRESS: Final = ("base_url", "dialect")
"""The settings of an account that say who answers. Its limits may change from one sitting to the next."""
PRICE: Final = ("price",)
"""The settings of an account that say what answers cost. They may differ between runs, but not within one."""
COMPARED: Final = ("condition", "probe", "prompts_digest", "plugins", "accounts")
"""All that is compared of runs. Thousands that are alike in it need not be compared bit by bit."""
ABSENT: Final = "not set"
MAX_NAMED: Final = 6
"""The most runs that a sentence names; it counts the rest."""


class Difference(NamedTuple):
    """One place in which two runs differ."""

    path: str
    first: str
    second: str

    @property
    def was_and_is(self) -> str:
        """The difference as a sentence about a log, where `second` is what is wanted now."""
        if self.path == TEMPLATES:
            return "the templates of its prompt set have changed since its log was begun"
        if self.path.startswith(PLUGIN):
            return f"{self.path} has changed since its log was begun"
        return f"its log was begun under another scenario: {self.path} was {self.first!r} and is {self.second!r}"


class Clash(NamedTuple):
    """Two runs that cannot be of one experiment."""

    first: str
    """The name of the run that comes first in the order given."""
    second: str
    difference: Difference


def clash(runs: Sequence[tuple[str, RunStarted]]) -> Clash | None:
    """Return the first two of these named runs that cannot be of one experiment; `None` if all can.

    Runs of one condition, known by their names, may differ only in the seed. Conditions may differ only in who plays
    and in what all of them vary, and no two may be the same.
    """
    conditions: dict[str, tuple[str, RunStarted]] = {}
    for name, run in runs:
        first, other = conditions.setdefault(condition_of(name), (name, run))
        if mismatch := difference(other, run):
            return Clash(first, name, mismatch)
    known: dict[str, str] = {}
    for name, run in conditions.values():
        first, other = next(iter(conditions.values()))
        if mismatch := _of_rules(other, run):
            return Clash(first, name, mismatch)
        same = known.setdefault(_canonical([_decided(run), run.templates_read]), name)
        if same != name:
            return Clash(same, name, Difference("the name of this condition", condition_of(same), condition_of(name)))
    return None


def renamed(begun: Mapping[str, RunStarted], starts: Sequence[RunStarted]) -> Clash | None:
    """Return a run that has begun and one that has not whose conditions differ only in their players' names.

    Only conditions that a scenario no longer has can have been renamed, and only into conditions that have not begun.
    """
    now, then = {condition_of(start.run) for start in starts}, {condition_of(run) for run in begun}
    old = {_canonical(_nameless(run)): name for name, run in begun.items() if condition_of(name) not in now}
    for start in starts if old else ():
        name = old.get(_canonical(_nameless(start)))
        if name is not None and condition_of(start.run) not in then:
            what = Difference("the name of this condition", condition_of(name), condition_of(start.run))
            return Clash(name, start.run, what)
    return None


def _nameless(run: RunStarted) -> list[Any]:
    content = _decided(run)
    players = content.get("players")
    listed = players if isinstance(players, list) else [players]
    plain = [{key: value for key, value in one.items() if key != "name"} for one in listed if isinstance(one, dict)]
    return [{**content, "players": plain}, run.templates_read]


def mixed(folder: Path, runs: Mapping[str, RunStarted]) -> str | None:
    """Return why a study's runs are not one experiment, and what to do; `None` if they are."""
    clashing = clash(list(runs.items()))
    if clashing is None:
        return None
    is_of_rules = _of_rules(runs[clashing.first], runs[clashing.second]) is not None
    sides = []
    for side in (clashing.first, clashing.second):
        names = [name for name in runs if _is_like(runs, name, side, is_of_rules=is_of_rules)]
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        sides.append(", ".join(names[:MAX_NAMED]) + more)
    path, first, second = clashing.difference
    what = f"{path} is {first!r} in {sides[0]}, but {second!r} in {sides[1]}"
    if path == TEMPLATES:
        what = f"{path} are not the same in {sides[0]} as in {sides[1]}"
    return (
        f"{folder}: holds runs of two experiments, which must not be pooled: {what}; move the runs of one experiment"
        f" to another folder, such as {folder.parent / (folder.name + '-other')}, and read each by itself"
    )


def _is_like(runs: Mapping[str, RunStarted], name: str, side: str, *, is_of_rules: bool) -> bool:
    if is_of_rules:
        return _of_rules(runs[name], runs[side]) is None
    return condition_of(name) == condition_of(side) and difference(runs[name], runs[side]) is None


def difference(first: RunStarted, second: RunStarted) -> Difference | None:
    """Return the first difference, other than the seed, between two runs of one condition; `None` if there is none.

    The prompt set's name and templates count, but not its folder; of accounts only who answers, as far as logged.
    """
    if first.probe is None and all(getattr(first, name) == getattr(second, name) for name in COMPARED):
        return None
    if mismatch := first_difference(_decided(first), _decided(second)):
        return mismatch
    if mismatch := _of_templates(first, second) or first_difference(*_plugins(first, second)):
        return mismatch
    return first_difference(*_accounts(first, second, ADDRESS))


def price_difference(logged: RunStarted, now: RunStarted) -> Difference | None:
    """Return the first price that changed since a run was begun; its replies would be counted at two prices."""
    return first_difference(*_accounts(logged, now, PRICE))


def first_difference(first: Any, second: Any, *, path: str = "") -> Difference | None:
    """Return the first place in which two plain values differ; `None` if they are equal."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in (*first, *(key for key in second if key not in first)):
            if first.get(key) != second.get(key) or (key in first) != (key in second):
                pair = (value.get(key, ABSENT) for value in (first, second))
                return first_difference(*pair, path=f"{path}.{key}" if path else str(key))
        return None
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        for index, (old, new) in enumerate(zip(first, second, strict=True)):
            if old != new:
                return first_difference(old, new, path=f"{path}.{index}")
        return None
    return Difference(path, str(first)[:200], str(second)[:200])


def _decided(run: RunStarted) -> dict[str, Any]:
    """Return what decides the questions, without a society's seed; a probe's seed counts, because it has only one."""
    content = {**run.condition, "prompts": _prompts_name(run)}
    return content if run.probe is None else {"seed": run.seed, **content, "probe": run.probe}


def _plugins(first: RunStarted, second: RunStarted) -> tuple[dict[str, str], dict[str, str]]:
    """Return the digests of the plug-ins that both runs use, by name."""
    first_digests, second_digests = (
        {f"{PLUGIN}{plugin.name!r}": plugin.digest for plugin in run.plugins} for run in (first, second)
    )
    both = first_digests.keys() & second_digests.keys()
    return {name: first_digests[name] for name in sorted(both)}, {name: second_digests[name] for name in sorted(both)}


def _prompts_name(run: RunStarted) -> str:
    return Path(str(run.condition.get("prompts", "default"))).name


def _accounts(first: RunStarted, second: RunStarted, keys: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return these settings of the accounts of both runs, as far as both logs state them."""
    named_settings = []
    for run, other in ((first, second), (second, first)):
        is_one = len(run.accounts) == 1
        named = {
            f"the account's {key}" if is_one else f"{key} of the account of {label}": _said(
                _shared(account[key], other.accounts[label][key])
            )
            for label, account in run.accounts.items()
            for key in keys
            if account.get(key) is not None and other.accounts.get(label, {}).get(key) is not None
        }
        named_settings.append(named)
    return named_settings[0], named_settings[1]


def _shared(value: Any, other: Any) -> Any:
    """Return a value without what the other cannot say: older logs know no price of writing to a cache."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return {key: part for key, part in value.items() if key in other}
    return value


def _said(value: Any) -> str:
    """Return a setting of an account in the form in which it is compared; a price without its source."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part:g}" for key, part in value.items() if isinstance(part, int | float))
    if isinstance(value, list | tuple):  # servers behind one account, in whatever order
        return ", ".join(sorted(map(_said, value)))
    return str(value).rstrip("/")


# --- rules that all conditions of a study share --------------------------------------------------------------------


def _of_rules(first: RunStarted, second: RunStarted) -> Difference | None:
    """Return the first rule in which two conditions differ although it is not varied, or that only one varies."""
    paths = [sorted(path for path in run.settings if not _covers("players", path)) for run in (first, second)]
    if paths[0] != paths[1]:
        return Difference("what varies", *(", ".join(varying) or "only the players" for varying in paths))
    varied = ("players", *paths[0])
    if mismatch := first_difference(_rules(first, varied), _rules(second, varied)):
        return mismatch
    if mismatch := first_difference(*_plugins(first, second)):
        return mismatch
    is_same_set = not any(_covers(path, "prompts") for path in varied) and _format(first) == _format(second)
    return _of_templates(first, second) if is_same_set else None


def _of_templates(first: RunStarted, second: RunStarted) -> Difference | None:
    """Return the difference in templates, if both runs have players that read them."""
    read, other = first.templates_read, second.templates_read
    return None if read is None or other is None or read == other else Difference(TEMPLATES, read, other)


def _rules(run: RunStarted, varied: Sequence[str]) -> dict[str, Any]:
    leaves = _leaves({**run.condition, "prompts": _prompts_name(run)})
    return {path: value for path, value in leaves if not any(_covers(one, path) for one in varied)}


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _covers(varied: str, path: str) -> bool:
    """Return whether a varied path decides the value at another path."""
    return f"{path}.".startswith(f"{varied}.")


def _format(run: RunStarted) -> str:
    """Return the format of answers, which decides the words of the shipped prompts."""
    players = run.condition.get("players")
    listed = players if isinstance(players, list) else [players]
    return next((str(one["answer_format"]) for one in listed if one and "answer_format" in one), "text")


def _canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))
