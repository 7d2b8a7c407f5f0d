"""Sampling a posterior with emcee, and whether the draws can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from agentsim.analysis.bayes.models import Model
from agentsim.errors import AgentsimError

__all__ = ["MAX_R_HAT", "MIN_DRAWS", "Draws", "sample"]

Floats = npt.NDArray[np.float64]

N_ENSEMBLES: Final = 4
"""Independent ensembles of walkers, each from its own points."""
STEPS: Final = (800, 4_000)
"""Steps of each walker, of which the first half is thrown away; the second number only if the first was not enough."""
N_KEPT: Final = 4_000
"""About so many draws of all walkers are kept, evenly spaced."""
MAX_R_HAT: Final = 1.02
MIN_DRAWS: Final = 400
"""The fewest independent draws that the chains must be worth (their effective sample size)."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of the groups' mean log scores, and what is known of their quality."""

    means: Floats
    """(n_draws, n_groups)."""
    r_hat: float
    """The largest over all that is sampled: split, over the ensembles (Gelman et al. 2013, section 11.4)."""
    n_effective: float
    """The smallest over all that is sampled: draws divided by their integrated autocorrelation time (Sokal 1997)."""

    @property
    def problem(self) -> str | None:
        """Why the draws are not to be used; None if they are."""
        if not self.r_hat <= MAX_R_HAT:
            return f"cannot say: the samplers disagree (R-hat {self.r_hat:.3f}, above {MAX_R_HAT:g})"
        if not self.n_effective >= MIN_DRAWS:
            return f"cannot say: {self.n_effective:.0f} independent draws, fewer than {MIN_DRAWS}"
        return None


def sample(model: Model, *, seed: int = 0) -> Draws:
    """Sample a model's posterior: the affine-invariant ensemble sampler of emcee with differential evolution.

    Four independent ensembles; if they disagree or are worth too few draws, once more with five times the steps. The
    seed decides everything.

    Raises:
        AgentsimError: emcee is not installed.
    """
    for n_steps in STEPS:
        draws = _sampled(model, n_steps, seed=seed)
        if draws.problem is None:
            break
    return draws


def _sampled(model: Model, n_steps: int, *, seed: int) -> Draws:
    try:
        import emcee
    except ImportError as error:
        raise AgentsimError(
            "a Bayesian estimate needs emcee, which is not installed: pip install 'agentsim-lab[bayes]'"
        ) from error
    n_walkers = max(24, 4 * model.n_dimensions)
    chains = []
    for ensemble in range(N_ENSEMBLES):
        rng = np.random.default_rng([seed, ensemble])
        sampler = emcee.EnsembleSampler(
            n_walkers,
            model.n_dimensions,
            model.log_density,
            vectorize=True,
            moves=[(emcee.moves.DEMove(), 0.5), (emcee.moves.StretchMove(), 0.3), (emcee.moves.DESnookerMove(), 0.2)],
        )
        own = np.random.RandomState(int(rng.integers(2**31)))
        state = emcee.State(_begin(model, n_walkers, rng), random_state=own.get_state())
        sampler.run_mcmc(state, n_steps, skip_initial_state_check=True)
        chains.append(sampler.get_chain(discard=n_steps // 2))
    every = np.array(chains)  # ensemble, step, walker, dimension
    flat = every.reshape(-1, model.n_dimensions)
    kept = flat[:: max(1, len(flat) // N_KEPT)]
    rng = np.random.default_rng([seed, N_ENSEMBLES])
    return Draws(model.means(kept, rng), _r_hat(every), _n_effective(every))


def _begin(model: Model, n_walkers: int, rng: np.random.Generator) -> Floats:
    """Return starting points: of many from the prior, those of the highest density, so that none starts too far off."""
    points = model.start(n_walkers * 40, rng)
    order = np.argsort(-model.log_density(points), kind="stable")
    return points[order[:n_walkers]]


def _r_hat(chains: Floats) -> float:
    """Return the largest split R-hat; a sequence is one half of an ensemble's steps, all its walkers together."""
    half = chains.shape[1] // 2
    split = np.concatenate([chains[:, :half], chains[:, half : 2 * half]])
    sequences = split.reshape(len(split), -1, chains.shape[-1])
    within = sequences.var(axis=1, ddof=1).mean(axis=0)
    between = sequences.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(all="ignore"):  # walkers that never moved have no spread
        return float(np.sqrt(1 + between / within).max())


def _n_effective(chains: Floats) -> float:
    """Return the fewest independent draws that any coordinate is worth."""
    from emcee.autocorr import integrated_time

    with np.errstate(all="ignore"):  # of walkers that never moved; the time is then not finite
        times = [integrated_time(ensemble, c=5, tol=0, quiet=True) for ensemble in chains]
    slowest = np.max(times, axis=0)
    n_draws = chains.shape[0] * chains.shape[1] * chains.shape[2]
    return float((n_draws / np.maximum(slowest, 1)).min()) if np.isfinite(slowest).all() else 0.0
