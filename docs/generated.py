"""Write generated pages, or compare them with what is there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

DOCS = Path(__file__).resolve().parent


def write_or_check(script: str, pages: Mapping[str, str], folders: Iterable[str] = ()) -> int:
    """The command line of a script that generates pages. Returns the process' exit code.

    Args:
        script: its name, for messages.
        pages: Markdown by path under ``docs``.
        folders: folders under ``docs`` that hold nothing but these pages; others there are removed, or out of date.
    """
    parser = argparse.ArgumentParser(prog=script, description=f"Write {', '.join(pages)} in docs.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not up to date")
    check = parser.parse_args().check
    files = {DOCS / name: text for name, text in pages.items()}
    stale = [path for folder in folders for path in sorted((DOCS / folder).glob("*.md")) if path not in files]
    if check:
        wrong = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
        for path in wrong + stale:
            print(f"docs/{path.relative_to(DOCS)} is out of date: python docs/{script}", file=sys.stderr)
        return 1 if wrong or stale else 0
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    for path in stale:
        path.unlink()
    return 0
