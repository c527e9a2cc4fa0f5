"""Link every error code: wherever a page or docstring shows ``E-RUN-001`` as code, it leads to its section.

Anchors are the codes in lower case (``errors/#e-run-001``). A code that the page does not have is a warning, and so an
error where warnings are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGE = "errors"
_CODE = re.compile(r"E-[A-Z]+-\d{3}")
_log = logging.getLogger(__name__)


class LinkErrorCodes(SphinxPostTransform):
    """Put a reference around each literal that is a code, on every page but the codes' own."""

    default_priority = 700  # after the references of the page itself are resolved

    def run(self, **kwargs: object) -> None:
        """Rewrite one page."""
        if self.env.docname == PAGE:
            return
        known = {name for node in self.env.get_doctree(PAGE).findall(nodes.section) for name in node["ids"]}
        for literal in [*self.document.findall(nodes.literal)]:
            code = literal.astext()
            if not _CODE.fullmatch(code) or isinstance(literal.parent, nodes.reference):
                continue
            if code.lower() not in known:
                _log.warning("no error %s on the page of errors", code, location=literal)
                continue
            literal.replace_self(
                make_refnode(self.app.builder, self.env.docname, PAGE, code.lower(), literal.deepcopy(), code)
            )


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.add_post_transform(LinkErrorCodes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
