"""Call: the only place that touches pluggy.

Each executing step has a :class:`Session` of its own: a manager that knows every spec, the one component, and the
extensions that wrap it. pluggy checks signatures, orders the wrappers and makes the call; what it lets pass in silence
and we must not (an undecorated hook, a plain implementation by an extension, keyword-only parameters, ``async def``,
None) is refused here. The checks also work on classes, so that ``itune check`` tells of them before anything runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pluggy
from pluggy import HookimplOpts

from itune_core.api.errors import PluginError
from itune_core.api.hookspecs import PROJECT, STAGES, Lifecycle
from itune_core.plugins.catalog import nearest
from itune_core.plugins.origin import describe


def _specs(spec_class: type) -> dict[str, tuple[str, ...]]:
    """Hook name to argument names of one spec class."""
    return {
        name: tuple(inspect.signature(member).parameters)[1:]
        for name, member in vars(spec_class).items()
        if name.startswith(f"{PROJECT}_")
    }


STAGE_HOOKS: Mapping[str, tuple[str, ...]] = {
    name: arguments for spec_class, _ in STAGES.values() for name, arguments in _specs(spec_class).items()
}
LIFECYCLE_HOOKS: Mapping[str, tuple[str, ...]] = _specs(Lifecycle)
HOOKS: Mapping[str, tuple[str, ...]] = {**STAGE_HOOKS, **LIFECYCLE_HOOKS}
"""Every hook there is, with the names of its arguments."""


@dataclass(frozen=True)
class Implementation:
    """A method decorated as a hook.

    Attributes:
        name: the method's.
        hook: the hook it implements, which bears the same name unless ``specname`` was given.
        function: the method; bound if it was taken from an instance.
        options: what ``hookimpl`` was given.
    """

    name: str
    hook: str
    function: Callable[..., Any]
    options: HookimplOpts

    @property
    def wraps(self) -> bool:
        return bool(self.options.get("wrapper"))


def implementations(plugin: object) -> list[Implementation]:
    """The hooks of a class or an instance, each checked for what holds for all of them.

    Raises:
        PluginError: ``E-PLUGIN-035`` a method is named like a hook but not decorated; ``E-PLUGIN-040`` there is no
            such hook; ``E-PLUGIN-042`` it uses the old ``hookwrapper=True``; ``E-PLUGIN-037`` it is ``async``;
            ``E-PLUGIN-045`` it is a wrapper that does not yield; ``E-PLUGIN-038`` it takes a parameter that the hook
            does not have, or one that would stay unfilled.
    """
    found = []
    for name, options in _hooks(plugin):
        if options is not None:
            implementation = Implementation(name, options.get("specname") or name, getattr(plugin, name), options)
            if _check_name(plugin, implementation):
                _check_form(plugin, implementation)
                found.append(implementation)
        else:
            raise PluginError(
                "E-PLUGIN-035",
                f"{name} of {describe(plugin)} is named like a hook and is not decorated, so it would never be called",
                fix=f"write @hookimpl above def {name}(...)",
            )
    return found


_READER = pluggy.PluginManager(PROJECT)
"""Reads what ``hookimpl`` has written; nothing is registered with it."""


def _hooks(plugin: object) -> list[tuple[str, HookimplOpts | None]]:
    """Attributes that are decorated as hooks, and those that bear a hook's name and are not (None)."""
    if isinstance(plugin, type):
        return list(_hooks_of(plugin))
    cls: Any = type(plugin)
    own = {name: value for name, value in getattr(plugin, "__dict__", {}).items() if _may_be_hook(name, value)}
    inherited = [pair for pair in _hooks_of(cls) if pair[0] not in own]
    return sorted([*inherited, *((name, _READER.parse_hookimpl_opts(plugin, name)) for name in own)])


@cache
def _hooks_of(cls: type) -> tuple[tuple[str, HookimplOpts | None], ...]:
    """The same of a class, read once: it looks at every attribute, and each step asks again."""
    read = [(name, _READER.parse_hookimpl_opts(cls, name)) for name in dir(cls)]
    return tuple((name, options) for name, options in read if options is not None or name in HOOKS)


def _may_be_hook(name: str, value: object) -> bool:
    return name in HOOKS or (inspect.isroutine(value) and hasattr(value, f"{PROJECT}_impl"))


def check_component(stage: str, component: object) -> Implementation:
    """What a component (its class or an instance) implements its stage's hook with.

    Raises:
        PluginError: as :func:`implementations`; ``E-PLUGIN-036`` it does not implement the hook exactly once;
            ``E-PLUGIN-039`` it wraps the hook instead.
    """
    hook = STAGES[stage][1]
    found = [implementation for implementation in implementations(component) if implementation.hook == hook]
    if len(found) != 1:
        raise PluginError(
            "E-PLUGIN-036",
            f"{describe(component)} implements {hook} {len(found)} times, not once",
            fix="derive it from the stage's base class in itune_core.api, or define the hook with @hookimpl",
        )
    if found[0].wraps:
        raise PluginError(
            "E-PLUGIN-039",
            f"{describe(component)} wraps {hook} instead of implementing it",
            fix="decorate it with a plain @hookimpl; wrappers are for extensions",
        )
    return found[0]


