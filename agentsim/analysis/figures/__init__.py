"""Figures for papers: the same data give the same bytes. One file a figure."""

from agentsim.analysis.figures.final_resources import final_resources
from agentsim.analysis.figures.forest import forest
from agentsim.analysis.figures.style import save

__all__ = ["final_resources", "forest", "save"]
