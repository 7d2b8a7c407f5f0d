"""What is stored: the log of a run, the folder of a study, and whether runs are one experiment.

The log is the truth: a resumed, forked or replayed run is computed from it. Nothing here asks or computes facts.
"""
