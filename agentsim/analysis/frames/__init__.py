"""From logs to dataframes: finding studies, reading runs, declaring columns, caching what was read.

Measures, tests and figures work on these frames and read no log themselves.
"""
