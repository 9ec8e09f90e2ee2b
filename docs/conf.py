"""Sphinx configuration; `make docs` builds."""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Loadstone"
author = "Loadstone contributors"
project_copyright = "Loadstone contributors"
version = release = version_of("loadstone")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
]
# The table is part of the page about performance, not a page.
exclude_patterns = ["_build", "explanation/benchmark-table.md"]

html_theme = "pydata_sphinx_theme"
html_title = "Loadstone"
html_theme_options = {"show_toc_level": 2, "header_links_before_dropdown": 6}
html_static_path = ["_static"]
html_css_files = ["wide.css"]
# Pages without pages below them have nothing to show at their side.
html_sidebars: dict[str, list[str]] = {
    page: [] for page in ("index", "getting-started", "words", "write-a-loader", "changes")
}

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

# Single backticks in docstrings name Python objects.
default_role = "py:obj"

# The pages of the reference list the members themselves.
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 90


def shorten_defaults(*event: object) -> tuple[str, object] | None:
    """Write what a field's factory makes as an ellipsis: Sphinx cannot parse `<factory>`."""
    signature, returns = event[-2:]
    if not isinstance(signature, str):
        return None
    return re.sub(r"<factory>|<function [^>]*<lambda>[^>]*>", "...", signature), returns


def setup(app: Sphinx) -> None:
    """Connect what this file adds."""
    app.connect("autodoc-process-signature", shorten_defaults)
