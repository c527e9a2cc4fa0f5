"""Which names a new component may have, and what follows from one."""

from __future__ import annotations

import ast
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import PluginError
from itune_core.plugins.policy import FIRST_PARTY
from itune_core.scaffold.errors import ScaffoldError
from itune_core.scaffold.names import LONGEST, NAME, TEMPLATE_CLASSES, Names, _proposal, choose
from itune_core.scaffold.project import render
from itune_core.scaffold.stages import STAGES

words = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
good_names = st.lists(words, min_size=1, max_size=3).map("-".join).filter(lambda name: len(name) <= LONGEST)


def test_what_follows_from_a_name() -> None:
    names = choose("filters", "my-2nd-filter")
    assert names == Names("filters", "my-2nd-filter")
    assert names.label == "filters/my-2nd-filter"
    assert names.distribution == "itune-my-2nd-filter"
    assert names.package == "itune_my_2nd_filter"
    assert names.module == "my_2nd_filter"
    assert names.class_name == "My2ndFilter"
    assert names.area == "MYNDFILTER"


@given(good_names)
def test_a_well_formed_name_is_python_everywhere(name: str) -> None:
    names = Names("filters", name)
    assert NAME.fullmatch(name)
    for word in (names.package, names.class_name):
        assert word.isidentifier()
        assert not keyword.iskeyword(word) or name in ("none", "true", "false")
    assert names.area.isalpha()


@given(st.text(max_size=60))
def test_what_is_proposed_is_well_formed(text: str) -> None:
    proposed = _proposal(text)
    assert NAME.fullmatch(proposed)
    assert len(proposed) <= LONGEST


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("MyFilter", "my-filter"),
        ("my_filter", "my-filter"),
        ("my--filter", "my-filter"),
        ("-my", "my"),
        ("2nd", "my-2nd"),
        ("", "my"),
        ("a/../b", "a-b"),
        ("my filter\n", "my-filter"),
        ("naïve", "na-ve"),
        ("x" * 31, "x" * 30),
        ("itune-my-filter", "my-filter"),
    ],
)
def test_an_ill_formed_name_is_refused_and_mended(name: str, fix: str) -> None:
    with pytest.raises(ScaffoldError) as error:
        choose("filters", name)
    assert error.value.code == "E-SCAFFOLD-001"
    assert error.value.fix == f"itune plugins new filters {fix}"
    assert choose("filters", fix).name == fix


@pytest.mark.parametrize("name", ["class", "lambda", "none", "filter", "record", "value-error", "path", "conformance"])
def test_what_python_or_the_template_uses_is_refused(name: str) -> None:
    with pytest.raises(ScaffoldError) as error:
        choose("filters", name)
    assert error.value.code == "E-SCAFFOLD-002"
    assert error.value.fix == f"itune plugins new filters my-{name}"


@pytest.mark.parametrize("distribution", [*FIRST_PARTY, "itune-core", "itune-torch"])
def test_a_first_party_distribution_is_not_written_again(distribution: str) -> None:
    with pytest.raises(ScaffoldError) as error:
        choose("scorers", distribution.removeprefix("itune-"))
    assert error.value.code == "E-SCAFFOLD-003"


def test_a_name_that_is_published_here_is_refused() -> None:
    with pytest.raises(ScaffoldError) as error:
        choose("trainers", "dpo")
    assert error.value.code == "E-SCAFFOLD-004"
    assert "itune-trainers" in error.value.what
    assert choose("filters", "dpo").label == "filters/dpo"  # in another stage it is free


def test_an_objective_is_a_trainer() -> None:
    names = choose("objectives", "my-loss")
    assert (names.stage, names.label) == ("trainers", "trainers/my-loss")
    with pytest.raises(ScaffoldError) as error:
        choose("objectives", "dpo")
    assert error.value.code == "E-SCAFFOLD-004"
    assert error.value.fix == "itune plugins new objectives my-dpo"


def test_a_stage_that_there_is_not_is_told() -> None:
    with pytest.raises(PluginError) as error:
        choose("filter", "mine")
    assert (error.value.code, error.value.fix) == ("E-PLUGIN-003", "did you mean filters?")


def test_no_class_can_hide_a_name_that_its_module_imports() -> None:
    """What the templates import beside the API is refused as a name; the list of that keeps up with them."""
    imported = set()
    for stage in STAGES:
        for path, text in render(Names(stage, "mine"), None, 2026).items():
            for node in ast.walk(ast.parse(text)) if path.endswith(".py") else ():
                if isinstance(node, ast.ImportFrom) and node.module not in ("itune_core.api", "itune_mine.mine"):
                    imported |= {alias.asname or alias.name for alias in node.names}
    # no name of a component makes a class in small letters, or one of capitals only
    classes = {name for name in imported if name[0].isupper() and not name.isupper()}
    assert {name for name in classes if not name.endswith("Conformance")} == TEMPLATE_CLASSES
