"""The games a society can play, one file each."""

from typing import Annotated

from agentsim.core.games.donor import DonorGame, Punishment
from agentsim.core.registry import among

__all__ = ["DonorGame", "Game", "Punishment"]

Game = Annotated[DonorGame, among("game", DonorGame, default="donor")]
