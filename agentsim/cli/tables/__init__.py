"""Rich tables for the terminal, from dataframes and results. Untrusted text is escaped and truncated."""
