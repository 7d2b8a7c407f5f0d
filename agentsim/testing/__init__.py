"""Fakes as part of the product: a function as a provider, a fault server with everyday trouble, virtual time.

For tests of agentsim, of what is built on it, and for trying a scenario before it costs anything.
"""

from agentsim.testing.function_provider import FunctionProvider
from agentsim.testing.weather import plausible

__all__ = ["FunctionProvider", "plausible"]
