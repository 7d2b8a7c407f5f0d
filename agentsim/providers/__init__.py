"""Text in, text out: completing prompts, within an account's limits and budget.

`dialects/` speaks the servers' languages, `limits/` holds the layers around a provider. Nothing here knows of games.
"""
