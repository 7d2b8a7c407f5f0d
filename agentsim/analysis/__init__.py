"""Reading results: dataframes, measures, tests and figures, from logs alone; nothing here sees a live object."""