def check_extension(extension: object) -> list[Implementation]:
    """The hooks of an extension (its class or an instance): stage hooks as wrappers, lifecycle hooks plain.

    Raises:
        PluginError: as :func:`implementations`; ``E-PLUGIN-041`` it implements a stage's hook without wrapping;
            ``E-PLUGIN-043`` it wraps a lifecycle hook; ``E-PLUGIN-044`` it implements no hook at all.
    """
    found = implementations(extension)
    for implementation in found:
        if implementation.hook in STAGE_HOOKS and not implementation.wraps:
            raise PluginError(
                "E-PLUGIN-041",
                f"{describe(extension)} implements {implementation.hook} and does not wrap it",
                why="it would answer in the component's place, and nothing would say so",
                fix="decorate it with @hookimpl(wrapper=True) and yield once; what it returns becomes the result",
            )
        if implementation.hook in LIFECYCLE_HOOKS and implementation.wraps:
            raise PluginError(
                "E-PLUGIN-043",
                f"{describe(extension)} wraps {implementation.hook}",
                why="observers only watch: a wrapper would decide whether the other observers are called",
                fix="decorate it with a plain @hookimpl",
            )
    if not found:
        raise PluginError(
            "E-PLUGIN-044",
            f"{describe(extension)} implements no hook",
            fix=f"decorate methods with @hookimpl; there are {', '.join(HOOKS)}",
        )
    return found


def wraps(extension: object, stage: str) -> bool:
    """Whether an extension (its class or an instance) wraps that stage's hook, and so enters its artifacts' keys."""
    hook = STAGES[stage][1]
    return any(implementation.hook == hook for implementation in check_extension(extension))


class Session:
    """One component and what is wrapped around it, ready to be called once or more.

    Args:
        stage: the stage whose hook is called.
        component: an instance; its stage hook must be implemented exactly once, and plainly.
        wrappers: extension instances; the first is the outermost (it sees the call first and the result last).
            Those that wrap other stages, or only observe, do no harm.

    Raises:
        PluginError: as :func:`check_component` and :func:`check_extension`.
    """

    def __init__(self, stage: str, component: object, wrappers: Sequence[object] = ()) -> None:
        self._hook = STAGES[stage][1]
        self._who = describe(component)
        self._manager = _Manager(STAGES[stage][0])
        self._manager.add("component", [check_component(stage, component)])
        # pluggy calls what was registered last first
        for number, wrapper in reversed(list(enumerate(wrappers))):
            self._manager.add(f"wrapper-{number}", check_extension(wrapper))

    def call(self, **arguments: Any) -> Any:
        """Call the stage's hook with exactly the spec's arguments.

        Returns:
            What the component gave, or what the wrappers made of it. A lazy iterator has done no work yet: what its
            rows raise comes when they are read, outside every wrapper.

        Raises:
            TypeError: `arguments` are not the spec's.
            PluginError: ``E-PLUGIN-050`` the result is None.
        """
        expected = STAGE_HOOKS[self._hook]
        if set(arguments) != set(expected):  # pluggy itself would only warn
            raise TypeError(f"{self._hook} takes {', '.join(expected)}, not {', '.join(arguments)}")
        result = getattr(self._manager.hook, self._hook)(**arguments)
        if result is None:
            raise PluginError(
                "E-PLUGIN-050",
                f"{self._hook} of {self._who} gave None",
                why="None is never a legal result: a component or a wrapper around it has lost its return value",
                fix="return the result; in a wrapper: result = yield; return result",
            )
        return result


