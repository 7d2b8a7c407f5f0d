"""Measures: functions from dataframes to a dataframe, each with its formula and its source.

A row is one run (`study`, `run`) or one of its generations. What cannot be computed is missing, never 0. A measure is
one function in the file of its family, named in that file's `__all__`, and one row of docs/measures.md.
"""

from agentsim.analysis.measures.answers import *
from agentsim.analysis.measures.cooperation import *
from agentsim.analysis.measures.course import *
from agentsim.analysis.measures.evolution import *
from agentsim.analysis.measures.models import *
from agentsim.analysis.measures.outcomes import *
from agentsim.analysis.measures.punishment import *
from agentsim.analysis.measures.sensitivity import *
from agentsim.analysis.measures.summary import *
from agentsim.analysis.measures.variance import *

__all__ = [name for name, value in globals().items() if callable(value)]
