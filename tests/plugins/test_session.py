"""Calling: what pluggy 1.7 does silently and must not happen here, and what wrappers and observers may do.

Traps, each a test: a plain implementation by an extension answers in the component's place; None passes as a result; an
undecorated or keyword-only hook goes unnoticed; ``async`` is not awaited; plugins are compared by value and hashed;
every attribute is inspected on registration; a missing argument is only warned of; lazy iterators escape wrappers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Filter, Keep, hookimpl
from itune_core.api.errors import PluginError
from itune_core.api.hookspecs import STAGES
from itune_core.plugins.session import HOOKS, Observers, Session, check_extension, wraps

INPUTS = {"inputs": {"records": [1, 2, 3]}, "context": None}


class Pass:
    """A component reduced to its hook."""

    @hookimpl
    def itune_filter(self, inputs: Any) -> list[Any]:
        return list(inputs["records"])


def code_of(stage: str, component: object, *wrappers: object) -> str:
    with pytest.raises(PluginError) as caught:
        Session(stage, component, wrappers)
    return caught.value.code


def test_every_hook_is_known_with_its_arguments() -> None:
    assert HOOKS["itune_format"] == ("context",)
    assert HOOKS["itune_train"] == ("inputs", "context")
    assert HOOKS["itune_run_finished"] == ("run", "error")
    assert {hook for _, hook in STAGES.values()} < set(HOOKS)


def test_an_implementation_takes_the_arguments_it_wants() -> None:
    assert Session("filters", Pass()).call(**INPUTS) == [1, 2, 3]


@pytest.mark.parametrize("arguments", [{}, {"inputs": {}}, {**INPUTS, "rows": 1}])
def test_a_call_names_exactly_the_arguments_of_the_hook(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="itune_filter takes inputs, context"):
        Session("filters", Pass()).call(**arguments)


def test_a_component_of_another_stage_is_refused() -> None:
    assert code_of("trainers", Pass()) == "E-PLUGIN-036"


def test_none_is_no_result() -> None:
    class Forgetful:
        @hookimpl
        def itune_filter(self) -> None: ...

    with pytest.raises(PluginError, match="Forgetful") as caught:
        Session("filters", Forgetful()).call(**INPUTS)
    assert caught.value.code == "E-PLUGIN-050"


@pytest.mark.parametrize("nothing", [[], 0, "", False, ()])
def test_a_false_result_is_a_result(nothing: object) -> None:
    class Empty:
        @hookimpl
        def itune_filter(self) -> object:
            return nothing

    assert Session("filters", Empty()).call(**INPUTS) == nothing


def test_an_undecorated_hook_is_refused() -> None:
    class Easy(Filter):
        """Overrides the base class's hook and forgets the decorator: pluggy would call the base's no more."""

        def itune_filter(self, inputs: Any, context: Any) -> Any:
            return iter([Keep()])

    assert code_of("filters", Easy(Easy.Config())) == "E-PLUGIN-035"


def test_a_hook_hung_on_the_instance_is_refused() -> None:
    component = Pass()
    component.itune_filter = lambda inputs: []  # type: ignore[method-assign]
    assert code_of("filters", component) == "E-PLUGIN-035"


def test_a_keyword_only_hook_is_refused() -> None:
    class Keyword:
        @hookimpl
        def itune_filter(self, *, inputs: Any) -> Any: ...

    assert code_of("filters", Keyword()) == "E-PLUGIN-038"


def test_an_async_hook_is_refused() -> None:
    class Async:
        @hookimpl
        async def itune_filter(self, inputs: Any) -> Any: ...

    assert code_of("filters", Async()) == "E-PLUGIN-037"


def test_a_component_does_not_wrap_itself() -> None:
    class Wrapped:
        @hookimpl(wrapper=True)
        def itune_filter(self) -> Any:
            yield

    assert code_of("filters", Wrapped()) == "E-PLUGIN-039"


def test_two_implementations_of_one_hook_are_refused() -> None:
    class Twice(Pass):
        @hookimpl(specname="itune_filter")
        def another(self, inputs: Any) -> Any: ...

    assert code_of("filters", Twice()) == "E-PLUGIN-036"


def test_a_hook_may_bear_another_name() -> None:
    class Named:
        @hookimpl(specname="itune_filter")
        def decide_all(self, inputs: Any) -> Any:
            return inputs["records"]

    assert Session("filters", Named()).call(**INPUTS) == [1, 2, 3]


def test_static_and_class_methods_are_called() -> None:
    class Static:
        @hookimpl
        @staticmethod
        def itune_filter(inputs: Any) -> Any:
            return inputs["records"]

    class OfClass:
        @classmethod
        @hookimpl
        def itune_filter(cls, inputs: Any) -> Any:
            return inputs["records"]

    for component in (Static(), OfClass()):
        assert Session("filters", component).call(**INPUTS) == [1, 2, 3]


@dataclass
class Equal:
    """Equal by value and without a hash, as a dataclass is by default: once a component, once a wrapper."""

    settings: dict[str, int] = field(default_factory=dict)

    @hookimpl
    def itune_filter(self, inputs: Any) -> list[Any]:
        return list(inputs["records"])


@dataclass
class EqualWrapper:
    settings: dict[str, int] = field(default_factory=dict)

    @hookimpl(wrapper=True)
    def itune_filter(self) -> Any:
        result = yield
        return [*result, len(result)]


def test_what_is_equal_or_has_no_hash_is_called_all_the_same() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Equal())
    assert EqualWrapper() == EqualWrapper()
    session = Session("filters", Equal(), [EqualWrapper(), EqualWrapper()])
    assert session.call(**INPUTS) == [1, 2, 3, 3, 4]
    warnings: list[str] = []
    Observers([EqualWrapper(), EqualWrapper()], warnings.append).run_started("r", "f", Path())
    assert warnings == []


def test_an_object_that_compares_to_everything_is_called() -> None:
    class Odd(Pass):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert Session("filters", Odd(), [EqualWrapper()]).call(**INPUTS) == [1, 2, 3, 3]


def test_no_property_is_read_and_no_attribute_is_inspected_twice() -> None:
    class Heavy(Pass):
        @property
        def model(self) -> Any:
            raise AssertionError("a property was evaluated")

    heavy = Heavy()
    heavy.__dict__.update({f"attribute_{n}": n for n in range(2000)})
    assert Session("filters", heavy).call(**INPUTS) == [1, 2, 3]


class Log:
    """A wrapper that writes down when it is entered and left."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    @hookimpl(wrapper=True)
    def itune_filter(self, inputs: Any) -> Any:
        self.log.append(f"{self.name} in")
        result = yield
        self.log.append(f"{self.name} out")
        return [*result, self.name]


