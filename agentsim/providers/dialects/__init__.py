"""The languages that servers speak: one prompt out, one completion or a typed failure back.

Limits, retries and money belong to the layers around a dialect.
"""
