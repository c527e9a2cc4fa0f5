"""What templates may do in the sandbox, and that all of it is bounded."""

from __future__ import annotations

import random
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import RowError
from itune_formatters.tasks.metering import MAX_WORK, Metered, Unlabelled

ROW = {
    "words": ["pear", "fig", "pear"],
    "label": -1,
    "first": 0,
    "answer_choices": ["no", "yes"],
    "by": {"name": {"short": "Bo"}, "n": 2},
    "nothing": None,
    "long": "ab " * 500_000,
}


def render(source: str, seed: int = 0) -> str:
    environment = Metered()
    return environment.rendered(environment.compiled(source), ROW, random.Random(seed))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ words | join(', ') }}", "pear, fig, pear"),
        ("{{ ', '.join(words) | upper }}", "PEAR, FIG, PEAR"),
        ("{{ words | most_frequent }}", "['pear']"),
        ("{{ [] | most_frequent }}", "[]"),
        ("{{ words | map('upper') | join }} {{ words | unique | list }}", "PEARFIGPEAR ['pear', 'fig']"),
        ("{{ by.name.short }}{{ by['n'] + 1 }}", "Bo3"),
        ("{% for word in words %}{{ loop.index }}{{ word }}{{ ';' if not loop.last }}{% endfor %}", "1pear;2fig;3pear"),
        ("{% for a, b in zip(words, range(3)) %}{{ a ~ b }} {% endfor %}", "pear0 fig1 pear2 "),
        ("{% for k, v in by.items() %}{{ k }}{% endfor %}", "namen"),
        ("{% set ns = namespace(n=0) %}{% for w in words %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "3"),
        ("{{ 'a-b'.split('-')[1] }}{{ 'abc'[1:] }}{{ words[-1] }}", "bbcpear"),
        ("{{ answer_choices[first] }}{{ answer_choices[-1] }}{{ ['x', 'y'][first] }}", "noyesx"),
        ("{{ absent | default('x') }}{{ 'y' if absent is defined }}", "x"),
        ("{{ '<b>' }}{{ 'fig' in words }}{{ 'aa' | replace('a', 'bc') }}", "<b>Truebcbc"),
        ("{% set two = ['x', 'y'] %}{{ two }}{{ {'a': (1, 2)} }}", "['x', 'y']{'a': (1, 2)}"),
        ("{% set text %}{{ first }}!{% endset %}{{ text * 2 }}{{ 7 % 4 }}{{ 2 ** 10 }}", "0!0!31024"),
    ],
)
def test_what_templates_are_written_with(source: str, expected: str) -> None:
    assert render(source) == expected


def test_choices_hang_on_the_seed_and_nothing_else() -> None:
    source = "{{ range(100) | list | choice }} {{ range(100) | list | random }}"
    assert render(source, 3) == render(source, 3)
    assert len({render(source, seed) for seed in range(20)}) > 15
    assert len({render("{{ [1, 2, 3, 4, 5, 6, 7, 8] | choice }}", seed) for seed in range(20)}) > 3  # not folded


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ words.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ range.__self__ }}",
        "{{ self.__dict__ }}",
        "{{ by.__init__ }}",
        "{{ (words | map(attribute='__class__') | list)[0] }}",
        "{{ words | attr('__class__') }}",
        "{{ words.append('x') }}",
        "{{ by.update({'a': 1}) }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{a}'.format_map(by) }}",
        "{{ '%s' % words }}",
        "{{ os }}",
        "{{ lipsum() }}",
        "{{ self }}",
        "{{ range }}",
        "{{ namespace(a=1) }}",
        "{{ [namespace(a=1)] }}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for x in words recursive %}{{ loop(words) }}{% endfor %}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% filter upper %}a{% endfilter %}",
        "{{ nothing }}",
        "{{ absent }}",
        "{{ by.absent }}",
        "{{ range(10 ** 9) | length }}",
    ],
)
def test_what_they_may_not_do(source: str) -> None:
    with pytest.raises((jinja2.TemplateError, OverflowError)):
        render(source)
    assert ROW["words"] == ["pear", "fig", "pear"]


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10 ** 12 }}",
        "{{ [1] * 10 ** 12 }}",
        "{{ 10 ** 12 * 'ab' }}",
        "{% set b = 'x' * 1000 %}" + "{% set b = b ~ b %}" * 60 + "{{ b }}",
        "{% set b = 'x' * 1000 %}" + "{% set b = b + b %}" * 60 + "{{ b }}",
        "{% set b = [1] %}" + "{% set b = [b, b] %}" * 60 + "{{ b }}",
        "{% set b = [1] %}" + "{% set b = {'a': b, 'b': b} %}" * 60 + "{{ b == b }}",
        "{% set n = namespace(b='x' * 999) %}{% for i in range(99) %}{% set n.b = n.b ~ n.b %}{% endfor %}",
        "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3,
        "{% for i in range(99999) %}" + "words " * 1000 + "{% endfor %}",
        "{% set t %}{% for i in range(99999) %}" + "words " * 1000 + "{% endfor %}{% endset %}",
        "{% for i in range(99999) %}{{ long | length }}{% endfor %}",
        "{% for i in range(99999) %}{% if 'c' in long %}{% endif %}{% endfor %}",
        "{% for i in range(99999) %}{% if long is eq('c') %}{% endif %}{% endfor %}",
        "{% for i in range(99999) %}{{ long.count('c') }}{% endfor %}",
        "{% for i in range(99999) %}{{ long[1:] | length }}{% endfor %}",
        "{{ long | replace('a', long) }}",
        "{{ long.replace('a', long) }}",
        "{{ long.join(long) }}",
        "{{ range(99999) | join(long) }}",
        "{{ long | list | length }}",
        "{{ long.split() | length }}",
        "{{ range(99999) | map('replace', '1', long) | join }}",
        "{{ long | map('upper') | list | length }}",
    ],
)
def test_no_template_does_too_much(source: str) -> None:
    with pytest.raises(RowError) as caught:
        render(source)
    assert caught.value.code == "E-FORMAT-070"
    assert str(MAX_WORK) in (caught.value.why or "")


