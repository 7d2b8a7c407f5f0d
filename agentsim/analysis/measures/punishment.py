"""Costly punishment: its frequency, cost and targets."""

from __future__ import annotations

from typing import Final

import pandas as pd

from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.decisions import failed
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures.cooperation import with_records

__all__ = ["punishment", "punishment_summary", "punishment_targets", "who_punishes_whom"]


def punishment(encounters: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation how often donors punished, and its cost to both sides.

    Failed acts do not count as decisions here, whatever was intended.

    Columns: study, run, generation, `n_encounters`, `n_decided` (with a decision), `n_punished`, `rate` (of the
    decided), `spent` and `removed` (units). A spender of x removes 2x at most, never more than its recipient has
    (Vallinder & Hughes 2024).
    """
    sums = _sums(encounters, GENERATION)
    sums["rate"] = (sums["n_punished"] / sums["n_decided"].where(sums["n_decided"] > 0)).astype("Float64")
    return sums[[*GENERATION, "n_encounters", "n_decided", "n_punished", "rate", "spent", "removed"]]


def _sums(encounters: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Count encounters, decisions and punishments by these columns, with the units spent and removed."""
    is_decided = _is_decided(encounters)
    is_punished = (encounters["act"] == "punish").fillna(False).astype(bool) & is_decided
    frame = encounters[keys].assign(
        n_encounters=1,
        n_decided=is_decided.astype(int),
        n_punished=is_punished.astype(int),
        spent=encounters["amount"].where(is_punished, 0.0),
        removed=encounters["removed"].where(is_punished, 0.0),
    )
    return frame.groupby(keys, sort=True).sum().reset_index()


def _is_decided(encounters: pd.DataFrame) -> pd.Series[bool]:
    """Return whether there is a decision that was carried out."""
    return (encounters["act"] != "missing").fillna(False).astype(bool) & ~failed(encounters)


def punishment_targets(encounters: pd.DataFrame, *, split: float = 0.5) -> pd.DataFrame:
    """Return by run how often donors punished recipients who last gave less than `split` of their resources, or more.

    Columns: study, run, `target` (miser, giver, no record), `n_encounters` with such recipients and a decision,
    `n_punished`, `rate`. Punishing givers is antisocial punishment (Herrmann, Thöni & Gächter 2008).
    """
    frame = with_records(encounters)
    frame = frame[_is_decided(frame)]
    record = frame["recipient_record"]
    target = pd.Series("no record", index=frame.index).mask((record < split).fillna(False).astype(bool), "miser")
    frame = frame.assign(target=target.mask((record >= split).fillna(False).astype(bool), "giver"))
    frame["punished"] = (frame["act"] == "punish").astype(int)
    groups = frame.groupby([*KEY, "target"], sort=True)["punished"]
    by_target = groups.agg(n_encounters="size", n_punished="sum").reset_index()
    return by_target.assign(rate=(by_target["n_punished"] / by_target["n_encounters"]).astype("Float64"))


def who_punishes_whom(encounters: pd.DataFrame) -> pd.DataFrame:
    """Return by run and pair of agents how often one punished the other.

    Columns: study, run, `donor` (who punished), `recipient`, `n_encounters` in these roles, `n_decided`
    with a decision, `n_punished`, `spent` and `removed` (units). Only pairs with punishment.
    """
    pairs = _sums(encounters, [*KEY, "donor", "recipient"])
    return pairs[pairs["n_punished"] > 0].reset_index(drop=True)


SUMMARY: Final = ["study", "condition", "n_decided", "n_punished", "rate", "spent", "removed"]
TARGETS: Final = ("miser", "giver", "no record")


def punishment_summary(study: Study) -> pd.DataFrame:
    """Return by condition how often donors punished, its cost to both sides, and its targets.

    Columns: study, condition; `n_decided`, encounters with a decision; `n_punished` and `rate` of these; `spent` and
    `removed` (units); and for each of miser, giver and no_record, the share of encounters with such recipients that was
    punished (`rate_of_miser`, ...; see `punishment_targets`). Only conditions in which donors may punish.
    """
    may = {key for key, run in study.started.items() if run.condition["game"].get("punishment") is not None}
    if study.encounters.empty or not may:
        return pd.DataFrame(columns=SUMMARY)
    runs = study.runs[[(name, run) in may for name, run in study.runs[KEY].itertuples(index=False, name=None)]]
    group = ["study", "condition"]
    whole = punishment(study.encounters).merge(runs[[*KEY, "condition"]], on=KEY)
    sums = whole.groupby(group, sort=True)[["n_decided", "n_punished", "spent", "removed"]].sum()
    sums.insert(2, "rate", (sums["n_punished"] / sums["n_decided"].where(sums["n_decided"] > 0)).astype("Float64"))
    targets = punishment_targets(study.encounters).merge(runs[[*KEY, "condition"]], on=KEY)
    by_target = targets.groupby([*group, "target"])[["n_encounters", "n_punished"]].sum()
    shares = (by_target["n_punished"] / by_target["n_encounters"]).unstack("target").reindex(sums.index)
    for target in TARGETS:
        share = shares[target] if target in shares else pd.Series(pd.NA, index=sums.index)
        sums[f"rate_of_{target.replace(' ', '_')}"] = share.astype("Float64")
    return sums.reset_index()
