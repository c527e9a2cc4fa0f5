"""What keeps a new distribution from being written."""

from __future__ import annotations

from itune_core.api.errors import ItuneError


class ScaffoldError(ItuneError):
    """The name, the author or the folder of a new distribution cannot be used. Codes: ``E-SCAFFOLD-NNN``."""

    exit_code = 2
