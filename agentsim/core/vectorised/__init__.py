"""Scripted societies by the ten thousand: the same results as `Society` gives, seed for seed, on NumPy arrays.

Only what scripted policies play can be played so, as they do not wait for each other's words. Every number is the one
that the ordinary path comes to, to the last bit, but for means over agents, which are added up in another order.
"""

from agentsim.core.vectorised.societies import ManySocieties, play_many

__all__ = ["ManySocieties", "play_many"]