class Observers:
    """The lifecycle hooks of a run's extensions: every one is called, none can change or stop the run.

    What an observer raises is handed to `warn` and the run goes on. A run may have cost hours and money, and an
    observer has no part in its result: a progress page that cannot be written is no reason to lose it.
    ``KeyboardInterrupt`` and ``SystemExit`` pass. An observer that fails on a report of progress, of which there may
    be thousands, is told of once and not asked again in this run.

    Args:
        extensions: extension instances; those that only wrap do no harm.
        warn: told one sentence for each call that failed.

    Raises:
        PluginError: as :func:`check_extension`.
    """

    def __init__(self, extensions: Iterable[object], warn: Callable[[str], None]) -> None:
        self._warn = warn
        # A manager each: within one, pluggy stops at the first observer that raises.
        self._observers: dict[str, list[tuple[str, _Manager]]] = {hook: [] for hook in LIFECYCLE_HOOKS}
        for extension in extensions:
            found = check_extension(extension)
            manager = _Manager(Lifecycle)
            manager.add("observer", found)
            for hook in {implementation.hook for implementation in found} & LIFECYCLE_HOOKS.keys():
                self._observers[hook].append((describe(extension), manager))

    def run_started(self, run: str, recipe: str, folder: Path) -> None:
        self._fire("itune_run_started", run=run, recipe=recipe, folder=folder)

    def step_started(self, step: str, component: str, key: str) -> None:
        self._fire("itune_step_started", step=step, component=component, key=key)

    def step_progressed(self, step: str, done: int, total: int | None, figures: Mapping[str, float]) -> None:
        hook = "itune_step_progressed"
        failed = self._fire(hook, step=step, done=done, total=total, figures=figures)
        if failed:
            self._observers[hook] = [pair for pair in self._observers[hook] if pair[1] not in failed]

    def step_finished(self, step: str, component: str, key: str, manifest: Mapping[str, Any]) -> None:
        self._fire("itune_step_finished", step=step, component=component, key=key, manifest=manifest)

    def run_finished(self, run: str, error: str | None) -> None:
        self._fire("itune_run_finished", run=run, error=error)

    def _fire(self, hook: str, **arguments: Any) -> list[_Manager]:
        """Call every observer that implements `hook`; gives those that raised."""
        failed = []
        for who, manager in self._observers[hook]:
            try:
                getattr(manager.hook, hook)(**arguments)
            except Exception as error:  # foreign code may raise anything; see the class for why the run goes on
                failed.append(manager)
                self._warn(f"E-PLUGIN-051: {hook} of {who} raised {type(error).__name__}: {error}")
        return failed


class _Adapter:
    """What is registered in a plugin's place: its hooks and nothing else.

    pluggy compares plugins with ``==`` and puts them into sets, so two equal configurations of one extension, or an
    object without a hash, would break it; and it inspects every attribute, which for a trainer takes milliseconds.
    """

    def __init__(self, found: Iterable[Implementation]) -> None:
        self.options: dict[str, HookimplOpts] = {}
        for implementation in found:
            setattr(self, implementation.name, implementation.function)
            self.options[implementation.name] = implementation.options


class _Manager(pluggy.PluginManager):
    """A manager of adapters for the hooks of one spec class.

    Args:
        spec_class: the specs it knows and calls; hooks of others were checked when they were read, and are left out.
    """

    def __init__(self, spec_class: type) -> None:
        super().__init__(PROJECT)
        self.add_hookspecs(spec_class)
        self._known = _specs(spec_class).keys()

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> HookimplOpts | None:
        options: HookimplOpts | None = plugin.options.get(name)
        return options

    def add(self, name: str, found: Iterable[Implementation]) -> None:
        self.register(_Adapter(one for one in found if one.hook in self._known), name)
        self.check_pending()


def _check_name(plugin: object, found: Implementation) -> bool:
    """Whether there is such a hook; False if it is declared as belonging to a newer core."""
    if found.hook in HOOKS:
        return True
    if found.options.get("optionalhook"):
        return False
    close = nearest(found.hook, HOOKS)
    raise PluginError(
        "E-PLUGIN-040",
        f"{found.name} of {describe(plugin)} is decorated as a hook, and there is no hook {found.hook}",
        why=f"hooks are {', '.join(HOOKS)}",
        fix=f"did you mean {' or '.join(close)}?" if close else "rename it, or remove @hookimpl",
    )


def _check_form(plugin: object, found: Implementation) -> None:
    who = f"{found.name} of {describe(plugin)}"
    if found.options.get("hookwrapper"):
        raise PluginError(
            "E-PLUGIN-042",
            f"{who} is an old-style wrapper",
            why="with hookwrapper=True what it returns is ignored and what it raises is only warned of",
            fix="use @hookimpl(wrapper=True): result = yield; return result",
        )
    if inspect.iscoroutinefunction(found.function) or inspect.isasyncgenfunction(found.function):
        raise PluginError(
            "E-PLUGIN-037",
            f"{who} is async, and nothing would await it",
            fix="make it a plain method; code that asks a model yields requests, and the engine answers them together",
        )
    if found.wraps and not inspect.isgeneratorfunction(found.function):
        raise PluginError(
            "E-PLUGIN-045",
            f"{who} is a wrapper and does not yield",
            fix="yield exactly once, where the wrapped call happens: result = yield; return result",
        )
    allowed = HOOKS[found.hook]
    for parameter in _parameters(plugin, found):
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or parameter.name not in allowed:
            raise PluginError(
                "E-PLUGIN-038",
                f"{who} takes {parameter}, which would never be filled",
                why=f"{found.hook} is called with {', '.join(allowed)}; keyword-only and starred ones are skipped",
                fix=f"take any of {', '.join(allowed)}, by these names and before any *",
            )


def _parameters(plugin: object, found: Implementation) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(found.function).parameters.values())
    unbound = isinstance(plugin, type) and inspect.isfunction(inspect.getattr_static(plugin, found.name))
    return parameters[1:] if unbound else parameters
