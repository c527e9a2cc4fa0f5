"""Reports: a run as one HTML file, and what it measured as a table.

Importing this package is cheap: the command line takes :mod:`itune_core.report.escapes` from it at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from itune_core.engine.runs import RunRecord
    from itune_core.engine.store import Store


def write_report(run: RunRecord, store: Store, file: Path | None = None) -> Path:
    """Write the report of a run: one HTML file that needs nothing else, holds no script and fetches nothing.

    Args:
        run: its record; the run may have failed or still go on.
        store: holds the artifacts; what was removed from it is left out, and the report says so.
        file: where to; ``report.html`` in the run's folder if None.

    Returns:
        The path written.
    """
    from itune_core.report.page import render

    file = file or run.folder / "report.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render(run, store), "utf-8")
    return file
