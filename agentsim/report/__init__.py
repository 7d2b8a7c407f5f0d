"""One self-contained HTML page of a study or a probe: what was run, the results, and what is missing."""

from agentsim.report.page import render, write_report
from agentsim.report.probe_page import render_probe, write_probe_report

__all__ = ["render", "render_probe", "write_probe_report", "write_report"]
