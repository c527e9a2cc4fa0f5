"""A run as a person sees it: a bar per running step on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from itune_core.cli.terminal import safe


class RunDisplay:
    """Shows the events of a run; its :meth:`hear` is the run's listener.

    Args:
        console: where to; standard error, so that standard output holds results only.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> RunDisplay:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def hear(self, event: Mapping[str, Any]) -> None:
        """Show one event."""
        name = event["event"]
        if name == "step started":
            step, component = safe(event["step"]), safe(event["component"])
            self._tasks[event["step"]] = self._bars.add_task(escape(f"{step} ({component})"), total=None, figures="")
            if not self._console.is_terminal:
                self._say(f"{step}: {component} ...")
        elif name == "progress" and event["step"] in self._tasks:
            figures = " ".join(f"{key} {_spelt(value)}" for key, value in event.items() if isinstance(value, float))
            task = self._tasks[event["step"]]
            self._bars.update(task, completed=event["done"], total=event["total"], figures=figures)
        elif name == "step finished":
            if event["step"] in self._tasks:
                self._bars.remove_task(self._tasks.pop(event["step"]))
            done = "already made" if event["reused"] else f"done in {event['seconds']:.1f} s"
            self._say(f"{safe(event['step'])}: {done}")
        elif name == "warning":
            self._say(f"warning: {safe(event['text'])}", style="yellow")

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _spelt(value: float) -> str:
    """A figure for people: a count in full, a measurement to four digits."""
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
