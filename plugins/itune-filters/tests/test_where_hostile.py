"""Expressions that want more than to be true or false get an error, at once and with the place marked."""

from __future__ import annotations

import builtins
import os
import string
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_filters.expressions.grammar import MAX_DEPTH, parse
from itune_filters.expressions.tokens import MAX_CHARACTERS, Mistake
from itune_filters.where import Where

HOSTILE = {
    "import": "__import__('os').system('touch owned')",
    "import statement": "import os",
    "dunder of a column": "score.__class__.__mro__ == 'a'",
    "dunder of a text": "''.__class__ == 'a'",
    "attribute chain": "response.__class__.__base__.__subclasses__()",
    "method of a text": "response.format(id) == 'a'",
    "call of a builtin": "eval('1') == 1",
    "open a file": "open('owned', 'w') == 1",
    "getattr": "getattr(response, 'upper')() == 'A'",
    "lambda": "(lambda: score.a)() > 1",
    "comprehension": "[x for x in ().__class__.__bases__] == 1",
    "generator": "any(x for x in response)",
    "walrus": "(x := score.a) > 1",
    "assignment": "score.a = 1",
    "huge power": "9 ** 9 ** 9 ** 9 > score.a",
    "shift": "1 << 99999999 > score.a",
    "repeated text": "'a' * 999999999 == response",
    "format string": "f'{score.a}' == 'a'",
    "percent format": "'%999999999d' % 1 == response",
    "brace format": "'{0.__class__}' == response.format(1)",
    "unicode look-alike of a name": "sc\u043ere.a <= 1",
    "unicode look-alike of a sign": "score.a \u2264 1",
    "full-width letters": "\uff53core.a <= 1",
    "other digits": "score.a <= \u0661",
    "direction override": "score.a <= 1 \u202e and",
    "NUL": "score.a <= 1\x00",
    "NaN by name": "score.a != nan",
    "infinity by name": "score.a < inf",
    "infinity by size": "score.a < 1e999",
    "NaN by division": "0 / 0 != 0 / 0",
    "regex bomb": "matches(response, '(a+)+$')",
    "subscript": "response[0] == 'a'",
    "slice": "response[0:1] == 'a'",
    "star": "words(*response) > 1",
    "keyword": "words(x=response) > 1",
    "dictionary": "{'a': 1} == score.a",
    "ternary": "1 if score.a else 2",
    "semicolon": "score.a <= 1; import os",
    "comment": "score.a <= 1 # or else",
    "line continuation": "score.a \\\n <= 1",
    "text over lines": "source == 'a\nb'",
    "other escape": r"source == '\x41'",
    "yield": "(yield score.a) > 1",
    "true for all": "1 == 1",
    "nothing": "",
    "white space": " \n ",
    "deep parentheses": "(" * 400 + "score.a" + ")" * 400 + " > 1",
    "deep negation": "not " * 240 + "score.a",
    "deep minus": "-" * 900 + "score.a > 1",
    "deep calls": "lower(" * 150 + "response" + ")" * 150 + " == 'a'",
    "unclosed": "(" * 999,
    "too long": "score.a > 1 and " * 100_000 + "score.a > 1",
    "long text": "source == '" + "a" * 10_000_000 + "'",
    "quotes without end": "'" + "\\'" * 400,
    "many digits": "score.a > " + "9" * 900,
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_expression_does_nothing_but_produce_an_error(
    source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("Python was asked to run an expression")

    for name in ("eval", "exec", "compile", "__import__"):
        monkeypatch.setattr(builtins, name, never)
    began = time.process_time()
    try:
        parse(source)
    except Mistake as error:
        message = str(error)
    else:
        message = ""
    finally:
        spent = time.process_time() - began
        monkeypatch.undo()
    assert_marked(message)
    assert spent < 1
    assert not os.listdir(tmp_path)


def test_the_config_refuses_it_and_says_where() -> None:
    with pytest.raises(ValidationError, match=r"there is no function 'exec'.*at character 17: .*>>>exec<<<") as caught:
        Where.Config(keep="score.a <= 1 or exec('x')")
    assert len(caught.value.errors()) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "score.ifd <= 1 or scor.x > 1",
            "there is no 'scor.x'; there are score.STEP, .* at character 19: .*>>>scor.x<<<",
        ),
        ("score.ifd <= 1 score.x", "should end here.*>>>score.x<<<"),
        ("score.ifd <=", "should stand here; at character 13"),
        ("words(response) and score.a > 1", "this is a number, where a condition should stand.*>>>words.response.<<<"),
        ("score.a + source > 1", "this is a text, where a number should stand.*>>>source<<<"),
        ("source < 'b'", "texts are compared with == and != only"),
        ("source == 1", "this is a number, where a text should stand.*>>>1<<<"),
        ("words(response, 2) > 1", r"\) should stand here.*>>>,<<<"),
        ("contains(response) ", ", should stand here.*>>>.<<<"),
        ("source in ['a', 1]", "all numbers or all texts"),
        ("source in []", "a number or a quoted text should stand here.*>>>]<<<"),
        ("(score.a > 1) > 0", "this is a condition, where a number should stand"),
        ("score.a = 1", "equality is written =="),
        ("sc\u043ere.a < 1", "there is no CYRILLIC SMALL LETTER O; at character 3"),
        ("score.a.b.c < 1", "there is no 'score.a.b.c'"),
        ("12abc < score.a", "this is not a number"),
        ("source == \u201ca\u201d", "LEFT DOUBLE QUOTATION MARK"),
    ],
)
def test_mistakes_are_named_and_marked(source: str, message: str) -> None:
    with pytest.raises(Mistake, match=message):
        parse(source)


def test_the_bounds_are_as_wide_as_they_say() -> None:
    deepest = "(" * MAX_DEPTH + "score.a > 1" + ")" * MAX_DEPTH
    assert parse(deepest).holds({"score.a": 2.0})
    with pytest.raises(Mistake, match="nested"):
        parse(f"({deepest})")
    longest = "score.a > 1".ljust(MAX_CHARACTERS)
    assert parse(longest).holds({"score.a": 2.0})
    with pytest.raises(Mistake, match="characters"):
        parse(f"{longest} ")


def assert_marked(message: str) -> None:
    assert ">>>" in message
    assert len(message) < 400


@given(st.text(st.sampled_from("score.ab()[]<>=!'\"\\ +-*/0129,andorti\u0441\u2028") | st.characters(), max_size=60))
def test_any_text_is_parsed_or_refused(source: str) -> None:
    try:
        made = parse(source)
    except Mistake as error:
        assert_marked(str(error))
    else:
        assert made.names


@given(st.text(string.printable, max_size=200))
def test_recursion_is_bounded(source: str) -> None:
    limit = sys.getrecursionlimit()
    for opening in ("(", "not ", "-", "lower("):
        with pytest.raises(Mistake):
            parse((opening * 300 + source)[:MAX_CHARACTERS])
    assert sys.getrecursionlimit() == limit
