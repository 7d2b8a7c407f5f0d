"""One file for each command, named after it; each registers its command as it is imported.

A new command is one file here: nothing else lists them. What commands need of agentsim they import when they run, so
that `agentsim --help` loads neither pandas nor an SDK.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
