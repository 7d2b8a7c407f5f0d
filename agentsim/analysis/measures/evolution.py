"""From one generation to the next: who survives, what is transmitted, how strategies grow."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from agentsim.analysis.frames.columns import GENERATION, KEY

__all__ = [
    "by_group",
    "price_equation",
    "price_equation_of_groups",
    "strategy_length",
    "survival_differential",
    "variances",
]


def survival_differential(agents: pd.DataFrame, *, trait: str = "mean_fraction") -> pd.DataFrame:
    """Return by run and generation the mean of a trait among survivors minus that among the culled.

    Below 0 for `mean_fraction` means selection against givers. Columns: study, run, generation, `survivors`, `culled`
    (means), `differential`, `n_survivors`, `n_culled` (agents whose trait is known). Missing in the last generation,
    after which there is no selection, and if no trait on one side is known.
    """
    known = agents.dropna(subset=["survived", trait])
    sides = known.groupby([*GENERATION, "survived"], sort=True)[trait].agg(["mean", "count"]).unstack("survived")
    every = agents[GENERATION].drop_duplicates().sort_values(GENERATION).set_index(GENERATION).index
    sides = sides.reindex(every)

    def column(name: str, side: bool) -> Any:
        values = sides[name, side].to_numpy() if (name, side) in sides.columns else [pd.NA] * len(every)
        return pd.array(values, dtype="Float64")

    frame = every.to_frame(index=False)
    frame["survivors"], frame["culled"] = column("mean", side=True), column("mean", side=False)
    frame["n_survivors"], frame["n_culled"] = column("count", side=True), column("count", side=False)
    frame["differential"] = frame["survivors"] - frame["culled"]
    counts = {name: frame[name].astype("Int64").fillna(0) for name in ("n_survivors", "n_culled")}
    return frame.assign(**counts)[[*GENERATION, "survivors", "culled", "differential", "n_survivors", "n_culled"]]


def by_group(agents: pd.DataFrame) -> pd.DataFrame:
    """Return by run, generation and group what its agents did and what became of them.

    Columns: study, run, generation, group, `n_agents`, `score` (mean of what selection compared, in units),
    `mean_fraction` and `mean_level` (means over agents), `n_survivors` (missing in the last generation). Runs without
    groups are left out.
    """
    known = agents.dropna(subset=["group"])
    groups = known.groupby([*GENERATION, "group"], sort=True)
    frame = groups.agg(
        n_agents=("agent", "size"),
        score=("score", "mean"),
        mean_fraction=("mean_fraction", "mean"),
        mean_level=("mean_level", "mean"),
    )
    survivors = groups["survived"].sum(min_count=1).astype("Int64")
    return frame.assign(n_survivors=survivors).astype({"n_agents": "Int64"}).reset_index()


def price_equation(agents: pd.DataFrame, *, trait: str = "mean_fraction") -> pd.DataFrame:
    """Split the change of a trait's mean from each generation to the next into selection and transmission.

    Δz̄ = Cov(wᵢ, zᵢ)/w̄ + E(wᵢ Δzᵢ)/w̄ (Price 1970). An agent's fitness wᵢ is its share of the next generation: 1 if it
    survives, and 1/k of each newborn that was given the advice of k survivors including it. Δzᵢ is the mean trait of
    that share minus the agent's trait. The second term has two parts: `survivors_change`, survivors who act differently
    than before, and `newborns_change`, newborns who differ from their parents.

    Columns: study, run, generation (the earlier one), `change`, `selection`, `transmission`, `survivors_change`,
    `newborns_change`, `problem`. The parts sum to the change. Missing, with the reason, if an agent's trait is not
    known or a newborn has no recorded parents.
    """
    by_run: dict[tuple[str, str], dict[int, list[_Agent]]] = {}
    parents = agents["parents"].fillna("").str.split()
    traits = agents[trait].to_numpy(dtype=float, na_value=nan).tolist()
    keys = agents[[*GENERATION, "agent"]].itertuples(index=False, name=None)
    for (study, run, number, agent), named, value in zip(keys, parents, traits, strict=True):
        by_run.setdefault((study, run), {}).setdefault(int(number), []).append(_Agent(agent, named, value))
    rows = []
    for key, living in sorted(by_run.items()):
        for number in sorted(living)[:-1]:
            if number + 1 in living:
                row = dict(zip(KEY, key, strict=True)) | {"generation": number}
                rows.append(row | _price(living[number], living[number + 1], trait))
    names = ["change", "selection", "transmission", "survivors_change", "newborns_change"]
    frame = pd.DataFrame(rows, columns=[*GENERATION, *names, "problem"])
    return frame.astype({"generation": "Int64", "problem": "string"} | dict.fromkeys(names, "Float64"))


def price_equation_of_groups(agents: pd.DataFrame, *, trait: str = "mean_fraction") -> pd.DataFrame:
    """Split the selection of `price_equation` into that between groups and that within them.

    Cov(wᵢ, zᵢ)/w̄ = Cov(W_g, Z_g)/w̄ + E(Cov_g(wᵢ, zᵢ))/w̄ (Price 1972; Hamilton 1975), where W_g and Z_g are the means
    of fitness and trait in the group that an agent was in, and covariances and means of groups weigh each group by its
    size. Above 0 `between` and below 0 `within` is a tug-of-war in which giving harms the giver and favours its group.

    Columns: study, run, generation (the earlier one), `change`, `selection`, `between`, `within`, `transmission`,
    `problem`. `between` and `within` sum to `selection`. Missing, with the reason, as in `price_equation`; runs without
    groups are left out.
    """
    rows = []
    for found in price_equation(agents, trait=trait).to_dict("records"):
        of_run = agents[(agents["study"] == found["study"]) & (agents["run"] == found["run"])]
        now, later = (of_run[of_run["generation"] == found["generation"] + more] for more in (0, 1))
        if now["group"].isna().any():
            continue
        is_known = pd.isna(found["problem"])
        rows.append(found | (_by_group(now, later, trait, selection=found["selection"]) if is_known else {}))
    names = ["change", "selection", "between", "within", "transmission"]
    frame = pd.DataFrame(rows, columns=[*GENERATION, *names, "problem"])
    types = {"study": "string", "run": "string", "generation": "Int64", "problem": "string"}
    return frame.astype(types | dict.fromkeys(names, "Float64"))


def _by_group(now: pd.DataFrame, later: pd.DataFrame, trait: str, *, selection: float) -> dict[str, float]:
    """Return the two parts of selection."""
    group = dict(zip(now["agent"], now["group"], strict=True))
    z = now.astype({trait: float}).groupby("group")[trait].mean().to_dict()
    offspring = dict.fromkeys(z, 0.0)
    for agent, named in zip(later["agent"], later["parents"].fillna("").str.split(), strict=True):
        parents = [agent] if agent in group else [parent for parent in named if parent in group]
        for parent in parents:
            offspring[group[parent]] += 1 / len(parents)
    mean = float(now[trait].astype(float).mean())
    between = sum(n * z[one] for one, n in offspring.items()) / len(later) - mean
    return {"between": between, "within": selection - between}


class _Agent(NamedTuple):
    name: str
    parents: list[str]
    z: float
    """Its trait; NaN if not known."""


def _price(now: Sequence[_Agent], later: Sequence[_Agent], trait: str) -> dict[str, Any]:
    unknown = sum(isnan(agent.z) for agent in (*now, *later))
    if unknown:
        return {"problem": f"{trait} is not known for {unknown} agents"}
    z = {agent.name: agent.z for agent in now}
    fitness, survivors_change, newborns_change = dict.fromkeys(z, 0.0), 0.0, 0.0
    for agent in later:
        if agent.name in z:
            fitness[agent.name] += 1
            survivors_change += agent.z - z[agent.name]
            continue
        parents = [name for name in agent.parents if name in z]
        if not parents:
            return {"problem": f"{agent.name} has no recorded parents"}
        for parent in parents:
            fitness[parent] += 1 / len(parents)
        newborns_change += agent.z - sum(z[parent] for parent in parents) / len(parents)
    n_now, n_later = len(z), len(later)
    mean = sum(z.values()) / n_now
    selection = sum(fitness[name] * z[name] for name in z) / n_later - mean
    parts = {"survivors_change": survivors_change / n_later, "newborns_change": newborns_change / n_later}
    change = float(np.mean([agent.z for agent in later])) - mean
    return {"change": change, "selection": selection, "transmission": sum(parts.values()), **parts}


def strategy_length(agents: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation the mean length of newborns' strategies.

    Columns: study, run, generation, `mean_words` (split at white space), `mean_characters`, `n` strategies. Strategies
    that could not be read, and scripted players, have none.
    """
    has_words = agents["strategy"].notna() & ~agents["model"].str.startswith("scripted/").fillna(False).astype(bool)
    born = agents[(agents["born"] == agents["generation"]) & has_words]
    texts = [str(text) for text in born["strategy"]]
    frame = born.assign(words=[len(text.split()) for text in texts], characters=[len(text) for text in texts])
    groups = frame.groupby(GENERATION, sort=True)
    return groups.agg(
        mean_words=("words", "mean"), mean_characters=("characters", "mean"), n=("words", "size")
    ).reset_index()


