"""Sets of texts to draw from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from itune_core.api import DataError
from itune_generators.asking.line_sets import line_set

BUILT_IN = sorted(
    str(path.relative_to(root)).removesuffix(".txt")
    for root in [Path(str(files("itune_generators"))) / "prompts"]
    for path in root.rglob("*.txt")
)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_set_can_be_used(name: str) -> None:
    assert line_set(name, least=2)


def test_languages_have_sets_of_one_size() -> None:
    sizes: dict[tuple[str, str], set[int]] = {}
    for name in BUILT_IN:
        method, _, which = name.split("/")
        sizes.setdefault((method, which), set()).add(len(line_set(name)))
    assert {"constitutional", "distill"} <= {method for method, _ in sizes}
    assert all(len(found) == 1 for found in sizes.values())


def test_there_are_at_least_sixteen_principles() -> None:
    assert len(line_set("constitutional/en/principles")) >= 16


def test_a_file_in_its_place(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("# mine\n\n  Be kind. \nBe brief. {{ 7 * 7 }}\n", "utf-8")
    assert line_set("constitutional/en/principles", str(own)) == ["Be kind.", "Be brief. {{ 7 * 7 }}"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"# none\n", "it holds 0, and 2 are drawn"),
        (b"Be kind.\n", "it holds 1, and 2 are drawn"),
        (b"Be kind.\nBe brief.\nBe kind.\n", "it holds 'Be kind.' twice"),
        (b"\xff\xfe\n", "decode"),
        (None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, why: str) -> None:
    own = tmp_path / "own.txt"
    if content is not None:
        own.write_bytes(content)
    with pytest.raises(DataError) as caught:
        line_set("constitutional/en/principles", str(own), least=2)
    assert caught.value.code == "E-GEN-030"
    assert why in str(caught.value.why)
    assert str(own) in str(caught.value)
