"""YAML to nodes: exact places, plain scalars, and nothing that a text could do beyond being data."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.nodes import Node
from itune_core.recipe.yaml import MAX_BYTES, MAX_DEPTH, read_file, read_text, scalar


def read(text: str) -> tuple[Any, list[tuple[str, int]]]:
    """What a text holds, and the code and line of what is wrong with it."""
    problems = Problems(Path("recipe.yaml"))
    node = read_text(text, problems)
    return node and node.plain(), [(problem.code, problem.line) for problem in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),  # text to PyYAML, which follows YAML 1.1
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-3.", -3.0),
        ("+12", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 17),  # octal in YAML 1.1
        ("no", "no"),  # false in YAML 1.1
        ("on", "on"),
        ("12:30:45", "12:30:45"),  # 45045 in YAML 1.1
        ("2026-11-21", "2026-11-21"),  # a date in YAML 1.1
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("null", None),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("1e", "1e"),
        ("e5", "e5"),
        (".", "."),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_as_itself(value: float) -> None:
    assert read(f"x: {value!r}") == ({"x": value}, [])


@given(st.integers(-(10**50), 10**50))
def test_every_integer_is_read_as_itself(value: int) -> None:
    assert read(f"x: {value}") == ({"x": value}, [])


def test_an_absurdly_long_number_is_text_and_no_error() -> None:
    digits = "9" * 5000  # int() refuses more than 4300 digits
    assert read(f"x: {digits}") == ({"x": digits}, [])


def test_quoted_scalars_are_text() -> None:
    assert read("{a: '1', b: \"true\", c: |\n 2\n}")[1]  # a block scalar cannot stand in a flow mapping
    assert read("a: '1'\nb: \"true\"\nc: |\n  2\n") == ({"a": "1", "b": "true", "c": "2\n"}, [])


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@given(plain, st.booleans())
def test_what_a_dumper_writes_is_read_back(value: Any, flow: bool) -> None:
    found, problems = read(yaml.dump(value, Dumper=Dumper, default_flow_style=flow))
    assert problems == []
    assert found == value


KEYS = ["alpha", "beta", "gamma", "delta"]
noise = st.lists(st.sampled_from(["", "# a comment", "   ", "  # indented: comment", "#"]), max_size=4)


@given(st.lists(noise, min_size=9, max_size=9))
def test_places_survive_comments_and_blank_lines(gaps: list[list[str]]) -> None:
    """Every key and value keeps its own line and column, whatever stands between them."""
    lines: list[str] = []
    expected: dict[str, tuple[int, int]] = {}
    for number, key in enumerate(KEYS):
        lines += gaps[2 * number]
        lines.append(f"{key}:")
        expected[key] = (len(lines), 1)
        lines += gaps[2 * number + 1]
        lines.append(f"  inner: value{number}  # said at the end of a line")
        expected[f"{key}.inner"] = (len(lines), 3)
        expected[f"{key}.inner="] = (len(lines), 10)
    lines += gaps[8]
    problems = Problems(Path("recipe.yaml"))
    root = read_text("\n".join(lines), problems)
    assert root is not None
    assert not problems
    found: dict[str, tuple[int, int]] = {}
    for key, node in root.entries.items():
        inner = node.entries["inner"]
        assert node.key is not None
        assert inner.key is not None
        found[key] = (node.key.line, node.key.column)
        found[f"{key}.inner"] = (inner.key.line, inner.key.column)
        found[f"{key}.inner="] = (inner.place.line, inner.place.column)
    assert found == expected


def test_a_key_given_twice_names_both_lines() -> None:
    problems = Problems(Path("recipe.yaml"))
    node = read_text("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n", problems)
    assert node is not None
    assert node.plain() == {"a": 1, "b": {"c": 1, "d": 2}}
    told = [(problem.code, problem.line, problem.path, problem.what) for problem in problems]
    assert told == [
        (errors.DUPLICATE_KEY, 5, "b.c", "the key 'c' is given twice, first in line 3 and again in line 5"),
        (errors.DUPLICATE_KEY, 6, "a", "the key 'a' is given twice, first in line 1 and again in line 6"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "x: !!python/object/apply:os.system [touch /tmp/pwned]",
        "x: !!python/name:os.system",
        "!!python/module:os",
        "x: !custom {a: 1}",
        "x: !!set {a, b}",
        "x: !!binary aGk=",
        "!!python/object/new:os.system x: 1",
    ],
)
def test_tags_are_refused_and_never_obeyed(text: str) -> None:
    assert [code for code, _ in read(text)[1]] == [errors.TAG]


def test_aliases_are_refused_so_that_nothing_unfolds() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
    )
    start = time.process_time()
    value, problems = read(bomb)
    assert problems == [(errors.ANCHOR, 1)]
    assert value["a9"] == [None] * 9
    assert time.process_time() - start < 1


def test_a_recursive_alias_is_refused() -> None:
    assert read("a: &a [*a]")[1] == [(errors.ANCHOR, 1)]
    assert read("base: &b {x: 1}\nmore: {<<: *b}")[1] == [(errors.ANCHOR, 1)]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: "])
def test_deep_nesting_stops_early(opening: str) -> None:
    """PyYAML takes minutes for this, and recursion would overflow."""
    start = time.process_time()
    assert [code for code, _ in read(opening * 50_000)[1]] == [errors.DEPTH]
    assert time.process_time() - start < 2


def test_the_deepest_allowed_nesting_is_read() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH)[1] == []
    assert read("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2))[1] == [(errors.DEPTH, 1)]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n\tb: 1\n", 2, "a tab"),
        ("a: 1\nb: c: d\n", 2, "second ': '"),
        ("a: 'x\n", 2, "never closed"),
        ("a:\n  - b\n c: 1\n", 3, "indentation"),
        ("a: {b: 1\n", 2, "without its '}'"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\nb: \x07\n", 2, "U+0007"),
        ("a: @x\n", 1, "not YAML"),
    ],
)
def test_syntax_errors_are_told_in_plain_words_with_their_line(text: str, line: int, words: str) -> None:
    problems = Problems(Path("recipe.yaml"))
    read_text(text, problems)
    [problem] = problems
    assert (problem.code, problem.line) == (errors.SYNTAX, line)
    assert words in problem.what


@given(st.text(alphabet=st.sampled_from("ab:-[]{}#&*!|>'\"%@`\n\t ,?\x07\u2028é$"), max_size=60))
def test_no_text_ever_breaks_the_reader(text: str) -> None:
    """Any text is a tree of plain values or a list of problems with real lines; nothing else is raised."""
    problems = Problems(Path("recipe.yaml"))
    node = read_text(text, problems)
    assert isinstance(node, Node) or len(problems) > 0
    assert all(problem.line >= 1 for problem in problems)


def test_keys_are_text_as_written() -> None:
    assert read("1: a\ntrue: b\n1e-4: c\n") == ({"1": "a", "true": "b", "1e-4": "c"}, [])
    assert read("[1, 2]: a\n")[1] == [(errors.SHAPE, 1)]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def problem(name: str, content: bytes | None) -> tuple[str, int, str | None]:
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        problems = Problems(file)
        assert read_file(file, problems) is None
        [found] = problems
        return found.code, found.line, found.fix

    assert problem("latin.yaml", b"a: 1\nb: caf\xe9\n") == (errors.UNREADABLE, 2, "save the file as UTF-8")
    assert problem("big.yaml", b"#" * (MAX_BYTES + 1))[:2] == (errors.UNREADABLE, 1)
    (tmp_path / "recipe.yaml").write_text("itune: 1")
    assert problem("recpie.yaml", None) == (errors.UNREADABLE, 1, f"did you mean {tmp_path / 'recipe.yaml'}?")
    assert problem("nowhere/x.yaml", None)[0] == errors.UNREADABLE
    (tmp_path / "folder").mkdir()
    assert problem("folder", None)[0] == errors.UNREADABLE


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(b"\xef\xbb\xbfitune: 1\n")
    node = read_file(file, Problems(file))
    assert node is not None
    assert node.plain() == {"itune": 1}
