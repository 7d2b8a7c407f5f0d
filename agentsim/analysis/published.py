"""The published curves of the experiment, to lay under one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from pydantic import ValidationError

from agentsim.analysis.measures.outcomes import geometric_means
from agentsim.core.rules import SocietyRules

if TYPE_CHECKING:
    from agentsim.analysis.frames.study import Study
    from agentsim.log.records import RunStarted

__all__ = [
    "ENDOWMENT",
    "MAXIMUM",
    "RULES",
    "SOURCE",
    "curves",
    "published_like",
    "published_summary",
    "published_unlike",
    "rule_differences",
]

SOURCE: Final = (
    "A. Vallinder & E. Hughes: Cultural Evolution of Cooperation among LLM Agents (2024), arXiv:2412.10270; the runs'"
    " results as released with the paper"
)


def curves() -> pd.DataFrame:
    """Return the published mean final resources of every run and generation: three models, five runs, ten generations.

    Columns: model; punishment (boolean; the models' runs with costly punishment too); run, from 0; generation, from 1;
    mean_final_resources (units). Their rules are `RULES`. Source: `SOURCE`.
    """
    with files("agentsim").joinpath("data/vallinder-hughes-2024.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file)
    kinds = {"model": "string", "punishment": "boolean", "run": "Int64", "generation": "Int64"}
    return frame.astype(kinds | {"mean_final_resources": "Float64"})


RULES: Final[Mapping[str, object]] = {
    "agents": 12,
    "game.kind": "donor",
    "game.rounds": 12,
    "game.endowment": 10,
    "game.multiplier": 2,
    "game.games": 2,
    "pairing.kind": "released",
    "observation.kind": "trace",
    "observation.depth": 3,
    "selection.kind": "top",
    "selection.fraction": 0.5,
    "transmission.kind": "advice",
}
"""The schedule and the rules of the published runs. The figures fit the schedule that was released, not the strict
alternation that the paper describes."""
FREE: Final = (
    "generations",
    "players",
    "prompts",
    "on_invalid",
    "selection.score",
    "transmission.scores",
    "transmission.max_chars",
)
"""Settings in which runs may differ and still be laid over the published ones: who plays, how long, in which words; and
those in which the paper and its code differ without a trace in the figures. Any other one that a log holds is a
difference."""
MAXIMUM: Final = 15_360.0
"""The highest mean final resources (units) that the published runs' schedule allows."""
ENDOWMENT: Final = 10.0
SUMMARY: Final = ["label", "generation", "n", "mean", "standard_error", "geometric_mean", "low", "high"]


def published_like(study: Study) -> pd.DataFrame:
    """Return the published runs of the schedule and rules that models of this study played under, to lay under its own.

    Of the published models that play in the study, or of all three where none of them does. Columns: those of
    `curves`, and `label`. No rows where no model played under just these rules; then `published_unlike`.
    """
    kinds = [(_punishes(started), started) for started in _modelled(study) if not rule_differences(started.condition)]
    return _of(kinds)


def published_unlike(study: Study) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return published runs as efficiency, to lay beside models that played under other rules; and the differences.

    Units do not compare where schedules or rules differ. Efficiency, log(score/endowment) / log(maximum/endowment), at
    least takes out what a schedule and a multiplier allow; that the rest differs has to be said beside it. Columns:
    those of `curves`, `label` and `efficiency`. No rows and no differences where all models played under the
    published rules.
    """
    others = [(found, started) for started in _modelled(study) if (found := rule_differences(started.condition))]
    frame = _of([(_punishes(started), started) for _, started in others])
    heights = np.log(frame["mean_final_resources"].astype(float) / ENDOWMENT) / np.log(MAXIMUM / ENDOWMENT)
    return frame.assign(efficiency=heights), tuple(dict.fromkeys(text for found, _ in others for text in found))


def rule_differences(condition: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in which rules and settings a logged condition differs from the published runs, a phrase each.

    What a log does not hold is as this agentsim has it by default; a rule of another kind is one difference, whatever
    settings of its own it has; settings that this agentsim does not know are differences.
    """
    own, theirs = (_rules(each) for each in (condition, _nested(RULES)))
    cost, effect = own.pop("game.punishment.cost", None), own.pop("game.punishment.effect", None)
    found = []
    if cost is not None and effect != 2 * cost:
        found.append(f"game.punishment.effect {_told(effect)} (published: {_told(2 * cost)})")
    kinds = {path.removesuffix("kind") for path in {*own, *theirs} if path.endswith(".kind")}
    other = {prefix for prefix in kinds if own.get(f"{prefix}kind") != theirs.get(f"{prefix}kind")}
    for path in dict.fromkeys([*theirs, *own]):
        is_told = any(path.startswith(prefix) and path != f"{prefix}kind" for prefix in other)
        if own.get(path) != theirs.get(path) and not is_told:
            found.append(f"{path} {_told(own.get(path))} (published: {_told(theirs.get(path))})")
    return tuple(found)


def _rules(condition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a condition's rules by dotted path, with today's defaults, without those that are free."""
    known = {key: value for key, value in condition.items() if key in SocietyRules.model_fields}
    with suppress(ValidationError):  # rules of another agentsim stay as they were logged
        known = SocietyRules.model_validate(known).model_dump(mode="json")
    return {path: value for path, value in _flat({**condition, **known}) if not _is_free(path)}


def _nested(paths: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, value in paths.items():
        *outer, last = path.split(".")
        inner = found
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return found


def _told(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "none" if value is None else f"{value:g}" if is_number else str(value)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting by its dotted path; one that is null is as one that is not there."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{key}.")
        elif inner is not None:
            yield f"{prefix}{key}", inner


def _is_free(path: str) -> bool:
    return any(path == free or path.startswith(f"{free}.") for free in FREE)


def _modelled(study: Study) -> list[RunStarted]:
    """Return the beginnings of the runs that one language model plays."""
    return [
        started
        for started in study.started.values()
        if len(started.players) == 1
        and not started.players[0].startswith("scripted/")
        and started.condition.get("game", {}).get("kind") == RULES["game.kind"]
    ]


def _punishes(started: RunStarted) -> bool:
    return started.condition["game"].get("punishment") is not None


def _of(kinds: Sequence[tuple[bool, RunStarted]]) -> pd.DataFrame:
    """Return the published runs with or without punishment, as these were, of the same models or of all three."""
    frame = curves()
    names = {started.players[0].rpartition("/")[2] for _, started in kinds}
    frame = frame[frame["punishment"].isin({is_punishing for is_punishing, _ in kinds})]
    if names & set(frame["model"]):
        frame = frame[frame["model"].isin(names)]
    label = "published: " + frame["model"]
    return frame.assign(label=label.mask(frame["punishment"], label + ", punishment")).reset_index(drop=True)


def published_summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return published runs by label and generation.

    Columns: label, generation; `n` runs; `mean` and `standard_error` over runs, as the paper gives them; and
    `geometric_mean` with `low` and `high`, one standard error of the logarithm around it (all in units).
    """
    if runs.empty:
        return pd.DataFrame(columns=SUMMARY)
    groups = runs.groupby(["label", "generation"], sort=True)["mean_final_resources"]
    plain = groups.agg(mean="mean", standard_error="sem").reset_index()
    logs = geometric_means(runs.rename(columns={"label": "condition"})).rename(
        columns={"condition": "label", "mean": "geometric_mean"}
    )
    return plain.merge(logs, on=["label", "generation"])[SUMMARY]
