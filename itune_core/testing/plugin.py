"""The pytest plugin ``itune``: fixtures with a language model small enough for every test and with one that is only
made up, and how the conformance kit's tests are ordered and counted.

Loaded by pytest wherever itune-core is installed, so it imports nothing beyond pytest and the standard library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from itune_core.testing.verdict import DoesNotApply

if TYPE_CHECKING:
    from itune_core.api import Failed, Reply, Request
    from itune_core.testing.mock_llm import MockLLM

NEEDS = "runs a model: pip install itune-torch itune-backends"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a two-layer Llama with random weights and a real tokenizer; skips where itune-torch is missing."""
    itune_torch = pytest.importorskip("itune_torch", reason=NEEDS)
    folder: Path = itune_torch.make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")
    return folder


@pytest.fixture(scope="session")
def tiny_seq2seq_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an encoder-decoder model of that size, without a chat template; skips without itune-torch."""
    itune_torch = pytest.importorskip("itune_torch", reason=NEEDS)
    folder: Path = itune_torch.make_tiny_t5(tmp_path_factory.mktemp("models") / "tiny-seq2seq")
    return folder


@pytest.fixture(scope="session")
def tiny_reward_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reward model of that size; skips where itune-torch is missing."""
    itune_torch = pytest.importorskip("itune_torch", reason=NEEDS)
    folder: Path = itune_torch.make_tiny_reward(tmp_path_factory.mktemp("models") / "tiny-reward")
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path, tiny_reward_folder: Path) -> Iterator[Callable[[Request], Reply | Failed]]:
    """What answers for these models: the real backend, found by its entry point; skips where itune-backends is missing.

    Any model name in a request means the first, in a request for rewards the second.
    """
    from importlib.metadata import entry_points

    from itune_core.api import ModelSource, Rewards
    from itune_core.testing.answering import answer_with

    found = entry_points(group="itune.backends", name="transformers")
    if not found:
        pytest.skip(NEEDS)
    cls = found["transformers"].load()
    sources = {
        False: ModelSource(tiny_folder, "transformers", "tiny", str(tiny_folder)),
        True: ModelSource(tiny_reward_folder, "transformers", "tiny-reward", "tiny-reward", architecture="reward"),
    }
    opened: dict[bool, Any] = {}

    def reply(request: Request) -> Reply | Failed:
        judges = isinstance(request, Rewards)
        if judges not in opened:
            opened[judges] = cls(cls.Config(model=sources[judges].spec, dtype="float32", device="cpu"))
            opened[judges].open(sources[judges])
        return answer_with(opened[judges])(request)

    yield reply
    for backend in opened.values():
        backend.close()


@pytest.fixture
def mock_llm() -> Iterator[Callable[..., MockLLM]]:
    """Starts a language model's server on loopback: ``mock_llm(latency_ms=200)``; the test's end stops it."""
    from itune_core.testing.mock_llm import MockLLM

    with ExitStack() as servers:
        yield lambda **settings: servers.enter_context(MockLLM(**settings))


NOT_APPLICABLE = "not applicable"
"""How a test is counted that has nothing to ask of its component, and the name of the property that says why."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Within its class, what looks at the traces of all trials comes after the tests that make them."""
    items[:] = [
        item
        for _, group in groupby(items, key=lambda item: item.parent)
        for item in sorted(group, key=lambda item: hasattr(getattr(item, "function", None), "looks_at_all_trials"))
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report: pytest.TestReport = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, DoesNotApply):
        report.outcome, report.longrepr = "passed", None
        told = (NOT_APPLICABLE, str(call.excinfo.value))
        report.user_properties.append(told)
        item.user_properties.append(told)  # where JUnit's XML takes it from
    return report


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    if _reason(report) is not None:
        return NOT_APPLICABLE, "n", NOT_APPLICABLE.upper()
    return None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Which tests had nothing to ask, and why; those with the same reason on one line."""
    reports = terminalreporter.stats.get(NOT_APPLICABLE, ())
    found = Counter((report.nodeid.rpartition("::")[2], _reason(report)) for report in reports)
    if found:
        terminalreporter.section(NOT_APPLICABLE)
    for (test, reason), count in sorted(found.items()):
        terminalreporter.write_line(f"[{count}] {test}: {reason}")


def _reason(report: pytest.CollectReport | pytest.TestReport) -> str | None:
    """Why a test does not apply; None: it does."""
    if not isinstance(report, pytest.TestReport) or report.when != "call":
        return None
    return next((str(value) for name, value in report.user_properties if name == NOT_APPLICABLE), None)
