"""Places: where a project keeps what it made, and where the user keeps what projects share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs


@dataclass(frozen=True)
class Home:
    """A project's ``.itune`` folder."""

    root: Path

    @classmethod
    def beside(cls, recipe: Path) -> Home:
        """The home of a recipe: ``ITUNE_HOME``, else ``.itune`` beside the file."""
        return cls(Path(os.environ.get("ITUNE_HOME") or recipe.resolve().parent / ".itune").absolute())

    @classmethod
    def here(cls) -> Home:
        """The home that commands without a recipe use: ``ITUNE_HOME``, else ``.itune`` in this folder."""
        return cls(Path(os.environ.get("ITUNE_HOME") or ".itune").absolute())

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def journal(self) -> Path:
        return self.root / "journal.sqlite"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def use(self) -> Path:
        """Locked, together with others, by whoever relies on the store; alone by whoever clears it."""
        return self.locks / "use.lock"

    @property
    def machine(self) -> Path:
        return self.root / "machine.json"

    @property
    def digests(self) -> Path:
        return self.root / "digests.json"


def user_cache() -> Path:
    """Unpacked models and other things that all projects of this user share (``ITUNE_CACHE`` overrides)."""
    return Path(os.environ.get("ITUNE_CACHE") or platformdirs.user_cache_dir("itune")).absolute()