@given(st.lists(st.text("abc", min_size=1, max_size=2), max_size=5))
def test_the_first_wrapper_is_the_outermost(names: list[str]) -> None:
    log: list[str] = []
    result = Session("filters", Pass(), [Log(name, log) for name in names]).call(**INPUTS)
    assert log == [*(f"{name} in" for name in names), *(f"{name} out" for name in reversed(names))]
    assert result == [1, 2, 3, *reversed(names)], "what a wrapper returns takes the result's place"


def test_a_wrapper_may_replace_an_error() -> None:
    class Fails:
        @hookimpl
        def itune_filter(self) -> Any:
            raise ValueError("inside")

    class Rescue:
        @hookimpl(wrapper=True)
        def itune_filter(self) -> Any:
            try:
                result = yield
            except ValueError:
                return ["rescued"]
            return result

    assert Session("filters", Fails(), [Rescue()]).call(**INPUTS) == ["rescued"]
    with pytest.raises(ValueError, match="inside"):
        Session("filters", Fails()).call(**INPUTS)


def test_a_wrapper_that_loses_the_result_is_told() -> None:
    class Loses:
        @hookimpl(wrapper=True)
        def itune_filter(self) -> Any:
            yield

    with pytest.raises(PluginError, match="E-PLUGIN-050"):
        Session("filters", Pass(), [Loses()]).call(**INPUTS)


def test_lazy_iterators_escape_wrappers() -> None:
    """Why a wrapper that cares about rows must return a new iterator around the one it got (api/hookspecs.py)."""

    class Lazy:
        @hookimpl
        def itune_filter(self, inputs: Any) -> Any:
            yield 1
            raise ValueError("at the second row")

    class Careless:
        caught = False

        @hookimpl(wrapper=True)
        def itune_filter(self) -> Any:
            try:
                result = yield
            except ValueError:
                self.caught = True
                raise
            return result

    class Careful:
        @hookimpl(wrapper=True)
        def itune_filter(self) -> Any:
            result = yield

            def rows() -> Any:
                try:
                    yield from result
                except ValueError:
                    yield "caught"

            return rows()

    careless = Careless()
    rows = Session("filters", Lazy(), [careless]).call(**INPUTS)
    with pytest.raises(ValueError, match="at the second row"):
        list(rows)
    assert not careless.caught
    assert list(Session("filters", Lazy(), [Careful()]).call(**INPUTS)) == [1, "caught"]


class Plain:
    """Would answer in the component's place: pluggy takes the first result that is not None."""

    @hookimpl
    def itune_filter(self) -> Any:
        return ["not the component's"]


class OldStyle:
    @hookimpl(hookwrapper=True)
    def itune_filter(self) -> Any:
        yield


class Unknown:
    @hookimpl(wrapper=True)
    def itune_filtre(self) -> Any:
        yield


class Idle:
    """Has no hook."""


class AsyncWrapper:
    @hookimpl(wrapper=True)
    async def itune_filter(self) -> Any:
        yield


class NoYield:
    @hookimpl(wrapper=True)
    def itune_filter(self) -> Any:
        return []


class WrapsObservers:
    @hookimpl(wrapper=True)
    def itune_run_started(self) -> Any:
        yield


@pytest.mark.parametrize(
    ("extension", "code"),
    [
        (Plain, "E-PLUGIN-041"),
        (OldStyle, "E-PLUGIN-042"),
        (Unknown, "E-PLUGIN-040"),
        (Idle, "E-PLUGIN-044"),
        (AsyncWrapper, "E-PLUGIN-037"),
        (NoYield, "E-PLUGIN-045"),
        (WrapsObservers, "E-PLUGIN-043"),
    ],
)
def test_an_extension_is_refused(extension: type, code: str) -> None:
    assert code_of("filters", Pass(), extension()) == code
    for way in (lambda: check_extension(extension), lambda: Observers([extension()], print)):
        with pytest.raises(PluginError) as caught:
            way()
        assert caught.value.code == code
        assert extension.__name__ in str(caught.value)


def test_an_unknown_hook_is_told_with_the_nearest() -> None:
    with pytest.raises(PluginError, match="did you mean itune_filter"):
        check_extension(Unknown)


def test_a_hook_of_a_newer_core_is_left_alone() -> None:
    class Ahead(EqualWrapper):
        @hookimpl(optionalhook=True)
        def itune_run_dreamt(self, dream: Any) -> Any: ...

    assert Session("filters", Pass(), [Ahead()]).call(**INPUTS) == [1, 2, 3, 3]


def test_a_wrapper_counts_for_the_stages_it_wraps() -> None:
    assert wraps(EqualWrapper, "filters")
    assert wraps(EqualWrapper(), "filters")
    assert not wraps(EqualWrapper(), "trainers")
