"""The study as columns for the browser: each string once, numbers to six digits, replies cut to a stated length."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from agentsim.analysis.cooperation import cooperation
from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.labels import labels_of
from agentsim.analysis.measures.sensitivity import sensitivity
from agentsim.core.keys import StrategyKey

__all__ = ["DIGITS", "MAX_STRATEGY", "browser_data", "embedded", "labels", "said"]

DIGITS: Final = 6
"""Significant digits of numbers in the page; the dataframes have all digits."""
MAX_STRATEGY: Final = 20_000
"""The most characters of a strategy in the page; the log has all of them."""
MAX_WORDS: Final = 3_000_000
"""The most characters of all replies together."""
CUTS: Final = (8_000, 4_000, 2_000, 1_000, 500, 250, 120, 60, 0)
"""Candidates for the most characters of one reply: the first that keeps to MAX_WORDS is used."""


def labels(study: Study) -> dict[tuple[str, str], str]:
    """Return each run's name as the page shows it; with its study's name if there are several studies."""
    is_one = len(study.folders) == 1
    keys = study.runs[KEY].itertuples(index=False, name=None)
    return {(name, run): run if is_one else f"{name}/{run}" for name, run in keys}


def embedded(data: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the script element around it, whatever the data contain."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":  # outside of strings JSON has none of these
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def browser_data(
    study: Study, bands: pd.DataFrame | None = None, *, all_conditions: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return the data of the page's script, ready for JSON; `bands` is the result of `sensitivity` if already known.

    `all_conditions`: the names of all conditions, where the study is an excerpt.

    `texts` holds each different string once; columns of strings hold indices into it. Frames are columns of equal
    length, with `run` as an index into `runs`. `cut` is the most characters of a reply that are kept.
    """
    texts = _Texts()
    names = labels(study)
    bands = sensitivity(study) if bands is None else bands
    places = {key: place for place, key in enumerate(names)}
    words, cut = _words(study, texts)
    conditions = study.conditions(study.runs).astype(str)
    called = labels_of(conditions if all_conditions is None else all_conditions)
    scored = study.scored
    spoken = cooperation(study)
    generations = scored.merge(bands, on=GENERATION, how="left", suffixes=("", "_known"))
    generations["n_lost"] = generations["n_lost"].fillna(generations["n_missed"] + generations["n_replaced"])
    agent_runs = _places(study.agents, places)
    met = study.encounters.sort_values([*GENERATION, "game", "round"], kind="stable")
    acts = _places(met, places)
    written = study.gossip.dropna(subset=["note"])
    done = _with_holdings(study).sort_values([*GENERATION, "game", "round"], kind="stable")
    moves = _places(done, places)
    spoke = study.messages.sort_values([*GENERATION, "game", "round", "turn"], kind="stable")
    about = (str(key).removesuffix("/note") for key in written["key"])
    notes = dict(zip(zip(_places(written, places), about, strict=True), written["note"], strict=True))
    return {
        "cut": cut,
        "runs": [
            {
                "label": one_line(names[row["study"], row["run"]]),
                "condition": one_line(called[condition]),
                "model": None if pd.isna(row["model"]) else one_line(row["model"]),
                "status": row["status"],
            }
            for row, condition in zip(study.runs.to_dict("records"), conditions, strict=True)
        ],
        "generations": {
            "run": _places(scored, places),
            **_numbers(generations, "generation", "mean_final_resources", spoken.column, "n_lost", "n_encounters"),
            **_numbers(generations, "fraction_low", "fraction_high", "resources_low", "resources_high"),
        },
        "agents": {
            "run": agent_runs,
            **_strings(study.agents, texts, "agent", "parents", "persona"),
            "strategy": [texts.place(_cut(text, MAX_STRATEGY)) for text in study.agents["strategy"]],
            "words": [
                words.get((run, str(StrategyKey(born, agent))), [])
                for run, born, agent in zip(agent_runs, study.agents["born"], study.agents["agent"], strict=True)
            ],
            **_numbers(study.agents, "generation", "born", "score", "survived", spoken.column),
            **_numbers(study.agents, "n_decisions", "n_missed"),
        },
        "encounters": {
            "run": acts,
            **_strings(met, texts, "donor", "recipient", "act", "problem", "replaced_by"),
            "words": [words.get(key, 0) for key in zip(acts, met["key"], strict=True)],
            "note": [texts.place(_cut(notes.get(key), MAX_STRATEGY)) for key in zip(acts, met["key"], strict=True)],
            **_numbers(met, "generation", "game", "round", "attempts", "amount", "fraction", "removed"),
            **_numbers(met, "intended"),
            **_numbers(met, "donor_before", "recipient_before"),
        },
        "moves": {
            "run": moves,
            **_strings(done, texts, "stage", "actor", "role", "option", "aimed", "intended", "problem", "replaced_by"),
            "words": [words.get(key, 0) for key in zip(moves, done["key"], strict=True)],
            **_numbers(done, "generation", "game", "round", "attempts", "amount", "level", "before", "after"),
        },
        "messages": {
            "run": _places(spoke, places),
            **_strings(spoke, texts, "author", "recipients"),
            "message": [texts.place(_cut(text, MAX_STRATEGY)) for text in spoke["message"]],
            **_numbers(spoke, "generation", "game", "round", "turn"),
        },
        "spoken": {"column": spoken.column, "name": spoken.name},
        "texts": texts.all,
    }


