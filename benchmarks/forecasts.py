"""How often forecasts from a planted kernel cover what societies do: python benchmarks/forecasts.py --studies 200.

A kernel is measured with some newborns at each of five levels, a forecast is made from it, and societies are played
with the true kernel. Printed: the share of societies' last generations within the 95 % and the 50 % interval, with
their standard errors over studies, and whether collapse and stability are foretold.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from agentsim.analysis.forecast import forecast
from agentsim.analysis.kernel import Kernel
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised.levels import play_levels

Floats = NDArray[np.float64]
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
SOCIETIES = 10
GROUPED = {
    "agents": 20,
    "generations": 10,
    "game": {"rounds": 8, "games": 1},
    "observation": {"kind": "none"},
    "transmission": {"kind": "one_parent"},
    "groups": {"number": 5},
}


def planted(mean: Callable[[Floats], Floats], sd: float, rng: np.random.Generator) -> Callable[[Floats], Floats]:
    """Return what draws newborns' levels around `mean`, within [0, 1]."""
    return lambda parents: np.clip(rng.normal(mean(parents), sd), 0, 1)


def main() -> None:
    """Print how forecasts did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    options, console = parser.parse_args(), Console()
    kernels: dict[str, tuple[Callable[[Floats], Floats], float]] = {
        "faithful": (lambda x: 0.02 + 0.92 * x, 0.15),
        "to the middle": (lambda x: 0.2 + 0.6 * x, 0.1),
    }
    for name, (mean, sd) in kernels.items():
        for kind, weight in (("individual", 0.0), ("group", 1.0)):
            rules = SocietyRules.model_validate({**GROUPED, "groups": {**GROUPED["groups"], "weight": weight}})  # type: ignore[dict-item]
            for n in (12, 40):
                inside = np.array([study(rules, mean, sd, n=n, seed=seed) for seed in range(options.studies)])
                share, error = inside.mean(axis=0), inside.std(axis=0) / np.sqrt(options.studies)
                console.print(
                    f"{name:14} {kind:10} {n:3} newborns a level: in 95 % {share[0]:.3f} ({error[0]:.3f}),"
                    f" in 50 % {share[1]:.3f} ({error[1]:.3f}); predicted {share[2]:.2f}, played {share[3]:.2f}",
                    highlight=False,
                    soft_wrap=True,
                )


def study(rules: SocietyRules, mean: Callable[[Floats], Floats], sd: float, *, n: int, seed: int) -> tuple[float, ...]:
    """Return the shares of societies within the intervals, and the predicted and the mean level of the last one."""
    rng = np.random.default_rng(seed)
    born = planted(mean, sd, rng)
    children = tuple(born(np.full(n, level)) for level in LEVELS)
    kernel = Kernel(np.array(LEVELS), children, rng.beta(6, 3, size=20))
    found = forecast(kernel, {"played": rules}, replicates=50, societies=10, seed=seed)
    first = rng.beta(6, 3, size=(SOCIETIES, rules.agents))
    last = play_levels(rules, first, born=lambda x, _: born(x), rng=rng, seed=seed + 1000).level[:, -1]
    row = found.course.iloc[-1]
    outer, inner = (
        (last >= row[low]) & (last <= row[high]) for low, high in (("low", "high"), ("half_low", "half_high"))
    )
    return float(outer.mean()), float(inner.mean()), float(row["mean"]), float(last.mean())


if __name__ == "__main__":
    main()
