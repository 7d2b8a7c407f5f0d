"""Reading results: dataframes, tables and figures, from logs alone."""

from agentsim.analysis.frames import COLUMNS, Study, load

__all__ = ["COLUMNS", "Study", "load"]
