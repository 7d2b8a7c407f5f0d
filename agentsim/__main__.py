"""`python -m agentsim` is the command line."""

from agentsim.cli import main

main()
