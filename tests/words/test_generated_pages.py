"""How pages are made from code: docstrings to Markdown, smallest recipes, titles of blocks, anchors of errors."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from itune_core.api.hookspecs import STAGES
from itune_core.plugins import catalog

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module of `docs`; forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(DOCS)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(DOCS)):
            del sys.modules[name]


def test_a_docstring_becomes_markdown(script: Any) -> None:
    def described() -> None:
        """One :class:`~itune_core.api.outcomes.Keep`, ``code`` and `name`, :math:`x_1`::

            first = 1

            second = 2

        After.

        .. math:: x^2

        Args:
            one, two: of these
                many.
            three: none.

        Returns:
            Two
            lines.
        """

    assert script("docstrings").body(described) == (
        "One `Keep`, `code` and `name`, $x_1$:\n\n```python\nfirst = 1\n\nsecond = 2\n```\n\nAfter.\n\n$$x^2$$\n\n"
        "*Takes:*\n\n- `one`, `two`: of these\n  many.\n- `three`: none.\n\n*Gives:* Two lines."
    )


def test_a_title_becomes_a_caption_and_nothing_else_changes(script: Any) -> None:
    captioned = script("titles").captioned
    assert captioned('```python title="a.py"\nx\n```\n') == "```{code-block} python\n:caption: a.py\n\nx\n```\n"
    for text in ("```python\nx\n```\n", "```bash run\nx\n```\n", 'a `title="x"` in a line\n'):
        assert captioned(text) == text


def test_a_smallest_recipe_that_does_not_compile_is_an_error(script: Any) -> None:
    from itune_core.recipe.errors import RecipeProblems

    smallest = script("smallest_recipe")
    with pytest.raises(RecipeProblems):
        smallest._compiles("itune: 1\nname: x\nsteps:\n  rows: {uses: formatters/messages}\n")


def test_every_stage_and_every_component_has_its_section(script: Any) -> None:
    contracts = (DOCS / "stages.md").read_text("utf-8")
    for stage, (_, hook) in STAGES.items():
        assert f"\n## {stage}\n" in contracts
        assert f"def {hook}(" in contracts
    ours = script("components_page").OURS
    for stage in catalog.GROUPS:
        for entry in catalog.entries(stage):
            if entry.distribution in ours:
                page = (DOCS / "components" / f"{stage}.md").read_text("utf-8")
                section = page.partition(f"\n## {entry.label}\n")[2].partition("\n## ")[0]
                assert re.search(rf"```yaml\nitune: 1\n(.*\n)*?.*\b{entry.name}\b", section), entry.label


def test_every_code_has_one_anchor() -> None:
    text = (DOCS / "errors.md").read_text("utf-8")
    codes = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert codes == sorted(set(codes))
    assert {"E-RUN-010", "E-PLUGIN-010"} <= set(codes)
    assert all(re.fullmatch(r"E-[A-Z]+-\d{3}", code) for code in codes)


def test_links_to_anchors_within_the_docs_are_there() -> None:
    """The site's build checks them too, in a session of its own; here they fail fast."""

    def anchors(page: Path) -> set[str]:
        headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    missing = [
        f"{page.relative_to(DOCS)}: {target}#{anchor}"
        for page in DOCS.rglob("*.md")
        for target, anchor in re.findall(r"\]\(([\w./-]*)#([^)\s]+)\)", page.read_text("utf-8"))
        if anchor not in anchors((page.parent / target) if target else page)
    ]
    assert missing == []