@pytest.mark.parametrize("source", ["{{ (10 ** 60) ** 9 }}", "{{ 2 ** (9 ** 9) }}", "{{ (2 ** 64) * (2 ** 64) }}"])
def test_numbers_stay_small(source: str) -> None:
    with pytest.raises(jinja2.TemplateError):
        render(source)


def test_a_budget_is_for_one_rendering() -> None:
    environment = Metered()
    template = environment.compiled("{{ long | upper | length }}")
    for _ in range(40):
        assert environment.rendered(template, ROW, random.Random(0)) == "1500000"


def test_a_negative_label_is_no_last_choice() -> None:
    for source in ("{{ answer_choices[label] }}", "{{ ['no', 'yes'][label] }}", "{{ ('no', 'yes')[label] }}"):
        with pytest.raises(Unlabelled):
            render(source)


@given(st.text("{}%|~*+()[]'\"ab1. \n", max_size=40) | st.text(max_size=20))
def test_any_text_is_a_template_or_is_refused(source: str) -> None:
    try:
        made = render(source)
    except (
        jinja2.TemplateError,
        RowError,
        Unlabelled,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        SyntaxError,
    ):
        return
    assert isinstance(made, str)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_what_is_written_is_what_jinja_writes(value: Any) -> None:
    environment = Metered()
    if value is None:
        return
    made = environment.rendered(environment.compiled("a{{ value }}b"), {"value": value}, random.Random(0))
    assert made == f"a{value}b"


@pytest.mark.parametrize(
    "source",
    [
        "{% if 'a' in range(99999) %}{% endif %}",
        "{% if 'a' not in zip(range(99999), range(99999)) %}{% endif %}",
        "{% set n = namespace(zip(range(99999), range(99999))) %}",
    ],
)
def test_what_is_made_while_it_is_searched_or_passed_on_is_charged(source: str) -> None:
    with pytest.raises(RowError, match="E-FORMAT-070"):
        render("{% for i in range(20) %}" + source + "{% endfor %}")


def test_membership_means_what_it_means_elsewhere() -> None:
    source = "{{ 'ea' in 'pear' }} {{ 3 in range(5) }} {{ 'fig' not in words }} {{ 'n' in by }}"
    assert render(source) == "True True False True"


@pytest.mark.parametrize("filter_", ["unique | list", "most_frequent"])
def test_numbers_that_share_one_hash_do_not_take_the_square(filter_: str) -> None:
    environment = Metered()
    numbers = [number * (2**61 - 1) for number in range(200_000)]
    with pytest.raises(RowError, match="E-FORMAT-070"):
        environment.rendered(environment.compiled(f"{{{{ x | {filter_} }}}}"), {"x": numbers}, random.Random(0))
    assert render("{{ [9223372036854775808, 12345678901234567890123] | unique | list | length }}") == "2"
