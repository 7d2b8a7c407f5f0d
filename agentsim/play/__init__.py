"""A society with its players, still without waiting: completions go in, facts and further questions come out.

The same code plays live, resumes and replays. Calls, tasks and clocks belong to the orchestrator.
"""
