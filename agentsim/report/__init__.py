"""One self-contained HTML file that tells what a study is, what came out, and what is missing."""

from agentsim.report.page import render, write_report

__all__ = ["render", "write_report"]
