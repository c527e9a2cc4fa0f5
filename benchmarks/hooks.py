"""What the hooks of a step cost: three extensions, each a wrapper and an observer, against the component by hand.

Two figures. The overhead: what a step pays for being called through its hook and for being told of (begun, finished),
above the plain method. And the set-up: finding the hooks of component and extensions, and checking them, once a step.

python benchmarks/hooks.py --json benchmarks/results/hooks.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from timing import facts

from itune_core.api import Filter, Keep, hookimpl
from itune_core.plugins.session import Observers, Session

GOAL = 50e-6
EXTENSIONS = 3
CALLS = 2_000


class Pass(Filter):
    """Does nothing, so that only the way to it is measured."""

    @hookimpl
    def itune_filter(self, inputs: Any, context: Any) -> Any:
        return KEPT


class Both:
    """Wraps the stage and watches every step."""

    @hookimpl(wrapper=True)
    def itune_filter(self, inputs: Any) -> Any:
        return (yield)

    @hookimpl
    def itune_step_started(self, step: str, component: str) -> None: ...

    @hookimpl
    def itune_step_progressed(self, step: str, done: int, figures: Mapping[str, float]) -> None: ...

    @hookimpl
    def itune_step_finished(self, step: str, manifest: Mapping[str, Any]) -> None: ...


KEPT = [Keep()]
INPUTS: dict[str, Any] = {"inputs": {}, "context": None}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=15, help="turns of each; the median counts")
    arguments.add_argument("--json", type=Path, help="where to write the result")
    given = arguments.parse_args()

    component = Pass(Pass.Config())
    extensions = [Both() for _ in range(EXTENSIONS)]
    session = Session("filters", component, extensions)
    observers = Observers(extensions, print)

    def told() -> None:
        observers.step_started("step", "filters/pass", "key")
        observers.step_finished("step", "filters/pass", "key", {"reused": False})

    turns = {
        "method": _turns(lambda: component.itune_filter(**INPUTS), given.repeats),
        "hook": _turns(lambda: session.call(**INPUTS), given.repeats),
        "observers": _turns(told, given.repeats),
        "progress": _turns(lambda: observers.step_progressed("step", 1, 2, {}), given.repeats),
        "setup": _turns(lambda: Session("filters", component, extensions), given.repeats, calls=50),
    }
    medians = {name: statistics.median(times) for name, times in turns.items()}
    overhead = medians["hook"] + medians["observers"] - medians["method"]
    print(_table(medians, overhead))
    if given.json:
        result = {
            "extensions": EXTENSIONS,
            "goal": GOAL,
            "overhead": overhead,
            "medians": medians,
            "turns": turns,
            **facts(),
        }
        given.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def _turns(call: Callable[[], Any], repeats: int, calls: int = CALLS) -> Sequence[float]:
    """CPU seconds of one call, a value for each turn."""
    call()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(calls):
            call()
        times.append((time.process_time() - began) / calls)
    return times


def _table(medians: Mapping[str, float], overhead: float) -> str:
    shown = {
        "plain method": medians["method"],
        f"its hook, {EXTENSIONS} wrappers": medians["hook"],
        f"begun and finished, {EXTENSIONS} observers": medians["observers"],
        "overhead of a step": overhead,
        f"one report of progress, {EXTENSIONS} observers": medians["progress"],
        "set-up of a step": medians["setup"],
    }
    lines = [f"{'':40}{'microseconds':>14}", *(f"{name:40}{1e6 * value:>14.1f}" for name, value in shown.items())]
    return "\n".join([*lines, f"goal: overhead of at most {1e6 * GOAL:.0f}"])


if __name__ == "__main__":
    main()
