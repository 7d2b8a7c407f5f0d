"""From YAML files to frozen, checked conditions, and from these to the runs of a study.

The only room that parses configuration. Nothing here plays, asks or writes.

`conditions` holds the values, `loading` reads files into them, `runs` expands a scenario's grid, and `schema` describes
the files to editors. `loading` stands on `yaml_source` (values with their places), `tree` (extends, settings, cells),
`messages` (errors) and `user_settings` (the user's own accounts). `players` and `names` say who plays and what runs are
called; `digests` and `old_conditions` keep logs comparable; `remarks` is what `agentsim check` says.
"""
