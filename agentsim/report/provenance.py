"""What was run: each condition as resolved, its versions, account, models, tokens and times."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pandas as pd
import yaml

from agentsim.analysis.foreign import one_line, verbatim
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.log.records import RunStarted

__all__ = ["Condition", "accounts_of", "conditions", "pairs", "ranges"]


MAX_SEEDS: Final = 20
"""More seeds of a condition are stated as ranges."""


DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's writer, where it is there, takes a tenth of the time."""


class Condition(NamedTuple):
    """One condition of a study and everything except the seed that decided its runs."""

    name: str
    seeds: str
    yaml: str
    """The condition as resolved from the scenario."""
    facts: tuple[tuple[str, str], ...]
    """Versions, account, models, tokens and times, as names and values."""


def conditions(study: Study) -> Iterator[Condition]:
    """Yield every condition with a readable log, as it was run."""
    runs = study.runs.assign(label=study.conditions(study.runs))
    by_key, replies = study.runs.set_index(KEY), study.replies.set_index(KEY)
    for name, condition_runs in runs.groupby("label", sort=False):
        keys = [key for key in condition_runs[KEY].itertuples(index=False, name=None) if key in study.started]
        variants: dict[str, list[tuple[str, str]]] = {}
        for key in keys:
            started = study.started[key]
            rules = json.dumps(started.condition)  # in its own order, as it will be shown
            same = json.dumps([rules, started.versions, started.accounts, started.prompts_digest], sort_keys=True)
            variants.setdefault(same, []).append(key)
        for group in variants.values():
            yield _described(study, str(name), group, by_key.loc[group], replies)


def _described(
    study: Study, name: str, keys: Sequence[tuple[str, str]], runs: pd.DataFrame, replies: pd.DataFrame
) -> Condition:
    first = study.started[keys[0]]
    run_replies = replies.loc[replies.index.isin(keys)]
    answered = run_replies["model_answered"].dropna().value_counts()
    times = run_replies["time"].dropna()
    n_silent = len(run_replies) - int(answered.sum())
    said_by = [f"{one_line(model)} ({count:,} replies)" for model, count in answered.items()]
    said_by += [f"{n_silent:,} replies did not name one"] if n_silent else []
    is_scripted = all(player.startswith("scripted/") for player in first.players)
    facts = (
        ("model asked for", one_line(" + ".join(first.players))),
        ("models that answered", "none: a scripted policy" if is_scripted else "; ".join(said_by) or "none yet"),
        ("tokens", "none: no model was called" if is_scripted else _tokens(runs)),
        ("cost", "none: no model was called" if is_scripted else _cost(runs)),
        (
            "replies",
            f"{len(run_replies):,}, from {times.min():%Y-%m-%d %H:%M} to {times.max():%Y-%m-%d %H:%M} UTC"
            if len(times)
            else f"{len(run_replies):,}",
        ),
        *accounts_of(first),
        ("versions", pairs(first.versions)),
        ("prompt set", f"SHA-256 {one_line(first.prompts_digest)}"),
    )
    text = yaml.dump(first.condition, Dumper=DUMPER, sort_keys=False, allow_unicode=True, width=100)
    seeds = (
        ranges(sorted(study.started[key].seed for key in keys))
        if len(keys) > MAX_SEEDS
        else ", ".join(str(study.started[key].seed) for key in keys)
    )
    return Condition(one_line(name), seeds, verbatim(text), facts)


def ranges(seeds: Sequence[int]) -> str:
    """Return sorted seeds, comma-separated, those that follow each other as a range."""
    begins = [place for place, seed in enumerate(seeds) if not place or seed - seeds[place - 1] > 1]
    ends = [*begins[1:], len(seeds)]
    parts = ((seeds[begin], seeds[end - 1]) for begin, end in zip(begins, ends, strict=True))
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in parts)


def accounts_of(started: RunStarted) -> list[tuple[str, str]]:
    """Name the account of each model, without its key."""
    if len(started.players) > 1 and started.accounts:
        return [
            (f"account of {one_line(player)}, without its key", pairs(account))
            for player, account in started.accounts.items()
        ]
    return [("account, without its key", pairs(started.account_of(None)) or "none")]


TOKENS: Final = {
    "input_tokens": "in",
    "cached_tokens": "of these from a cache",
    "output_tokens": "out",
    "reasoning_tokens": "of these hidden reasoning",
}


def _tokens(runs: pd.DataFrame) -> str:
    """Return the tokens of some runs; a kind is known only if every reply states it."""
    known = {column: int(runs[column].sum()) for column in TOKENS if runs[column].notna().all()}
    parts = [
        f"{known[column]:,} {name}" if column in known else f"{name}: not known" for column, name in TOKENS.items()
    ]
    return ", ".join(parts) if known else "not known: the servers did not count them for every reply"


def _cost(runs: pd.DataFrame) -> str:
    """Return the cost of some runs in dollars, and how many runs have no known price."""
    known = runs["cost_usd"].dropna()
    if known.empty:
        return "unpriced: no price of these models is known"
    unpriced = len(runs) - len(known)
    more = f", and {unpriced} runs of unknown cost" if unpriced else ""
    return f"US$ {known.sum():,.2f} at the prices logged with the runs{more}"


def pairs(values: Mapping[str, Any]) -> str:
    """Return names and values in one line; names without a value are left out."""
    return ", ".join(f"{one_line(name)} {one_line(value)}" for name, value in values.items() if value is not None)
