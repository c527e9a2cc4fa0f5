"""Loading imports one module, after the policy has spoken, and turns whatever goes wrong into a helpful error.

Traps, each a test: an ``assert`` or ``sys.exit`` while importing escapes stevedore's callbacks; its driver manager
imports both of two duplicates, and looks the name up anew; an undecorated hook is ignored by pluggy in silence;
keyword-only parameters stay unfilled; ``async`` hooks are never awaited.
"""

from __future__ import annotations

import sys

import pytest

from itune_core.api.errors import PluginError
from itune_core.plugins import catalog
from itune_core.plugins.loader import load
from itune_core.plugins.origin import describe
from itune_core.plugins.policy import Policy

TRUSTING = Policy(frozenset({"acme"}))
HEADER = """
from pydantic import Field
from itune_core.api import *
"""
GOOD = """
class X(Filter):
    '''Keeps everything.'''
    def decide(self, record):
        return Keep()
"""


def install(site, source: str, stage: str = "filters", value: str = "acme_module:X", **more) -> catalog.Entry:
    site.install("acme", {f"{stage}/x": value}, {"acme_module": HEADER + source}, version="1.5", **more)
    return catalog.find(stage, "x")


def failure(site, source: str, stage: str = "filters", **more) -> PluginError:
    entry = install(site, source, stage, **more)
    with pytest.raises(PluginError) as caught:
        load(entry, TRUSTING)
    assert "acme 1.5" in str(caught.value), "every message names the distribution and its version"
    assert caught.value.fix
    return caught.value


def test_a_component_is_imported_once_and_knows_its_origin(site) -> None:
    source = GOOD + "import builtins\nbuiltins.acme_imports = getattr(builtins, 'acme_imports', 0) + 1"
    entry = install(site, source)
    loaded = load(entry, TRUSTING)
    assert load(entry, TRUSTING) is loaded
    assert sys.modules["builtins"].acme_imports == 1  # type: ignore[attr-defined]
    del sys.modules["builtins"].acme_imports  # type: ignore[attr-defined]
    assert describe(loaded) == describe(loaded(loaded.Config())) == "filters/x (acme 1.5)"


def test_a_refused_plugin_is_not_imported(site) -> None:
    entry = install(site, GOOD)
    with pytest.raises(PluginError, match="E-PLUGIN-010"):
        load(entry, Policy(frozenset({"other"})))
    assert "acme_module" not in sys.modules
    load(entry, TRUSTING)
    with pytest.raises(PluginError, match="E-PLUGIN-010"):
        load(entry, Policy(frozenset({"other"})))  # also when it is loaded already


def test_an_unbounded_plugin_is_not_imported(site) -> None:
    entry = install(site, GOOD, requires=("itune-core",))
    with pytest.raises(PluginError, match="E-PLUGIN-012"):
        load(entry, TRUSTING)
    assert "acme_module" not in sys.modules


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("assert 1 == 2, 'two cores'", "AssertionError: two cores"),
        ("from json import nothing", "ImportError: cannot import name"),
        ("raise ModuleNotFoundError('install foo yourself')", "install foo yourself"),
        ("def broken(:", "SyntaxError"),
        ("raise ItuneError('E-ACME-001', 'theirs')", "E-ACME-001: theirs"),
        ("{}.nothing", "AttributeError"),
    ],
    ids=lambda value: value.split("(")[0],
)
def test_what_a_module_raises_is_told_with_its_line(site, source: str, told: str) -> None:
    error = failure(site, source)
    assert error.code == "E-PLUGIN-022"
    assert told in str(error.why)
    assert str(error.where).endswith("acme_module.py:4")
    assert error.__cause__ is not None
    assert "acme_module" not in sys.modules


@pytest.mark.parametrize("code", ["0", "'bye'", ""])
def test_a_module_that_ends_the_process_is_told(site, code: str) -> None:
    error = failure(site, f"import sys\nsys.exit({code})")
    assert error.code == "E-PLUGIN-023"
    assert isinstance(error.__cause__, SystemExit)


