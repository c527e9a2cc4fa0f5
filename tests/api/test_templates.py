"""What a template may do, and that nothing else gets out of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itune_core.api import DataError, Prompt, RowError, Template
from itune_core.api.templates import MAX_TEXT


@pytest.mark.parametrize(
    ("source", "row", "text"),
    [
        ("{{ a }} and {{ b }}", {"a": "x", "b": 2}, "x and 2"),
        ("{{ a.b[1] }}", {"a": {"b": ["x", "y"]}}, "y"),
        ("{{ row['two words'] }}", {"row": {"two words": "x"}}, "x"),
        ("{{ row }}", {"row": "a field of that name"}, "a field of that name"),
        ("{{ 질문 }}", {"질문": "무엇을?"}, "무엇을?"),
        ("{% if a %}{{ a }}{% else %}none{% endif %}", {"a": ""}, "none"),
        ("{{ a | default('nothing') }}", {}, "nothing"),
        ("{% for item in a %}{{ loop.index }}. {{ item }}\n{% endfor %}", {"a": ["x", "y"]}, "1. x\n2. y\n"),
        ("<b>{{ a }}</b>\n", {"a": "<&>"}, "<b><&></b>\n"),
        ("{{ a }}", {"a": "{{ b }}{% raw %}"}, "{{ b }}{% raw %}"),
        ("{{ a.removesuffix('<|end|>') }}", {"a": "x<|end|>"}, "x"),
        ("{{ a * 2 }}", {"a": 21}, "42"),
    ],
)
def test_templates(source: str, row: dict[str, Any], text: str) -> None:
    assert Template(source).render(row) == text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ a", "line 1"),
        ("a\n{% if %}", "line 2"),
        ("{{ a | nonsense }}", "nonsense"),
        ("{{ a | random }}", "random"),
        ("{{ range(9) }}", "range()"),
        ("{{ lipsum() }}", "lipsum()"),
        ("{{ a.__class__ }}", "out of reach"),
        ("{% include 'x' %}", "no other templates"),
        ("{% extends 'x' %}", "no other templates"),
        ("{% import 'x' as y %}", "no other templates"),
    ],
)
def test_what_no_row_could_make_right(source: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)")):
        Template(source).check()


@pytest.mark.parametrize(
    ("source", "row"),
    [
        ("{{ b }}", {"a": "x"}),
        ("{{ a.b }}", {"a": {}}),
        ("{{ a['__class__']['__mro__'] }}", {"a": "x"}),
        ("{{ a | attr('__class__') }}", {"a": "x"}),
        ("{{ '{0.__class__}'.format(a) }}", {"a": "x"}),
        ("{{ a.append(1) }}", {"a": []}),
        ("{{ a.update({'x': 1}) }}", {"a": {}}),
        ("{{ a + 1 }}", {"a": "x"}),
        ("{{ a * 999999999 }}", {"a": "x"}),
        ("{{ [0] * 999999999 }}", {}),
        ("{{ a ** a }}", {"a": 99999}),
        ("{{ 1 / a }}", {"a": 0}),
        ("{{ a.index('y') }}", {"a": ["x"]}),
        ("{{ a.items() }}", {"a": "x"}),
    ],
)
def test_a_row_that_cannot_be_rendered(source: str, row: dict[str, Any]) -> None:
    before = repr(row)
    with pytest.raises(RowError) as caught:
        Template(source).render(row)
    assert caught.value.code == "E-DATA-033"
    assert repr(row) == before


def test_a_text_may_not_grow_without_bound() -> None:
    row = {"a": "x" * 2**10, "many": list(range(2**13))}
    with pytest.raises(RowError) as caught:
        Template("{% for item in many %}{{ a }}{% endfor %}").render(row)
    assert caught.value.code == "E-DATA-034"
    assert len(Template("{{ a }}").render({"a": "x" * MAX_TEXT})) == MAX_TEXT


def test_what_a_template_prints_as_it_is() -> None:
    source = "{{ a }} {{ b.c }} {{ d | upper }}{% if e %}{{ f }}{% endif %}{{ g }}"
    assert Template(source).printed() == {"a", "g"}


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], Prompt]:
    """A prompt of a recipe's own, that may ask for `question`."""

    def make(source: str) -> Prompt:
        path = tmp_path / "own.jinja"
        path.write_text(source)
        return Prompt.read("itune_core", "none", str(path), frozenset({"question"}))

    return make


def test_a_prompt_is_one_turn_of_the_user(own: Callable[[str], Prompt]) -> None:
    row = "{{ 7 }} {% raw %} \x01 <b> {% endraw %}"
    [turn] = own("  Answer this.\n\n{{ question }}\n").turns(question=row)
    assert (turn["role"], turn["content"]) == ("user", f"Answer this.\n\n{row}")


@pytest.mark.parametrize(
    ("source", "why"), [("{{ answer }}", "there is no answer"), ("{% if %}", "line 1"), ("{{ f() }}", "no function")]
)
def test_a_prompt_that_no_row_could_make_right(own: Callable[[str], Prompt], source: str, why: str) -> None:
    with pytest.raises(DataError, match=why) as caught:
        own(source)
    assert caught.value.code == "E-DATA-035"
    assert "question" in (caught.value.fix or "")


def test_a_prompt_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="E-DATA-035"):
        Prompt.read("itune_core", "none", str(tmp_path / "none.jinja"), frozenset())
    with pytest.raises(DataError, match="E-DATA-035"):
        Prompt.read("itune_core", "none", None, frozenset())


def test_an_empty_prompt_fails_its_row(own: Callable[[str], Prompt]) -> None:
    with pytest.raises(RowError) as caught:
        own("{% if question %}{{ question }}{% endif %}").turns(question="")
    assert caught.value.code == "E-DATA-036"


@pytest.mark.parametrize(
    "source", ["{{ question" + "|upper" * 20_000 + " }}", "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}"]
)
def test_what_is_nested_too_deeply_is_no_template(source: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        Template(source).check()
