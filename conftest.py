"""For all tests, of the core and of the plugins: no test may be skipped unseen, and none fails for being slow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

DATA = Path(os.environ.get("ITUNE_TEST_DATA") or Path(__file__).parent.parent / "shared" / "data")

settings.register_profile("itune", deadline=None)  # a busy machine is no reason to fail
settings.load_profile("itune")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """On CI a skipped test fails the session where the real rows are at hand: nothing is left to excuse it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", ())) if reporter else 0
    if skipped and os.environ.get("CI") and DATA.is_dir():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many were skipped, also when it is none."""
    there = "are" if DATA.is_dir() else "are not"
    terminalreporter.write_line(
        f"{len(terminalreporter.stats.get('skipped', ()))} skipped; real rows {there} at {DATA}"
    )
