"""A trial in another process, in which texts have other hashes and sets another order.

One process serves a whole session: what a component costs to import is paid once.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itune_core.api.asking import Reply, Request
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Failed, Rule
from itune_core.testing.lending import LendingContext, spelt
from itune_core.testing.watch import Sandbox

if TYPE_CHECKING:
    from itune_core.engine.views import View
    from itune_core.testing.trial import Trial

SEED = "PYTHONHASHSEED"


@dataclass(frozen=True)
class Errand:
    """A trial to make elsewhere; see :func:`itune_core.testing.trial.run`.

    Attributes:
        component, config: its class and its settled settings: an instance is made there.
        label, views, folder, rows: as there.
        replies: what the models said in the first trial, by request; the models themselves stay here.
        models: model sources by name.
        rules: fitted rules by the name of a step.
        seed: the step seed.
        bench: folder of the bench.
        sandbox: folder of the sandbox it lives in.
    """

    component: type[Any]
    config: Any
    label: str
    views: Mapping[str, list[View]]
    folder: Path
    rows: Sequence[str]
    replies: Mapping[str, Reply | Failed]
    models: Mapping[str, ModelSource]
    rules: Mapping[str, Rule]
    seed: int
    bench: Path
    sandbox: Path

    def reply(self, request: Request) -> Reply | Failed:
        """What was said to that request in the first trial."""
        key = spelt(request)
        if key not in self.replies:
            raise LookupError(f"it asks what it did not ask the first time: {key}")
        return self.replies[key]


@dataclass(frozen=True)
class Mishap:
    """What went wrong elsewhere, in words: an exception need not survive the way back."""

    what: str
    traceback: str


def attempt(errand: Errand) -> Trial | Mishap:
    """Do an errand in the other process, which is started if there is none."""
    global _pool
    if _pool is None:
        _pool = _started()
    try:
        return _pool.submit(_do, errand).result()
    except BrokenProcessPool:
        _pool = None
        return Mishap("the process ended", "")
    # What cannot be pickled raises anything.
    except Exception as error:
        return Mishap(f"{type(error).__name__}: {error}", traceback.format_exc())


_pool: ProcessPoolExecutor | None = None


def _started() -> ProcessPoolExecutor:
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with _other_hashes():
        pool.submit(int).result()  # the process starts now, in this environment
    return pool


@contextmanager
def _other_hashes() -> Iterator[None]:
    """Let processes that are started have another hash seed than this one, the same each time."""
    before = os.environ.get(SEED)
    os.environ[SEED] = "1" if before != "1" else "2"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SEED]
        else:
            os.environ[SEED] = before


def _do(errand: Errand) -> Trial | Mishap:
    from itune_core.testing.trial import run

    bench = LendingContext(errand.bench, reply=errand.reply, models=errand.models, rules=errand.rules, seed=errand.seed)
    with Sandbox(errand.sandbox).entered():
        try:
            component = errand.component() if errand.config is None else errand.component(errand.config)
            return run(component, errand.label, errand.views, bench, errand.folder, errand.rows)
        # A component's code runs here and may raise anything.
        except Exception as error:
            return Mishap(f"{type(error).__name__}: {error}", traceback.format_exc())
