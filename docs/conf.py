"""Sphinx's settings: Markdown by MyST, the API by autodoc, nothing fetched from elsewhere when building or reading."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

import itune_core

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "itune"
author = "the itune authors"
copyright = "the itune authors, Apache-2.0"
release = version = itune_core.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
extensions += ["error_codes", "mathml", "titles"]  # beside this file

# Every page is a Markdown file that reads well on a forge too, so of MyST's syntax only what degrades into plain text.
source_suffix = {".md": "markdown"}
exclude_patterns = ["__pycache__"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Docstrings are Google style with `names` in single backticks, which are code.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_default_options = {"exclude-members": "Config, model_config"}  # settings are on the page of contracts
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 120
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

smartquotes_action = "D"  # what is quoted is often to be typed
nitpicky = True
# Types of other projects: their documentation is not read, as nothing is fetched when building.
nitpick_ignore_regex = [(r"py:.*", r"(?!itune_).*")]
nitpick_ignore = [("py:class", f"itune_core.api.context.{name}") for name in ("Item", "Result")]  # type variables

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "itune"
html_static_path = ["assets"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True


def _readable(
    app: Sphinx, what: str, name: str, described: Any, options: Any, signature: str | None, gives: str | None
) -> tuple[str | None, str | None]:
    """A signature that says something and can be laid out: not that of a protocol, and without ``=<factory>``."""
    if signature == "(*args, **kwargs)":
        return "", gives
    return signature and signature.replace("<factory>", "..."), gives


def setup(app: Sphinx) -> None:
    """Sphinx's entry point."""
    app.connect("autodoc-process-signature", _readable)
