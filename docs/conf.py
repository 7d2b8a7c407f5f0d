"""How the site is built: `make docs`, without a network, with each warning an error."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from agentsim.log.version import VERSION

project = "agentsim"
author = "The agentsim authors"
project_copyright = "2026, the agentsim authors"
version = release = VERSION

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "from_program",
]
exclude_patterns = ["_static"]
source_suffix = {".md": "markdown"}
default_role = "code"
smartquotes = False  # options begin with two hyphens

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

suppress_warnings = ["ref.python"]  # fields of one name in several classes, of which a type's name is one
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_domain_indices = False  # modules are no places of the API: names are
html_title = f"agentsim {VERSION}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "source_repository": "https://github.com/agentsim-lab/agentsim/",
    "source_branch": "main",
    "source_directory": "docs/",
}
