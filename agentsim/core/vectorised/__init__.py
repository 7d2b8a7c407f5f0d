"""Scripted societies by the ten thousand: the same results as `Society` gives, seed for seed, on NumPy arrays.

Only scripted policies can be played this way. Every number is the one that the ordinary path gives, to the last bit,
except means over agents, which are summed in another order.
"""

from agentsim.core.vectorised.societies import ManySocieties, play_many, without_twin

__all__ = ["ManySocieties", "play_many", "without_twin"]
