"""Fakes as part of the product: a function as a provider, a server with realistic faults, virtual time.

For tests of agentsim and of programs that use it, and for trying a scenario before it costs anything.
"""

from agentsim.testing.function_provider import FunctionProvider
from agentsim.testing.weather import plausible

__all__ = ["FunctionProvider", "plausible"]
