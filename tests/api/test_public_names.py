"""``itune_core.api`` gives every public name, and imports pydantic only for those that need it."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import itune_core.api as api


@pytest.mark.parametrize("name", api.__all__)
def test_every_public_name_is_there_and_is_no_module(name: str) -> None:
    """A function named as its module is (`records`) must not be hidden when somebody imports the module."""
    __import__("itune_core.api.components")
    assert not isinstance(getattr(api, name), types.ModuleType)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Formater'"):
        _ = api.Formater  # type: ignore[attr-defined]


def test_errors_and_hooks_cost_no_pydantic() -> None:
    script = (
        "import sys\n"
        "import itune_core.api.errors, itune_core.api.hookspecs, itune_core.plugins.catalog\n"
        "print('pydantic' in sys.modules)\n"
        "from itune_core.api import ComponentConfig, records\n"
        "print('pydantic' in sys.modules, callable(records))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]
