"""The way of a third party's plugins, from wheels in a fresh environment: generated, given a few lines of their own,
built, installed, listed, used, locked; tampered with and refused; mended."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

RECIPE = """
itune: 1
name: published
plugins: {allow: [itune-brief, itune-patient]}
models:
  student: {backend: transformers, model: ./tiny, dtype: float32, device: cpu}
steps:
  rows:  {uses: formatters/alpaca, with: {path: rows.jsonl}}
  brief: {uses: filters/brief, from: rows, with: {words: 3}}
  tuned: {uses: trainers/patient, from: brief, with: {model: student, learning_rate: 0.01, momentum: 0.5}}
"""

ANSWERS = ["The lark.", "The nightingale, the robin and the owl.", "A woodpecker.", "Grebes do."]


def edit(file: Path, *changes: tuple[str, str]) -> None:
    """Replace pieces of a file, each of which must stand in it exactly once."""
    text = file.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in\n{text}"
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def environment(fresh_environment: Callable[..., Any]) -> Any:
    """With both plugins, of which wheels were built and installed."""
    place = fresh_environment("pip", "hatchling")
    for stage, name in (("filters", "brief"), ("trainers", "patient")):
        place.run("itune", "plugins", "new", stage, name, "--author", "Ada", cwd=place.folder)
    brief = place.folder / "itune-brief" / "itune_brief" / "brief.py"
    edit(
        brief,
        ("share: float = Field(0.5, ge=0, le=1,", "words: int = Field(40, ge=1,"),
        ("Largest share of capitals that is kept.", "Most words of an answer that is kept."),
        ('return Drop("capitals", f"{capitals} of {len(letters)} letters")', 'return Drop("long")'),
        ("capitals > self.config.share * len(letters)", "len(answer.split()) > self.config.words"),
        ("        capitals = sum(letter.isupper() for letter in letters)\n", ""),
        (
            'letters = [letter for letter in record["messages"][-1]["content"] if letter.upper() != letter.lower()]',
            'answer = record["messages"][-1]["content"]',
        ),
    )
    edit(
        place.folder / "itune-patient" / "itune_patient" / "patient.py",
        ("from torch.optim import AdamW", "from torch.optim import SGD"),
        (
            "AdamW(model.parameters(), lr=settings.learning_rate)",
            "SGD(model.parameters(), lr=settings.learning_rate, momentum=settings.momentum)",
        ),
        ("    epochs: int", '    momentum: float = Field(0.9, ge=0, lt=1, description="Of SGD.")\n        epochs: int'),
    )
    for name in ("itune-brief", "itune-patient"):
        build = ("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place.wheels))
        place.run("python", *build, str(place.folder / name), cwd=place.folder)
    place.install(*(str(wheel) for name in ("brief", "patient") for wheel in place.wheels.glob(f"itune_{name}-*")))
    return place


@pytest.fixture(scope="module")
def project(environment: Any) -> Path:
    """A recipe that uses both, with its rows and model."""
    folder: Path = environment.folder / "project"
    folder.mkdir()
    make = "import pathlib, itune_torch; itune_torch.make_tiny_llama(pathlib.Path('tiny'))"
    environment.run("python", "-c", make, cwd=folder)
    rows = [{"instruction": f"Who is number {number}?", "output": answer} for number, answer in enumerate(ANSWERS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def test_generated_built_installed_used_locked_tampered_with_and_mended(environment: Any, project: Path) -> None:
    def itune(*arguments: str, code: int = 0) -> Any:
        return environment.run("itune", *arguments, cwd=project, code=code)

    listed = json.loads(itune("plugins", "list", "--json").stdout)
    labels = {f"{row['stage']}/{row['name']}": row["distribution"] for row in listed}
    assert labels["filters/brief"] == "itune-brief"
    assert labels["trainers/patient"] == "itune-patient"

    first = json.loads(itune("run", "recipe.yaml", "--json").stdout)["steps"]
    assert first["brief"]["counts"]["dropped"] == {"long": 1}
    assert first["tuned"]["counts"]["used"] == 3

    itune("lock", "recipe.yaml", "--find-links", str(environment.wheels))
    assert "fits" in itune("lock", "recipe.yaml", "--check").stdout
    assert all(step["reused"] for step in json.loads(itune("run", "recipe.yaml", "--json").stdout)["steps"].values())

    (brief,) = (environment.folder / "venv").glob("lib/*/site-packages/itune_brief/brief.py")
    good = brief.read_bytes()
    brief.write_bytes(good.replace(b"> self.config.words", b"< self.config.words"))
    assert len(brief.read_bytes()) == len(good)
    refused = itune("run", "recipe.yaml", code=3).stderr
    assert "E-LOCK-011" in refused
    assert "itune_brief/brief.py" in refused
    assert "itune sync recipe.yaml" in refused
    itune("lock", "recipe.yaml", "--check", code=1)

    assert "installing afresh itune-brief" in itune("sync", "recipe.yaml").stdout
    assert brief.read_bytes() == good
    assert all(step["reused"] for step in json.loads(itune("run", "recipe.yaml", "--json").stdout)["steps"].values())


def test_the_environment_is_not_this_one(environment: Any) -> None:
    """The test of the test: nothing above could have come from this checkout."""
    where = environment.run("python", "-c", "import itune_core; print(itune_core.__file__)", cwd=environment.folder)
    assert str(environment.folder) in where.stdout
    assert sys.prefix not in where.stdout
