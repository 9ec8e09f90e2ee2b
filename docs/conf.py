"""Sphinx configuration; `make docs` builds."""

from importlib.metadata import version as version_of

project = "Loadstone"
author = "Loadstone contributors"
project_copyright = "Loadstone contributors"
version = release = version_of("loadstone")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
exclude_patterns = ["_build"]

html_theme = "pydata_sphinx_theme"
html_title = "Loadstone"
html_theme_options = {"show_toc_level": 2}

myst_heading_anchors = 3

# The summary tables link to the members; numpydoc's own stubs would be pages that nothing lists.
numpydoc_show_class_members = False
autodoc_typehints = "none"  # numpydoc has the types in words, with shapes and units
