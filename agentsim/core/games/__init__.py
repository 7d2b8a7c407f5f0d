"""The games a society can play, one file each."""

from agentsim.core.games.donor import DonorGame, Punishment

__all__ = ["DonorGame", "Game", "Punishment"]

Game = DonorGame
"""A second game turns this into `Annotated[DonorGame | Other, Field(discriminator="kind")]`."""