def variances(agents: pd.DataFrame, runs: pd.DataFrame, *, trait: str = "mean_fraction") -> pd.DataFrame:
    """Return by condition and generation how much of a trait's variance lies between runs: the intraclass correlation.

    From the one-way analysis of variance of agents in runs, with k runs of n_i agents, N in all: `within` = MSW, the
    variance among a run's agents, pooled over runs; `between`, the variance of the runs' means (with k - 1), which
    includes sampling noise of within/n; `icc` = (MSB - MSW) / (MSB + (n0 - 1) MSW), where MSB is the mean square
    between runs and n0 = (N - sum n_i^2 / N) / (k - 1), the number of agents in each run if these are equal. It
    estimates the share of the variance that lies between runs, which is the correlation of two agents of one run
    (Fisher 1925; Donner 1986 for unequal sizes): 0 if runs are as alike as random groups of agents, below 0 by chance
    or if agents of a run differ more than random agents, 1 if agents of a run are all alike.

    Columns: study, condition, generation, `within`, `between`, `icc`, `n_runs`. `between` and `icc` are missing for a
    single run, `icc` also if nothing varies. A large `icc` means that societies differ rather than agents: then a run
    is one observation, however many agents it has.
    """
    known = agents.merge(runs[[*KEY, "condition"]], on=KEY).dropna(subset=[trait])
    groups = ["study", "condition", "generation"]
    by_run = known.groupby([*groups, "run"], sort=True)[trait].agg(["mean", "var", "size"]).reset_index()
    by_run = by_run.astype({"mean": "Float64", "var": "Float64"})
    rows = [
        dict(zip(groups, key, strict=True)) | _variances(group_runs)
        for key, group_runs in by_run.groupby(groups, sort=True)
    ]
    columns = {"within": "Float64", "between": "Float64", "icc": "Float64", "n_runs": "Int64"}
    frame = pd.DataFrame(rows, columns=[*groups, *columns])
    return frame.astype({"study": "string", "condition": "string", "generation": "Int64"} | columns)


def _variances(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the parts of one generation's analysis of variance; `runs` has each run's `mean`, `var` and `size`."""
    sizes, means = runs["size"].to_numpy(dtype=float), runs["mean"].to_numpy(dtype=float)
    inner, k, n = runs["var"].fillna(0).to_numpy(dtype=float), len(runs), float(runs["size"].sum())
    within = float(((sizes - 1) * inner).sum() / (n - k)) if n > k else None
    row: dict[str, Any] = {"within": within, "between": None, "icc": None, "n_runs": k}
    if k < 2:
        return row
    row["between"] = float(means.var(ddof=1))
    between = float((sizes * (means - (sizes * means).sum() / n) ** 2).sum() / (k - 1))
    n_each = (n - (sizes**2).sum() / n) / (k - 1)
    if within is not None and between + (n_each - 1) * within > 0:
        row["icc"] = (between - within) / (between + (n_each - 1) * within)
    return row
