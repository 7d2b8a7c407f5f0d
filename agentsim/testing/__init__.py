"""Fakes for tests of agentsim and of what is built on it."""
