"""What the posteriors say of pairs of groups: ratios with 95 % intervals, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.bayes.models import MODELS, PRIORS
from agentsim.analysis.bayes.sampling import MAX_R_HAT, MIN_DRAWS, Draws, sample
from agentsim.errors import AgentsimError

__all__ = ["Bayes", "bayes", "sampler_said"]

COLUMNS: Final = {
    "first": "string",
    "second": "string",
    "model": "string",
    "ratio": "Float64",
    "low": "Float64",
    "high": "Float64",
    "p_above": "Float64",
    "p_within": "Float64",
    "r_hat": "Float64",
    "n_effective": "Float64",
    "problem": "string",
}


@dataclass(frozen=True, eq=False)
class Bayes:
    """Bayesian estimates of the ratios of groups' geometric means, under two models side by side."""

    table: pd.DataFrame
    """One row for each pair and model: `first`, `second`; `model`, one heap or two heaps; `ratio`, the posterior median
    of the ratio of geometric means, `low` to `high`, its central 95 % interval; `p_above`, the probability that it is
    above 1; `p_within`, that it lies within the margin, if one was stated; `r_hat` and `n_effective`, how far the draws
    can be trusted; `problem`, why the numbers are missing."""
    notes: tuple[str, ...]
    """The priors, and what the estimates are not."""


def bayes(
    groups: Mapping[str, Sequence[float] | npt.NDArray[np.float64]],
    *,
    pairs: Sequence[tuple[str, str]] = (),
    equivalence: float | None = None,
    seed: int = 0,
) -> Bayes:
    """Estimate the ratios of groups' geometric means with two hierarchical models of log scores.

    `one heap`: log-normal scores, with means and spreads of groups drawn towards each other. `two heaps`: societies
    that took off and societies that did not. The models and their priors are in the notes; both are always told, so
    that nobody chooses by the result. A posterior whose draws cannot be trusted gives no number but the reason.

    Args:
        groups: for each group the scores (units, above 0) of its runs, one run with each seed.
        pairs: the groups that are compared; by default all pairs.
        equivalence: a ratio above 1: how probable is it that a ratio lies within it?
        seed: decides the draws.

    Raises:
        AgentsimError: there are fewer than two groups, a score is not above 0, or emcee is not installed.
    """
    names = list(groups)
    scores = [np.asarray(groups[name], dtype=float) for name in names]
    if len(names) < 2 or any(len(own) == 0 for own in scores):
        raise AgentsimError("a Bayesian estimate needs two groups with at least one run each")
    if any(not (np.isfinite(own) & (own > 0)).all() for own in scores):
        raise AgentsimError("no Bayesian estimate: a score of 0 or below has no logarithm; compare without bayes")
    if equivalence is not None and not 1 < equivalence < np.inf:
        raise AgentsimError(f"equivalence {equivalence:g}: state a ratio above 1, such as 1.25")
    place = {name: index for index, name in enumerate(names)}
    chosen = tuple(pairs) or tuple((a, b) for index, a in enumerate(names) for b in names[index + 1 :])
    drawn = {name: sample(model([np.log(own) for own in scores]), seed=seed) for name, model in MODELS.items()}
    rows = [
        {"first": a, "second": b, "model": name} | _estimate(draws, place[a], place[b], equivalence)
        for a, b in chosen
        for name, draws in drawn.items()
    ]
    return Bayes(pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS), tuple(_notes()))


def _estimate(draws: Draws, first: int, second: int, equivalence: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"r_hat": draws.r_hat, "n_effective": draws.n_effective, "problem": draws.problem}
    if draws.problem is not None:
        return row
    logs = draws.means[:, first] - draws.means[:, second]
    low, middle, high = np.exp(np.quantile(logs, [0.025, 0.5, 0.975]))
    row |= {"ratio": middle, "low": low, "high": high, "p_above": float((logs > 0).mean())}
    if equivalence is not None:
        row["p_within"] = float((np.abs(logs) < np.log(equivalence)).mean())
    return row


def sampler_said() -> str:
    """Return how posteriors are sampled and when their draws are not used, as a sentence."""
    return (
        "Posteriors were sampled by four independent ensembles of emcee (affine-invariant; Foreman-Mackey et al. 2013),"
        f" and used only if split R-hat was at most {MAX_R_HAT:g} and the draws were worth at least {MIN_DRAWS}"
        " independent ones in everything that was sampled."
    )


def _notes() -> Sequence[str]:
    return (
        *(f"Bayesian estimate, {name}: {said} (natural logarithms of units)." for name, said in PRIORS.items()),
        sampler_said(),
        "A Bayesian interval is not a test: it says what the prior and the runs say together, and no rate of error is"
        " promised for looking whether it excludes 1.",
    )
