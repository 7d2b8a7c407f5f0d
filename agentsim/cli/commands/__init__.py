"""One file for each command, named after it. Importing the file registers the command.

To add a command, add a file here: nothing else lists them. A command imports the rest of agentsim when it runs, so
that `agentsim --help` loads neither pandas nor an SDK.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
