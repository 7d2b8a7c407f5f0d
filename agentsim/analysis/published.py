"""The published curves of the experiment, for comparison with a study."""

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

    Columns: model; punishment (boolean: runs with costly punishment); run, from 0; generation, from 1;
    mean_final_resources (units). The rules are `RULES`. Source: `SOURCE`.
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
"""Settings in which runs may differ and still be comparable with the published ones: players, length and wording, and
those in which the paper and its code differ without a visible effect on the figures. A difference in any other logged
setting counts."""
MAXIMUM: Final = 15_360.0
"""The highest mean final resources (units) that the published runs' schedule allows."""
ENDOWMENT: Final = 10.0
SUMMARY: Final = ["label", "generation", "n", "mean", "standard_error", "geometric_mean", "low", "high"]


def published_like(study: Study) -> pd.DataFrame:
    """Return the published runs under the schedule and rules that models of this study played under.

    Only of published models that play in the study, or of all three if none of them does. Columns: those of `curves`,
    and `label`. No rows if no model played under exactly these rules; then use `published_unlike`.
    """
    kinds = [(_punishes(started), started) for started in _modelled(study) if not rule_differences(started.condition)]
    return _of(kinds)


def published_unlike(study: Study) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return published runs as efficiency, for comparison with models under other rules; and the differences of rules.

    Units cannot be compared if schedules or rules differ. Efficiency, log(score/endowment) / log(maximum/endowment),
    corrects for the maximum that a schedule and a multiplier allow; the other differences have to be stated beside it.
    Columns: those of `curves`, `label` and `efficiency`. No rows and no differences if all models played under the
    published rules.
    """
    others = [
        (differences, started) for started in _modelled(study) if (differences := rule_differences(started.condition))
    ]
    frame = _of([(_punishes(started), started) for _, started in others])
    heights = np.log(frame["mean_final_resources"].astype(float) / ENDOWMENT) / np.log(MAXIMUM / ENDOWMENT)
    return frame.assign(efficiency=heights), tuple(
        dict.fromkeys(text for differences, _ in others for text in differences)
    )


def rule_differences(condition: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the rules and settings in which a logged condition differs from the published runs, one phrase for each.

    A setting that is not in the log has the default of this version. A rule of another kind is one difference, whatever
    its settings. A setting that this version does not know is a difference.
    """
    rules, theirs = (_rules(condition_or_published) for condition_or_published in (condition, _nested(RULES)))
    cost, effect = rules.pop("game.punishment.cost", None), rules.pop("game.punishment.effect", None)
    differences = []
    if cost is not None and effect != 2 * cost:
        differences.append(f"game.punishment.effect {_told(effect)} (published: {_told(2 * cost)})")
    kinds = {path.removesuffix("kind") for path in {*rules, *theirs} if path.endswith(".kind")}
    other = {prefix for prefix in kinds if rules.get(f"{prefix}kind") != theirs.get(f"{prefix}kind")}
    for path in dict.fromkeys([*theirs, *rules]):
        is_told = any(path.startswith(prefix) and path != f"{prefix}kind" for prefix in other)
        if rules.get(path) != theirs.get(path) and not is_told:
            differences.append(f"{path} {_told(rules.get(path))} (published: {_told(theirs.get(path))})")
    return tuple(differences)


def _rules(condition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a condition's rules by dotted path, with today's defaults, without the `FREE` ones."""
    known: dict[str, Any] = {}
    with suppress(ValidationError):  # rules of another version stay as they were logged
        known = SocietyRules.logged(condition).model_dump(mode="json")
    return {path: value for path, value in _flat({**condition, **known}) if not _is_free(path)}


def _nested(paths: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, value in paths.items():
        *outer, last = path.split(".")
        inner = nested
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return nested


def _told(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "none" if value is None else f"{value:g}" if is_number else str(value)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting by its dotted path; null settings are left out."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{key}.")
        elif inner is not None:
            yield f"{prefix}{key}", inner


def _is_free(path: str) -> bool:
    return any(path == free or path.startswith(f"{free}.") for free in FREE)


def _modelled(study: Study) -> list[RunStarted]:
    """Return the `run_started` records of the runs that one language model plays."""
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
    """Return the published runs that match in punishment, of the same models or of all three."""
    frame = curves()
    names = {started.players[0].rpartition("/")[2] for _, started in kinds}
    frame = frame[frame["punishment"].isin({is_punishing for is_punishing, _ in kinds})]
    if names & set(frame["model"]):
        frame = frame[frame["model"].isin(names)]
    label = "published: " + frame["model"]
    return frame.assign(label=label.mask(frame["punishment"], label + ", punishment")).reset_index(drop=True)


def published_summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return published runs by label and generation.

    Columns: label, generation; `n` runs; `mean` and `standard_error` over runs, as in the paper; and
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
