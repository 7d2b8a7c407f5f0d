"""Players that share societies, compared within them: scores, lineages and extinctions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.statistics import RANDOM_SEED, mean_ranks
from agentsim.analysis.within import Lineages, founders_of, label_test
from agentsim.analysis.words import counted, listed
from agentsim.errors import LogError

__all__ = ["SharedSociety", "geometric_means", "player_pair", "shared_societies", "what_became"]


@dataclass(frozen=True, eq=False)
class SharedSociety:
    """One run of a mixed society: its agents at the end, and the founder of each."""

    name: str
    group_of: Mapping[str, str]
    """The group of each player of the first generation."""
    first: Mapping[str, str]
    """The player of each founder."""
    ends: Sequence[tuple[str, float]]
    """For each agent of the last generation, its founder and its score (units)."""
    is_traced: bool
    """Whether lineages are known; if not, `ends` are of the first generation."""


def shared_societies(study: Study, group_of: Mapping[tuple[str, str, str], str]) -> list[SharedSociety]:
    """Return the runs that at least two players of the groups began.

    `group_of`: the group by study, run and player.
    """
    wanted: dict[tuple[str, str], dict[str, str]] = {}
    for (name, run, player), group in group_of.items():
        wanted.setdefault((name, run), {})[player] = group
    columns = ["generation", "agent", "born", "model", "parents", "score"]
    societies = []
    for _, agents in study.agents.groupby(KEY, sort=True):
        key = str(agents["study"].iloc[0]), str(agents["run"].iloc[0])
        groups = wanted.get(key, {})
        if len(groups) < 2:
            continue
        rows = agents[columns].to_dict("records")
        started = study.started[key]
        founders = founders_of(rows, seed=started.seed, transmission=started.condition["transmission"])
        last = max(int(row["generation"]) for row in rows) if founders else 1
        societies.append(
            SharedSociety(
                name="/".join(key),
                group_of=groups,
                first={str(row["agent"]): str(row["model"]) for row in rows if row["generation"] == 1},
                ends=[
                    (founders[row["agent"]] if founders else str(row["agent"]), float(row["score"]))
                    for row in rows
                    if row["generation"] == last
                ],
                is_traced=founders is not None,
            )
        )
    return societies


def player_pair(a: str, b: str, societies: Sequence[SharedSociety]) -> dict[str, Any]:
    """Compare one pair of players: its row of `Comparison.table` before corrections, and its lineages' numbers.

    Raises:
        LogError: they share no society.
    """
    both = [one for one in societies if {a, b} <= set(one.group_of.values())]
    if not both:
        raise LogError(f"{a!r} and {b!r} share no society, so they cannot be compared by player; compare by 'model'")
    scores = [[score for founder, score in one.ends if _group(one, founder) in (a, b)] for one in both]
    has_zero = any(score <= 0 for society_scores in scores for score in society_scores)
    lineages = [_lineages(one, a, b, is_ranked=has_zero) for one in both]
    test = label_test(lineages)
    exact = "exact" if test.is_exact else f"{test.n_arrangements:,} random arrangements of seed {RANDOM_SEED}"
    row: dict[str, Any] = {"first": a, "second": b, "design": "within", "n_first": len(both), "n_second": len(both)}
    row |= {"test": f"labels within societies{', ranks' if has_zero else ''}, {exact}"}
    row |= {"p": test.p, "least_p": test.least_p, "n_both": test.n_both}
    row |= _survival(lineages, is_traced=all(one.is_traced for one in both))
    if test.effect is None:
        return row | {"problem": "no ratio: no society has agents of both at the end"}
    if has_zero:
        return row | {"problem": "no ratio: a score of 0 has no logarithm; ranks are tested"}
    interval = test.interval
    low, high = (None if end is None else float(np.exp(end)) for end in (interval.low, interval.high))
    problem = f"no interval: {interval.problem}" if interval.problem else None
    return row | {"ratio": float(np.exp(test.effect)), "low": low, "high": high, "problem": problem}


def _group(one: SharedSociety, founder: str) -> str | None:
    return one.group_of.get(one.first[founder])


def _lineages(one: SharedSociety, a: str, b: str, *, is_ranked: bool) -> Lineages:
    """Return the lineages of the two players' founders; other players' agents are left out."""
    founders = [founder for founder in one.first if _group(one, founder) in (a, b)]
    place = {founder: index for index, founder in enumerate(founders)}
    ends = [(place[founder], score) for founder, score in one.ends if founder in place]
    scores = np.array([score for _, score in ends], dtype=float)
    values = np.asarray(mean_ranks(scores) if is_ranked else np.log(scores), dtype=float)
    where = np.array([index for index, _ in ends], dtype=int)
    return Lineages(
        values=np.asarray(np.bincount(where, weights=values, minlength=len(founders)), dtype=float),
        counts=np.bincount(where, minlength=len(founders)).astype(float),
        is_first=np.array([_group(one, founder) == a for founder in founders]),
    )


def _survival(lineages: Sequence[Lineages], *, is_traced: bool) -> dict[str, Any]:
    """Return the mean number of each player's founders' descendants in the last generation, and p of the difference.

    Empty if the rules keep the players' numbers constant.
    """
    if not is_traced or all((one.counts == 1).all() for one in lineages):
        return {}
    kept = [Lineages(one.counts, np.ones_like(one.counts), one.is_first) for one in lineages]
    means = [(one.counts[one.is_first].mean(), one.counts[~one.is_first].mean()) for one in lineages]
    test = label_test(kept)
    first, second = np.mean(means, axis=0)
    return {"heirs_first": float(first), "heirs_second": float(second), "p_heirs": test.p}


def geometric_means(study: Study) -> dict[tuple[str, str, str], float]:
    """Return, by study, run and player, the geometric mean score of its agents in the last generation; 0 if one is 0.

    The logarithm of a mean is biased downwards for few agents; the mean of logarithms is not.
    """
    agents = study.agents
    last = agents[agents["generation"] == agents.groupby(KEY)["generation"].transform("max")]
    with np.errstate(divide="ignore"):
        logs = np.log(last["score"].to_numpy(dtype=float, na_value=np.nan))
    keys = [*KEY, "model"]
    means = pd.Series(logs, index=last.index).groupby([last[key] for key in keys]).mean()
    return {tuple(key): float(np.exp(value)) for key, value in means.items()}  # type: ignore[misc, arg-type]


def what_became(
    groups: Mapping[str, pd.DataFrame], societies: Sequence[SharedSociety], pairs: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Yield sentences about players that died out, numbers of descendants, and unknown lineages."""
    for name, group_runs in groups.items():
        if n_gone := int(group_runs["mean_final_resources"].isna().sum()):
            yield (
                f"{name} had died out by the end in {counted(n_gone, 'society').replace('societys', 'societies')} of"
                f" {len(group_runs)}: it has no score there, so scores are of the other societies."
            )
    for pair in pairs:
        if pair.get("p_heirs") is not None:
            yield (
                f"{pair['first']} / {pair['second']}: an agent of the first generation has on average"
                f" {pair['heirs_first']:.2f} and {pair['heirs_second']:.2f} descendants in the last"
                f" (p = {pair['p_heirs']:.3g} after Holm, labels permuted within societies)."
            )
    if unknown := [one.name for one in societies if not one.is_traced]:
        yield (
            f"The logs of {listed(unknown)} do not say which parent's label a newborn has, because parents were shown"
            " in random order: scores of the first generation are tested there."
        )
