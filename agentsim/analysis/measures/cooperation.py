"""Giving: how much, and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.decisions import failed, own_fraction

__all__ = ["conditional_slope", "discrimination", "giving_by_record", "mean_fraction", "with_records"]

Floats: TypeAlias = npt.NDArray[np.float64]

GAME: Final = [*GENERATION, "game"]
MIN_ENCOUNTERS: Final = 8
"""The fewest encounters with a known record from which a slope is computed."""


def mean_fraction(encounters: pd.DataFrame, *, by: Sequence[str] = GENERATION) -> pd.DataFrame:
    """Return the mean fraction of its resources that a donor gave: Σ amount/donor_before / n.

    Only gifts that the donor decided itself count. Punishments, unreadable decisions, answers replaced by the
    scenario's fallback, failed acts and donors with nothing to give are not gifts of 0 and are left out. Columns: those
    of `by`; `mean_fraction` (0 to 1); `n_gifts`, its number of gifts; `n_encounters`. Source: Vallinder & Hughes 2024.
    """
    keys = list(by)
    given = encounters.assign(own=own_fraction(encounters))
    groups = given.groupby(keys, sort=True)["own"]
    frame = groups.agg(mean_fraction="mean", n_gifts="count", n_encounters="size").reset_index()
    return frame.astype({"mean_fraction": "Float64", "n_gifts": "Int64", "n_encounters": "Int64"})


def with_records(encounters: pd.DataFrame) -> pd.DataFrame:
    """Add to each encounter what its donor was shown about its recipient.

    `recipient_record`: the fraction that the recipient gave when it was last donor in this game; `partner_record`: the
    record that the partner of that act had at that moment. Under the rule's `delay` only acts that had become known
    count. A record is missing if there is no such act yet, if the rule shows none, if chance kept the donor uninformed
    (see `analysis.sight`), or if the act was not a gift (a punishment, unreadable, replaced, or nothing to give). A
    failed act is a record of 0, because nothing was seen to be given. Frames without the columns that
    `with_sight` adds are treated as those of a trace without delay. Misperceptions are not in the log: records are
    true. Rows keep their order.
    """
    if "recipient_record" in encounters:  # already computed, from more encounters than these
        return encounters
    frame = encounters.reset_index(drop=True)
    fractions = own_fraction(frame).to_numpy(dtype=float, na_value=np.nan)
    if frame.empty:  # pandas merges no empty frames of texts
        nothing = {
            name: pd.array([], dtype="Float64") for name in ("own_fraction", "recipient_record", "partner_record")
        }
        return frame.assign(**nothing)
    games = frame.groupby(GAME, sort=False).ngroup().to_numpy()
    names = pd.concat([frame["donor"], frame["recipient"]]).astype(object)
    donors, recipients = np.split(pd.factorize(names)[0], 2)
    acts = pd.DataFrame({"game": games, "agent": donors, "round": frame["round"].astype("int64")})
    acts["row"] = np.arange(len(frame))
    asks = acts.assign(agent=recipients).rename(columns={"row": "asked"})
    shown = np.where(failed(frame), frame["fraction"].to_numpy(dtype=float, na_value=np.nan), fractions)
    last = _last(asks, acts)
    record = at_once = _at(last, shown)
    if "shown_delay" in frame:
        delay = frame["shown_delay"].to_numpy(dtype=np.int64)
        last = _last(asks.assign(round=asks["round"] - delay), acts) if delay.any() else last
        n_shown = frame["shown_records"].to_numpy() * frame["was_informed"].to_numpy(dtype=bool)
        record = np.where(n_shown >= 1, _at(last, shown), np.nan)
        partner = np.where(n_shown >= 2, _at(last, at_once), np.nan)
    else:
        partner = _at(last, at_once)
    return frame.assign(
        own_fraction=pd.array(fractions, dtype="Float64"),
        recipient_record=pd.array(record, dtype="Float64"),
        partner_record=pd.array(partner, dtype="Float64"),
    )


def _last(asks: pd.DataFrame, acts: pd.DataFrame) -> Floats:
    """Return, for each observation of an agent, the row of its last act before that round of the game; NaN if none."""
    last_acts = pd.merge_asof(
        asks.sort_values("round", kind="stable"),
        acts.sort_values("round", kind="stable"),
        on="round",
        by=["game", "agent"],
        allow_exact_matches=False,
    )
    return last_acts.sort_values("asked")["row"].to_numpy(dtype=float)


def _at(rows: Floats, values: Floats) -> Floats:
    """Return the values at these rows; NaN where there is no row."""
    if not len(values):
        return np.full(len(rows), np.nan)
    is_known = ~np.isnan(rows)
    return np.where(is_known, values[np.where(is_known, rows, 0).astype(np.int64)], np.nan)


def giving_by_record(encounters: pd.DataFrame, *, n_bins: int = 5) -> pd.DataFrame:
    """Return the mean fraction given by the recipient's record, in bins of equal width from 0 to 1.

    Columns: study, run; `record_low`, `record_high` of the bin, which includes its upper end (the first also 0);
    `mean_fraction`; `n_gifts`. Bins without gifts are absent.
    """
    known = with_records(encounters).dropna(subset=["own_fraction", "recipient_record"])
    edges = np.linspace(0, 1, n_bins + 1)
    place = np.clip(np.ceil(known["recipient_record"].to_numpy(dtype=float) * n_bins - 1e-9) - 1, 0, n_bins - 1)
    known = known.assign(place=place.astype(int))
    frame = (
        known.groupby([*KEY, "place"], sort=True)["own_fraction"]
        .agg(mean_fraction="mean", n_gifts="count")
        .reset_index()
    )
    frame.insert(2, "record_low", edges[frame["place"]])
    frame.insert(3, "record_high", edges[frame["place"] + 1])
    return frame.drop(columns="place").astype({"mean_fraction": "Float64", "n_gifts": "Int64"})


def conditional_slope(encounters: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation the conditional-cooperation slope: fraction given = a + b · recipient's record.

    b by least squares over the encounters whose recipient has a record; 1 means giving as the recipient gave, 0 means
    ignoring the record. Columns: study, run, generation; `slope`; `n` encounters. Missing for fewer than 8 encounters,
    or if all records are equal.
    Source: Fischbacher, Gächter & Fehr 2001, with the recipient's record in place of the others' contribution.
    """
    return _by_generation(encounters, ["recipient_record"], lambda columns, y: {"slope": _fit(columns, y, 1)})