def _with_holdings(study: Study) -> pd.DataFrame:
    """Return the moves with what the actor held before and after the encounter."""
    turn = [*GENERATION, "game", "round", "actor"]
    held = study.outcomes.rename(columns={"agent": "actor"})[[*turn, "before", "after"]].drop_duplicates(turn)
    return study.moves.merge(held, on=turn, how="left")


class _Texts:
    """Strings by index; index 0 stands for a missing string."""

    def __init__(self) -> None:
        self.all: list[str | None] = [None]
        self._places: dict[str, int] = {}

    def place(self, text: Any) -> int:
        if text is None or text is pd.NA:
            return 0
        if text not in self._places:
            self._places[text] = len(self.all)
            self.all.append(text)
        return self._places[text]


def _words(study: Study, texts: _Texts) -> tuple[dict[tuple[int, str], list[int]], int]:
    """Return the replies to each question, in the order of attempts, and how many characters of each are kept."""
    places = {key: place for place, key in enumerate(labels(study))}
    replies = study.replies.assign(text=said(study.replies))
    lengths = replies["text"].str.len()
    cut = next(cut for cut in CUTS if lengths.clip(upper=cut).sum() <= MAX_WORDS)
    replies_by_key: dict[tuple[int, str], list[int]] = {}
    ordered = replies.sort_values("attempt", kind="stable")
    for name, run, key, text in ordered[[*KEY, "key", "text"]].itertuples(index=False, name=None):
        replies_by_key.setdefault((places[name, run], key), []).append(texts.place(_cut(text, cut)))
    return replies_by_key, cut


def said(replies: pd.DataFrame) -> pd.Series[str]:
    """Return the text of each reply; the model's thoughts come first, marked as such."""
    thought = replies["thoughts"].notna()
    return replies["text"].mask(thought, "[thoughts] " + replies["thoughts"] + "\n\n[reply] " + replies["text"])


def _cut(text: Any, max_chars: int) -> Any:
    """Truncate untrusted text and say by how much."""
    if not isinstance(text, str) or len(text) <= max_chars:
        return text
    return f"{text[:max_chars]} […{len(text) - max_chars:,} more characters]"


def _places(frame: pd.DataFrame, places: Mapping[tuple[str, str], int]) -> list[int]:
    (study, names), (run, runs) = (pd.factorize(frame[column]) for column in KEY)
    pairs, rows = np.unique(study * len(runs) + run, return_inverse=True)
    indices = [places[names[pair // len(runs)], runs[pair % len(runs)]] for pair in pairs.tolist()]
    return [indices[row] for row in rows.tolist()]


def _strings(frame: pd.DataFrame, texts: _Texts, *columns: str) -> dict[str, list[int]]:
    return {column: _each(frame[column], texts.place) for column in columns}


def _each(values: pd.Series[Any], of: Callable[[Any], Any]) -> list[Any]:
    """Return what `of` makes of each value, asked once for each different one; it gets None for what is missing."""
    rows, different = pd.factorize(values)
    made = [*(of(value) for value in different.tolist()), of(None)]  # a missing value is at -1
    return [made[row] for row in rows.tolist()]


def _numbers(frame: pd.DataFrame, *columns: str) -> dict[Hashable, list[Any]]:
    return {column: _each(frame[column], _rounded) for column in columns}


def _rounded(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
