"""Figures for papers: the same data give the same bytes. One file a figure.

Each takes the same options beside its data: `width` (`single-column`, `double-column` or inches), `height`, `title`,
`labels` and `order` (`look.Options`). `save` writes SVG, PNG of 300 dpi, and PDF.
"""

from agentsim.analysis.figures.drawn import Drawing, drawings, write_figures
from agentsim.analysis.figures.efficiency import efficiency
from agentsim.analysis.figures.final_resources import final_resources
from agentsim.analysis.figures.forest import forest
from agentsim.analysis.figures.giving import giving
from agentsim.analysis.figures.invasion_matrix import invasion_matrix
from agentsim.analysis.figures.lineage import lineage
from agentsim.analysis.figures.look import Options
from agentsim.analysis.figures.network import network
from agentsim.analysis.figures.prediction import prediction
from agentsim.analysis.figures.response import response
from agentsim.analysis.figures.society import society
from agentsim.analysis.figures.style import save
from agentsim.analysis.figures.unreadable import unreadable

__all__ = [
    "Drawing",
    "Options",
    "drawings",
    "efficiency",
    "final_resources",
    "forest",
    "giving",
    "invasion_matrix",
    "lineage",
    "network",
    "prediction",
    "response",
    "save",
    "society",
    "unreadable",
    "write_figures",
]
