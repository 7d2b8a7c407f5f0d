"""The games that a society can play, one file each; `game` says what a game is."""

from typing import Annotated

from agentsim.core.games.commons import CommonsGame
from agentsim.core.games.dictator import DictatorGame
from agentsim.core.games.donor import DonorGame, Punishment
from agentsim.core.games.game import Encounter, Game, Outcome, Place, Said, Stage
from agentsim.core.games.matrix import MatrixGame
from agentsim.core.games.public_goods import PublicGoodsGame
from agentsim.core.games.trust import TrustGame
from agentsim.core.games.ultimatum import UltimatumGame
from agentsim.core.registry import among

__all__ = [
    "AnyGame",
    "CommonsGame",
    "DictatorGame",
    "DonorGame",
    "Encounter",
    "Game",
    "MatrixGame",
    "Outcome",
    "Place",
    "PublicGoodsGame",
    "Punishment",
    "Said",
    "Stage",
    "TrustGame",
    "UltimatumGame",
]

AnyGame = Annotated[
    Game,
    among(
        "game",
        DonorGame,
        MatrixGame,
        PublicGoodsGame,
        CommonsGame,
        TrustGame,
        UltimatumGame,
        DictatorGame,
        default="donor",
    ),
]
