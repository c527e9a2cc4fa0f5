"""The library costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import itune_torch


def test_import_is_light() -> None:
    heavy = "[m for m in ('torch', 'transformers', 'peft', 'sentence_transformers', 'numpy') if m in sys.modules]"
    done = subprocess.run(
        [sys.executable, "-c", f"import itune_torch, sys; print({heavy})"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in itune_torch.__all__:
        assert getattr(itune_torch, name).__name__ == name


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'logprob'"):
        itune_torch.logprob  # noqa: B018