def discrimination(encounters: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation how giving depends on the recipient's record and on that of its last partner.

    fraction given = a + b₁·r + b₂·p + b₁₂·r·p, by least squares, with r the recipient's record and p that of its
    partner then, each minus its mean. `first_order` = b₁: givers are given more. `second_order` = b₁₂: the recipient's
    gift matters more if its partner was a giver, so that refusing a miser is not held against it. Columns: study, run,
    generation, first_order, second_order, n. Missing for fewer than 8 encounters, or if they do not determine it.
    Source: the orders of assessment of Ohtsuki & Iwasa 2006, here for continuous amounts.
    """

    def fit(columns: Any, y: Any) -> dict[str, float]:
        r, p = columns[0] - columns[0].mean(), columns[1] - columns[1].mean()
        terms = [r, p, r * p]
        return {"first_order": _fit(terms, y, 1), "second_order": _fit(terms, y, 3)}

    return _by_generation(encounters, ["recipient_record", "partner_record"], fit)


def _by_generation(encounters: pd.DataFrame, records: list[str], fit: Any) -> pd.DataFrame:
    known = with_records(encounters)
    values = known[["own_fraction", *records]].to_numpy(dtype=float, na_value=np.nan)
    is_known = ~np.isnan(values).any(axis=1)
    rows = []
    for key, places in sorted(known.groupby(GENERATION).indices.items()):
        y, *columns = values[places[is_known[places]]].T
        row = dict(zip(GENERATION, cast(tuple[str, str, int], key), strict=True)) | {"n": len(y)}
        rows.append(row | (fit(columns, y) if len(y) >= MIN_ENCOUNTERS else {}))
    names = {"recipient_record": ["slope"]}.get("".join(records), ["first_order", "second_order"])
    frame = pd.DataFrame(rows, columns=[*GENERATION, *names, "n"])
    return frame.astype({"generation": "Int64", "n": "Int64"} | dict.fromkeys(names, "Float64"))


def _fit(columns: list[Any], y: Any, which: int) -> float:
    """Return the coefficient of a column (from 1); NaN if the columns do not determine it."""
    matrix = np.column_stack([np.ones(len(y)), *columns])
    scale = np.abs(matrix).max(axis=0)
    if (scale == 0).any() or np.linalg.matrix_rank(matrix / scale, tol=1e-6 * len(y) ** 0.5) < matrix.shape[1]:
        return float("nan")
    return float(np.linalg.lstsq(matrix, y, rcond=None)[0][which])
