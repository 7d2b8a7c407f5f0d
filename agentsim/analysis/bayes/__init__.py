"""Bayesian estimates of ratios: the two models (densities), how their posteriors are sampled, and what is concluded."""
