"""Tables for the terminal: rich tables from dataframes and results. Foreign text is shown inert and cut."""
