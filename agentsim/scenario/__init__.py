"""From YAML files to frozen, checked conditions, and from these to the runs of a study.

The only room that parses configuration. Nothing here plays, asks or writes.
"""
