"""Observers: every one is called, with what it takes; none changes, delays or stops a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from itune_core.api import hookimpl
from itune_core.plugins.session import Observers, Session, wraps


class Wraps:
    """Only wraps: of no interest to those who tell observers."""

    @hookimpl(wrapper=True)
    def itune_filter(self) -> Any:
        return (yield)


class Watch:
    """Sees everything."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    @hookimpl
    def itune_run_started(self, run: str, recipe: str) -> None:
        self.seen.append(("run started", run, recipe))

    @hookimpl
    def itune_step_started(self, step: str) -> None:
        self.seen.append(("step started", step))

    @hookimpl
    def itune_step_progressed(self, step: str, done: int, total: int | None, figures: Any) -> None:
        self.seen.append(("step progressed", step, done, total, dict(figures)))

    @hookimpl
    def itune_step_finished(self, step: str, manifest: Any) -> None:
        self.seen.append(("step finished", step, manifest["reused"]))

    @hookimpl
    def itune_run_finished(self, error: str | None) -> None:
        self.seen.append(("run finished", error))


class Fails:
    calls = 0

    @hookimpl
    def itune_step_started(self) -> None:
        raise OSError("disk full")

    @hookimpl
    def itune_step_progressed(self) -> None:
        self.calls += 1
        raise OSError("still full")


def test_every_observer_is_called_and_none_stops_the_run() -> None:
    first, last = Watch(), Watch()
    warnings: list[str] = []
    observers = Observers([first, Fails(), Wraps(), last], warnings.append)
    observers.run_started("r1", "recipe.yaml", Path("runs/r1"))
    observers.step_started("sft", "trainers/sft", "key")
    observers.step_finished("sft", "trainers/sft", "key", {"reused": False})
    observers.run_finished("r1", None)
    expected = [
        ("run started", "r1", "recipe.yaml"),
        ("step started", "sft"),
        ("step finished", "sft", False),
        ("run finished", None),
    ]
    assert first.seen == last.seen == expected
    assert len(warnings) == 1
    assert "itune_step_started" in warnings[0]
    assert "Fails raised OSError: disk full" in warnings[0]


def test_an_observer_that_fails_on_progress_is_told_of_once_and_left_in_peace() -> None:
    watch, fails, other = Watch(), Fails(), Fails()
    warnings: list[str] = []
    observers = Observers([fails, watch, other], warnings.append)
    for done in range(1000):
        observers.step_progressed("sft", done, 1000, {"loss": 1.5})
    assert len(watch.seen) == 1000
    assert watch.seen[3] == ("step progressed", "sft", 3, 1000, {"loss": 1.5})
    assert (fails.calls, other.calls) == (1, 1)
    assert ["itune_step_progressed" in warning for warning in warnings] == [True, True]
    observers.step_started("dpo", "trainers/dpo", "key")
    assert len(warnings) == 4, "its other hooks are still called"


def test_an_observer_takes_any_of_the_arguments() -> None:
    class Whole:
        @hookimpl
        def itune_run_started(self, run: str, recipe: str, folder: Path) -> None:
            self.seen = (run, recipe, folder)

    whole, part = Whole(), Watch()
    Observers([whole, part], pytest.fail).run_started("r", "recipe.yaml", Path("runs/r"))
    assert whole.seen == ("r", "recipe.yaml", Path("runs/r"))
    assert part.seen == [("run started", "r", "recipe.yaml")]


def test_an_interrupt_passes_an_observer() -> None:
    class Interrupted:
        @hookimpl
        def itune_run_started(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Observers([Interrupted()], print).run_started("r", "f", Path())


def test_an_observer_does_not_count_as_a_wrapper() -> None:
    class Pass:
        @hookimpl
        def itune_filter(self, inputs: Any) -> Any:
            return inputs

    assert not wraps(Watch(), "filters")
    assert Session("filters", Pass(), [Watch()]).call(inputs=[1], context=None) == [1]
