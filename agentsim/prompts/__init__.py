"""From a request to the messages a model reads, and from its completion to an answer.

Sets of templates are folders; `rules/` in them has a sentence file for each rule. Nothing here asks anybody.
"""
