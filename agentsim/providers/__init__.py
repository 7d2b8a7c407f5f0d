"""Text in, text out: whoever completes a prompt, with the limits, prices and the ledger of an account around it.

`dialects/` speaks the servers' languages, `limits/` holds the layers around a provider. Nothing here knows of games.
"""
