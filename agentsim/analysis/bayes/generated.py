"""Data as each model says that they arise: parameters from the priors, then runs. For checking that both agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["generated"]

Floats = npt.NDArray[np.float64]


def generated(model: str, n_runs: Sequence[int], rng: np.random.Generator) -> tuple[Floats, list[Floats]]:
    """Return the groups' true mean log scores (n_groups,) and their runs' log scores, `n_runs` of each group.

    Written from the sentences in `models.PRIORS` and apart from the densities there, so that a fault in one shows.
    """
    k = len(n_runs)
    t = abs(rng.normal(0, 1))
    m = rng.normal(4, 2.5)
    s = np.exp(rng.normal(np.log(0.5), 1))
    if model == "one heap":
        means = rng.normal(m, t, k)
        spreads = s * np.exp(0.5 * rng.normal(0, 1, k))
        return means, [rng.normal(means[i], spreads[i], n) for i, n in enumerate(n_runs)]
    d = np.exp(rng.normal(np.log(2), 0.5))
    low = rng.normal(m, t, k)
    shares = rng.uniform(0, 1, k)
    runs = [low[i] + d * (rng.uniform(0, 1, n) < shares[i]) + rng.normal(0, s, n) for i, n in enumerate(n_runs)]
    return low + shares * d, runs
