"""A rule, a policy, a game and a provider for agentsim."""
