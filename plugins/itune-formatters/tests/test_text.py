from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import BadRow, Failed, Kind, Record, Row, RowError
from itune_core.testing import BenchContext
from itune_formatters.texts.text import Text
from itune_formatters.texts.units import LONGEST, units

WIKI = """
 = Ash =

An ash is a tree .

 = = Leaves = =

They are green .
 = Oak =
An oak is another .
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[tuple[str, Any]]]:
    """What becomes of a file of text: (line, text, reason or code)."""

    def read(content: str | bytes, name: str = "words.txt", **settings: Any) -> list[tuple[str, Any]]:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        component = Text(Text.Config(path=str(tmp_path / name), **settings))
        component = Text(component.settle(None))  # type: ignore[arg-type]  # it measures nothing
        return [
            (where.rpartition(":")[2], getattr(item, "reason", getattr(item, "code", None)) or item["text"])  # type: ignore[index]
            for where, item in component.itune_format(context=BenchContext(tmp_path))
        ]

    return read


def test_a_field(run: Any) -> None:
    made, blank, failed = run(Text, [{"text": " 한국어\n", "url": "u", "source": "c4"}, {"text": " \n"}, {"text": 7}])
    assert (made.kind, made["text"], made["source"], made["meta"]) == (Kind.TEXT, " 한국어\n", "c4", '{"url": "u"}')
    assert blank.reason == "empty-text"
    assert failed.code == "E-DATA-003"
    [made] = run(Text, [{"body": "b", "text": "t"}], column="body")
    assert (made["text"], json.loads(made["meta"])) == ("b", {"text": "t"})


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("line", [("2", " = Ash ="), ("4", "An ash is a tree ."), ("6", " = = Leaves = ="), ("8", "They are green ."),
                  ("9", " = Oak ="), ("10", "An oak is another .")]),
        ("paragraph", [("2", " = Ash ="), ("4", "An ash is a tree ."), ("6", " = = Leaves = ="),
                       ("8", "They are green .\n = Oak =\nAn oak is another .")]),
        ("article", [("2", " = Ash =\n\nAn ash is a tree .\n\n = = Leaves = =\n\nThey are green ."),
                     ("9", " = Oak =\nAn oak is another .")]),
        ("document", [("2", WIKI.strip("\n"))]),
    ],
)  # fmt: skip
def test_units(read: Any, unit: str, expected: list[tuple[str, str]]) -> None:
    assert read(WIKI, unit=unit) == expected
    assert read(WIKI, name="words.gz", unit=unit) == expected


def test_chunks(read: Any) -> None:
    assert read(WIKI, unit="article", max_characters=30) == [
        ("2", " = Ash =\n\nAn ash is a tree ."),
        ("6", " = = Leaves = ="),
        ("8", "They are green ."),
        ("9", " = Oak =\nAn oak is another ."),
    ]
    assert read("aa\n\nbb\n\ncc\n\nddddddddd\n\nee", unit="document", max_characters=6) == [
        *(("1", "aa\n\nbb"), ("5", "cc"), ("7", "ddddddddd"), ("9", "ee")),
    ]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("line", [("1", "a"), ("2", "E-DATA-009"), ("4", "b"), ("6", "c")]),
        ("paragraph", [("2", "E-DATA-009"), ("4", "b"), ("6", "c")]),
        ("article", [("2", "E-DATA-009")]),
        ("document", [("2", "E-DATA-009")]),
    ],
)
def test_bytes_that_are_no_text_spoil_their_unit_alone(read: Any, unit: str, expected: Any) -> None:
    assert read(b"a\n\xff\n\nb\n\nc", unit=unit) == expected


def test_a_chunk_does_not_reach_over_a_hole(read: Any) -> None:
    assert read(b"a\n\nb\n\n\xff\n\nc", unit="document", max_characters=9) == [
        *(("1", "a\n\nb"), ("5", "E-DATA-009"), ("7", "c")),
    ]


def test_encodings(read: Any) -> None:
    content = "질문입니다\n\n답변입니다\n"
    for encoding in ("cp949", "utf-16", "utf-8"):
        found = read(content.encode(encoding), unit="paragraph", reading={"encoding": encoding})
        assert [text for _, text in found] == ["질문입니다", "답변입니다"]
    assert [code for _, code in read(content.encode("cp949"), unit="paragraph")] == ["E-DATA-009", "E-DATA-009"]


def test_files_are_not_joined(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name)
    component = Text(Text.Config(path=str(tmp_path / "*.txt"), unit="paragraph"))
    made = [(Path(where).name, item["text"]) for where, item in component.itune_format(context=BenchContext(tmp_path))]  # type: ignore[index]
    assert made == [("a.txt:1", "a"), ("b.txt:1", "b")]
    limited = Text(Text.Config(path=str(tmp_path / "*.txt"), unit="paragraph", limit=1, source="mine"))
    [(_, made_)] = limited.itune_format(context=BenchContext(tmp_path))
    assert isinstance(made_, Record)
    assert made_["source"] == "mine"


@pytest.mark.parametrize(
    "settings",
    [
        {"max_characters": 10},
        {"unit": "paragraph", "max_characters": 10},
        {"unit": "line", "reading": {"format": "jsonl"}},
        {"unit": "document", "path": None, "hub": {"repo": "a/b", "revision": "main"}},
    ],
)
def test_settings_that_do_not_fit(settings: Any) -> None:
    with pytest.raises(ValidationError):
        Text.Config(**{"path": "a.txt", **settings})


def test_a_unit_that_is_too_long_fails_and_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    with path.open("w") as stream:
        stream.writelines(f"{number:099d}\n" for number in range(3 * LONGEST // 100))
        stream.write("\nend\n")
    component = Text(Text.Config(path=str(path), unit="paragraph"))
    tracemalloc.start()
    (_, failed), (_, last) = component.itune_format(context=BenchContext(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(failed, Failed)
    assert failed.code == "E-FORMAT-050"
    assert isinstance(last, Record)
    assert peak < 3 * LONGEST


LINES = st.lists(st.sampled_from(["", " ", "a", "bb", " = T = ", " = = U = = ", "!"]), max_size=30)


@given(
    lines=LINES, unit=st.sampled_from(["line", "paragraph", "article", "document"]), most=st.none() | st.integers(1, 12)
)
def test_no_line_is_lost_or_said_twice(lines: list[str], unit: Any, most: int | None) -> None:
    """``!`` stands for a line that cannot be read."""
    if unit in ("line", "paragraph"):
        most = None
    rows = [
        BadRow(RowError("bad"), f"f:{number}") if line == "!" else Row({"text": line}, f"f:{number}")
        for number, line in enumerate(lines, start=1)
    ]
    made = list(units(rows, unit, most))
    places = [int(row.where.removeprefix("f:")) for row in made]
    assert len(set(places)) == len(places)
    said = [line for row in made if isinstance(row, Row) for line in row["text"].split("\n") if line.strip()]
    written = [line for line in lines if line.strip() and line != "!"]
    if "!" not in lines:
        assert said == written
        assert places == sorted(places)
    for row in made:
        if isinstance(row, Row):
            assert row["text"].split("\n")[0] == lines[int(row.where.removeprefix("f:")) - 1]
            if most is not None and len(row["text"]) > most:
                assert "\n\n" not in row["text"]


def test_real_texts(run: Any, real: Any, tally: Any) -> None:
    assert tally(run(Text, real("corpus/c4_demo.jsonl.gz"))) == {"record": 300}
    for name, unit, count in (
        ("wiki_demo", "line", 30),
        ("wikitext2_valid", "line", 2461),
        ("wikitext2_valid", "paragraph", 1160),
        ("wikitext2_valid", "article", 60),
        ("shakespeare", "paragraph", 7222),
        ("shakespeare", "document", 1),
    ):
        path = real(f"corpus/{name}.txt.gz")
        outcomes = run(Text, path, unit=unit)
        assert tally(outcomes) == {"record": count}
        said = "\n".join(item["text"] for item in outcomes).split()
        assert said == gzip.decompress(Path(path).read_bytes()).decode().split()
    path = real("corpus/shakespeare.txt.gz")
    chunks = [item["text"] for item in run(Text, path, unit="document", max_characters=2000)]
    packed: list[str] = []
    for paragraph in re.split(r"\n\s*\n", gzip.decompress(Path(path).read_bytes()).decode().strip()):
        if packed and len(packed[-1]) + 2 + len(paragraph) <= 2000:
            packed[-1] += f"\n\n{paragraph}"
        else:
            packed.append(paragraph)
    assert (len(chunks), chunks) == (615, packed)
