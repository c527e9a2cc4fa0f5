"""Errors that the engine raises."""

from __future__ import annotations

from itune_core.api.errors import ItuneError


class RunError(ItuneError):
    """A step could not be executed, or what it gave breaks the contract of its stage."""

    exit_code = 4


class StoreError(ItuneError):
    """Something asked for is not in the store, or what is there is broken."""

    exit_code = 1
