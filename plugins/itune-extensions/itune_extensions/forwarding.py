"""From what an observer sees to what a tracker shows: the one place where a run becomes flat figures and curves.

A tracker derives from :class:`Forwarding` and writes; what is written is decided here, so it is the same for all:

- settings of the run: ``recipe``, ``run``, ``seed``, and no others. Settings of components, paths, prompts, rows and
  the texts of errors never leave;
- curves: each figure that a step reports on its way, as ``<step>/<figure>`` over how far the step is;
- figures of a finished step: ``<step>/seconds``, ``<step>/counts/<outcome>``, ``<step>/metrics/<figure>``, and of an
  evaluator ``<step>/metrics/<model>/<figure>``.

Names are reduced to what every tracker takes: ``aligned[algorithm=dpo]`` becomes ``aligned_algorithm_dpo``.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from itune_core.api import ComponentConfig, PluginError, hookimpl


class Forwarding(ABC):
    """An observer that hands the figures of a run to a tracker.

    Attributes:
        library: the module it writes with.
        extra: the extra of itune-extensions that installs it.

    Raises:
        PluginError: ``E-EXTENSION-001`` the library is not installed. It is raised when the extension is made, before
            any step has cost anything.
    """

    library: ClassVar[str]
    extra: ClassVar[str]

    class Config(ComponentConfig):
        """No settings."""

    def __init__(self, config: Any) -> None:
        if find_spec(self.library) is None:
            raise PluginError(
                "E-EXTENSION-001",
                f"extensions/{self.extra} writes with {self.library}, which is not installed",
                fix=f"pip install 'itune-extensions[{self.extra}]', or leave it out: itune --no-extensions run RECIPE",
            )
        self.config = config
        self._folder: Path | None = None

    @abstractmethod
    def open(self, run: str, folder: Path, settings: Mapping[str, str | int]) -> None:
        """Begin a run of that name; `folder` is its own, `settings` are all that the tracker is told of it."""

    @abstractmethod
    def curve(self, step: str, figures: Mapping[str, float], position: int) -> None:
        """Points of curves at one position. Their names begin with ``<step>/``."""

    @abstractmethod
    def final(self, figures: Mapping[str, float]) -> None:
        """Figures of a step that is done."""

    @abstractmethod
    def close(self, failed: bool) -> None:
        """The run is over. Everything is on disk, or sent, when this returns."""

    @hookimpl
    def itune_run_started(self, run: str, folder: Path) -> None:
        record = json.loads((folder / "run.json").read_text("utf-8"))
        settings = {"recipe": record["name"], "run": run, "seed": record["seed"]}
        self.open(run, folder, settings)
        self._folder = folder  # set last: a tracker that could not be opened is not written to

    @hookimpl
    def itune_step_progressed(self, step: str, done: int, figures: Mapping[str, float]) -> None:
        if self._folder is not None and figures:
            curves = {plain(f"{step}/{name}"): float(value) for name, value in figures.items()}
            self.curve(plain(step), curves, done)

    @hookimpl
    def itune_step_finished(self, step: str, manifest: Mapping[str, Any]) -> None:
        if self._folder is not None:
            record = json.loads((self._folder / "run.json").read_text("utf-8"))
            models = {identity: name for name, identity in record["steps"][step]["identities"].items()}
            self.final({plain(f"{step}/{name}"): value for name, value in figures_of(manifest, models)})

    @hookimpl
    def itune_run_finished(self, error: str | None) -> None:
        if self._folder is not None:
            self._folder = None
            self.close(error is not None)


def figures_of(manifest: Mapping[str, Any], models: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """The numbers of an artifact's manifest, flat.

    Args:
        manifest: of the step.
        models: name by identity: an evaluator's figures are kept by the identities of models.
    """
    yield "reused", float(manifest["reused"])
    if not manifest["reused"]:
        yield "seconds", float(manifest["seconds"])
        yield "cpu_seconds", float(manifest["cpu_seconds"])
    for name, count in manifest["counts"].items():
        yield f"counts/{name}", float(sum(count.values()) if isinstance(count, Mapping) else count)
    for name, count in manifest["requests"].items():
        yield f"requests/{name}", float(count)
    for name, value in manifest.get("metrics", {}).items():
        if isinstance(value, Mapping):
            prefix = f"metrics/{models.get(name, name)}" if name else "metrics"
            yield from ((f"{prefix}/{figure}", float(number)) for figure, number in value.items() if _is_number(number))
        elif _is_number(value):
            yield f"metrics/{name}", float(value)


def plain(name: str) -> str:
    """A name of letters, digits, ``_``, ``.``, ``-`` and ``/``; each run of others becomes ``_``, at an end nothing."""
    return "/".join(re.sub(r"[^A-Za-z0-9_.-]+", "_", part).strip("_") or "_" for part in name.split("/"))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