def test_an_interrupt_passes(site) -> None:
    entry = install(site, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load(entry, TRUSTING)


def test_a_failed_import_is_tried_again(site) -> None:
    failure(site, "raise RuntimeError")
    module = site.folder / "acme_module.py"
    module.write_text(HEADER + GOOD + "# of another length, so that no cached bytecode is taken for it")
    assert load(catalog.find("filters", "x"), TRUSTING).__name__ == "X"


def test_a_missing_dependency_is_told_apart_from_a_missing_module(site) -> None:
    error = failure(site, "import deep.thought")
    assert error.code == "E-PLUGIN-021"
    assert "needs the module deep" in error.what
    assert str(error.fix).startswith("pip install deep")


def test_a_missing_dependency_that_an_extra_brings_is_told_with_it(site) -> None:
    extra = "Deep.Thought>=2 ; extra == 'answers'"
    error = failure(site, "import deep_thought", requires=("itune-core<1", "not a requirement", extra))
    assert error.fix == "pip install 'acme[answers]'"


@pytest.mark.parametrize("value", ["acme_gone:X", "acme_module.inner:X"])
def test_a_missing_module_of_its_own_is_told(site, value: str) -> None:
    error = failure(site, GOOD, value=value)
    assert error.code == "E-PLUGIN-020"
    assert error.fix == "pip install --force-reinstall acme"


def test_a_missing_attribute_is_told(site) -> None:
    error = failure(site, GOOD, value="acme_module:Missing.Inner")
    assert error.code == "E-PLUGIN-024"
    assert "acme_module has no Missing.Inner" in error.what


def test_an_entry_point_may_name_an_inner_class_and_extras(site) -> None:
    source = "class Outer:\n" + "\n".join("    " + line for line in GOOD.splitlines())
    assert load(install(site, source, value="acme_module:Outer.X [extra]"), TRUSTING).__name__ == "X"


CONTRACT = {
    "a function": ("E-PLUGIN-030", "def X(record): return Keep()"),
    "a module": ("E-PLUGIN-030", ""),
    "a stranger": ("E-PLUGIN-030", "class X:\n    '''Doc.'''"),
    "of another stage": ("E-PLUGIN-030", "class X(Scorer):\n    '''Doc.'''\n    def score(self, record): return {}"),
    "the base class": ("E-PLUGIN-030", "X = Filter"),
    "no docstring": ("E-PLUGIN-031", GOOD.replace("'''Keeps everything.'''", "")),
    "blank docstring": ("E-PLUGIN-031", GOOD.replace("Keeps everything.", "  ")),
    "config of its own kind": ("E-PLUGIN-032", GOOD + "    class Config:\n        a = 1"),
    "config is a value": ("E-PLUGIN-032", GOOD + "    Config = 3"),
    "config takes anything": (
        "E-PLUGIN-032",
        GOOD + "    class Config(ComponentConfig, extra='allow'):\n        '''Loose.'''",
    ),
    "config can be changed": (
        "E-PLUGIN-032",
        GOOD + "    class Config(ComponentConfig, frozen=False):\n        '''Soft.'''",
    ),
    "config with an alias": (
        "E-PLUGIN-032",
        GOOD + "    class Config(ComponentConfig):\n        form: str = Field(alias='schema', description='Of it.')",
    ),
    "config with an alias for all": (
        "E-PLUGIN-032",
        GOOD + "    class Config(ComponentConfig, alias_generator=str.upper):\n"
        "        form: str = Field(description='Of it.')",
    ),
    "undescribed setting": ("E-PLUGIN-033", GOOD + "    class Config(ComponentConfig):\n        size: int = 3"),
    "blank description": (
        "E-PLUGIN-033",
        GOOD + "    class Config(ComponentConfig):\n        size: int = Field(3, description=' ')",
    ),
    "inputs are kinds": ("E-PLUGIN-034", GOOD + "    inputs = {'records': (Kind.TEXT,)}"),
    "inputs are a list": ("E-PLUGIN-034", GOOD + "    inputs = ['records']"),
    "outputs are one word": ("E-PLUGIN-034", GOOD + "    outputs = 'records'"),
    "no outputs": ("E-PLUGIN-034", GOOD + "    outputs = ()"),
    "undecorated hook": (
        "E-PLUGIN-035",
        "class X(Filter):\n    '''Doc.'''\n    def itune_filter(self, inputs, context): return iter(())",
    ),
    "undecorated hook beside a method": ("E-PLUGIN-035", GOOD + "    def itune_filter(self, inputs): return iter(())"),
    "nothing defined": ("E-PLUGIN-036", "class X(Filter):\n    '''Doc.'''"),
    "hook hidden": ("E-PLUGIN-035", GOOD + "    itune_filter = None"),
    "hook given away": (
        "E-PLUGIN-036",
        GOOD + "    @hookimpl(specname='itune_score')\n    def itune_filter(self, inputs): return []",
    ),
    "hook wrapped": ("E-PLUGIN-039", GOOD + "    @hookimpl(wrapper=True)\n    def itune_filter(self): yield"),
    "async method": ("E-PLUGIN-037", GOOD.replace("def decide", "async def decide")),
    "async generator": (
        "E-PLUGIN-037",
        "class X(Filter):\n    '''Doc.'''\n    async def decide(self, record):\n        yield Keep()",
    ),
    "async hook": ("E-PLUGIN-037", GOOD + "    @hookimpl\n    async def itune_filter(self, inputs): return []"),
    "keyword-only": ("E-PLUGIN-038", GOOD + "    @hookimpl\n    def itune_filter(self, *, inputs): return []"),
    "keyword-only with default": (
        "E-PLUGIN-038",
        GOOD + "    @hookimpl\n    def itune_filter(self, inputs, *, context=None): return []",
    ),
    "starred": ("E-PLUGIN-038", GOOD + "    @hookimpl\n    def itune_filter(self, **arguments): return []"),
    "unknown argument": ("E-PLUGIN-038", GOOD + "    @hookimpl\n    def itune_filter(self, rows): return []"),
    "unknown argument with default": (
        "E-PLUGIN-038",  # pluggy accepts it, and never fills it
        GOOD + "    @hookimpl\n    def itune_filter(self, inputs, contxt=None): return []",
    ),
    "unknown hook": ("E-PLUGIN-040", GOOD + "    @hookimpl\n    def itune_filters(self, inputs): return []"),
    "old wrapper": ("E-PLUGIN-042", GOOD + "    @hookimpl(hookwrapper=True)\n    def itune_filter(self): yield"),
}


@pytest.mark.parametrize(("code", "source"), CONTRACT.values(), ids=CONTRACT)
def test_a_broken_contract_is_told(site, code: str, source: str) -> None:
    assert failure(site, source, value="acme_module:X" if source else "acme_module").code == code


def test_a_mixer_without_something_to_draw_from_is_refused(site) -> None:
    source = f"class X(Mixer):\n    '''Doc.'''\n    inputs = {{'a': Input()}}\n    {EASY['mixers']}"
    error = failure(site, source, "mixers")
    assert error.code == "E-PLUGIN-034"
    assert "needs one" in str(error.why)


def test_an_unknown_hook_is_told_with_the_nearest(site) -> None:
    error = failure(site, CONTRACT["unknown hook"][1])
    assert "did you mean itune_filter" in str(error.fix)


EASY = {
    "formatters": "def format(self, row): return text('x')",
    "generators": "def generate(self, record, rng): yield",
    "scorers": "def score(self, record): return {'': 1.0}",
    "mixers": "def draw(self, sizes, rng): return []",
    "trainers": "def train(self, inputs, context): ...",
    "evaluators": "def evaluate(self, record, model): yield\n    def summarise(self, rows): return {}",
    "backends": "def embed(self, requests): return []",
    "executors": "def map(self, function, items): return map(function, items)",
}


@pytest.mark.parametrize("stage", EASY)
def test_the_easy_method_is_all_that_a_stage_asks_for(site, stage: str) -> None:
    base = stage[:-1].capitalize()
    source = f"class X({base}):\n    '''Doc.'''\n    {EASY[stage]}"
    assert load(install(site, source, stage), TRUSTING).stage == stage


@pytest.mark.parametrize("stage", EASY)
def test_without_it_a_component_is_refused(site, stage: str) -> None:
    error = failure(site, f"class X({stage[:-1].capitalize()}):\n    '''Doc.'''", stage)
    assert error.code == "E-PLUGIN-036"
    assert f"itune_core.api.{stage[:-1].capitalize()}" in str(error.fix)


def test_half_of_the_easy_methods_is_not_enough(site) -> None:
    error = failure(
        site, "class X(Evaluator):\n    '''Doc.'''\n    def evaluate(self, record, model): yield", "evaluators"
    )
    assert "summarise" in error.what


def test_a_hook_may_stand_in_for_the_easy_method(site) -> None:
    source = "class X(Filter):\n    '''Doc.'''\n    @hookimpl\n    def itune_filter(self, inputs): return []"
    load(install(site, source), TRUSTING)


EXTENSION = "class X:\n    '''Watches.'''\n    @hookimpl\n    def itune_run_started(self, run): ..."


def test_an_extension_may_be_any_class(site) -> None:
    assert load(install(site, EXTENSION, "extensions"), TRUSTING).__name__ == "X"


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("E-PLUGIN-030", "X = 3"),
        ("E-PLUGIN-031", EXTENSION.replace("'''Watches.'''", "")),
        ("E-PLUGIN-033", EXTENSION + "\n    class Config(ComponentConfig):\n        every: int = 2"),
        ("E-PLUGIN-041", EXTENSION + "\n    @hookimpl\n    def itune_train(self, inputs): return 3"),
        ("E-PLUGIN-043", EXTENSION.replace("@hookimpl", "@hookimpl(wrapper=True)").replace("...", "yield")),
        ("E-PLUGIN-044", "class X:\n    '''Does nothing.'''"),
        ("E-PLUGIN-045", EXTENSION + "\n    @hookimpl(wrapper=True)\n    def itune_train(self): return 3"),
    ],
)
def test_a_broken_extension_is_told_when_it_is_loaded(site, code: str, source: str) -> None:
    assert failure(site, source, "extensions").code == code
