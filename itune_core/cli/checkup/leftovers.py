"""What older versions, killed runs and interrupted downloads left behind."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from itune_core.cli.checkup.finding import Finding
from itune_core.cli.terminal import size
from itune_core.engine import embedded
from itune_core.engine.errors import StoreError
from itune_core.engine.home import Home, user_cache
from itune_core.engine.keys import FORMAT
from itune_core.engine.presence import alone, state
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import MANIFEST
from itune_core.plugins import catalog


def listing() -> Iterator[Finding]:
    """Whether stevedore's cached listing, which completion reads, is what is installed."""
    folder = _stevedore_cache()
    stale = [
        stage
        for stage in catalog.GROUPS
        if catalog.names(stage) != sorted({entry.name for entry in catalog.entries(stage)})
    ]
    if stale:
        seen = f"out of date for {', '.join(stale)}: completion may lack names, runs do not"
        yield Finding("cache of entry points", True, seen, f"it mends itself in two minutes; at once: rm -r {folder}")
    else:
        yield Finding("cache of entry points", True, str(folder))


def models() -> Iterator[Finding]:
    """The embedded models, and what an interrupted download or conversion left of them."""
    cache = user_cache()
    for name in embedded.EMBEDDED:
        here = embedded.folder(name, cache)
        if not here.exists():
            yield Finding(f"embedded:{name}", True, "not fetched yet; fetched when first needed")
        elif (here / embedded.EMBEDDED[name].member).exists():
            yield Finding(f"embedded:{name}", True, "fetched")
        else:
            yield Finding(f"embedded:{name}", False, f"{here} lacks its files", f"rm -r {here}; it is fetched again")
    whole = {embedded.folder(name, cache).name for name in embedded.EMBEDDED}
    left = [path for path in _folders(cache / "embedded") if path.name not in whole]
    left += [path for path in _folders(cache / "converted") if path.name.endswith(".part")]
    if left:
        seen = f"{len(left)} half unpacked, {size(_bytes(left))}: {', '.join(path.name for path in left)}"
        yield Finding("cache of models", True, seen, f"if no run goes on: rm -r {' '.join(map(str, left))}")


def project() -> Iterator[Finding]:
    """The store and the runs of the project here, if there is one."""
    home = Home.here()
    if not home.root.is_dir():
        return
    yield from _store(home)
    yield from _runs(home)


def _store(home: Home) -> Iterator[Finding]:
    formats: Counter[int] = Counter()
    unreadable: list[str] = []
    for path in sorted(home.store.glob(f"*/{MANIFEST}")):
        try:
            formats[int(json.loads(path.read_text("utf-8"))["parts"]["format"])] += 1
        except (OSError, ValueError, KeyError, TypeError):
            unreadable.append(path.parent.name)
    if unreadable:
        seen = f"{len(unreadable)} artifacts whose manifest cannot be read: {', '.join(unreadable[:3])}"
        yield Finding("store", False, seen, f"rm -r {home.store / unreadable[0]}; the step that made it runs again")
    other = formats.total() - formats[FORMAT]
    if other:
        seen = f"{other} of {formats.total()} artifacts are of another format than {FORMAT}: no step finds them"
        yield Finding("store", True, seen, "itune cache gc --keep-runs N forgets old runs and what only they need")
    elif not unreadable:
        yield Finding("store", True, f"{formats.total()} artifacts at {home.store}")


def _runs(home: Home) -> Iterator[Finding]:
    killed = []
    for path in sorted(home.runs.glob("*/run.json")):
        try:
            if state(RunRecord(path.parent, json.loads(path.read_text("utf-8")))) == "killed":
                killed.append(path.parent.name)
        except (OSError, ValueError, KeyError, TypeError) as error:
            seen = f"the record of {path.parent.name} cannot be read: {type(error).__name__}"
            yield Finding("runs", False, seen, f"itune runs cannot list it: rm -r {path.parent}")
    if killed:
        seen = f"{len(killed)} were killed, the last of them {killed[-1]}"
        yield Finding("runs", True, seen, "run the recipe again: it goes on where that one stopped")
    left = [path for name in ("drafts", "work") for path in _folders(home.store / name)]
    if left and not _going_on(home):
        seen = f"{size(_bytes(left))} of drafts and checkpoints of {len(left)} steps that were stopped"
        yield Finding(
            "scratch", True, seen, "run the recipe again, which uses them; or itune cache gc, which deletes them"
        )


def _going_on(home: Home) -> bool:
    try:
        with alone(home):
            return False
    except StoreError:
        return True
    except OSError:  # it cannot be written to, which has a finding of its own
        return False


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _bytes(folders: Iterable[Path]) -> int:
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def _stevedore_cache() -> Path:
    """Where stevedore keeps its listing; it says so nowhere in public."""
    if sys.platform == "darwin":
        return Path("~/Library/Caches/Python Entry Points").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "python-entrypoints"
