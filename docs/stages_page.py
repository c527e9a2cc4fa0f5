"""Write ``docs/stages.md``, the contract of each stage, from hook specs and base classes; ``--check`` compares it."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from docstrings import body, markdown, summary
from errors_page import MEANINGS, collect, meaning
from generated import write_or_check
from settings_table import settings_table

from itune_core.api import asking, context, hookspecs, outcomes
from itune_core.api.components import Component
from itune_core.api.hookspecs import STAGES, Lifecycle
from itune_core.api.records import Kind
from itune_core.plugins import contract, session
from itune_core.plugins.contract import ANSWERS, EASY_METHODS, STAGE_BASES

OUTCOMES = (outcomes.Keep, outcomes.Drop, outcomes.Failed, outcomes.Created, outcomes.Drawn, outcomes.Mix,
            outcomes.TrainedModel, outcomes.Check, outcomes.Evaluation)  # fmt: skip
REQUESTS = ((asking.Ask, asking.Answer), (asking.LogProbs, asking.TokenLogProbs),
            (asking.Rewards, asking.AnswerRewards), (asking.Embed, asking.Vectors))  # fmt: skip


def lines() -> Iterator[str]:
    """The page's Markdown, line by line."""
    yield from (
        "# The contract of each stage",
        "",
        "<!-- Written by docs/stages_page.py from itune_core/api. Change the docstrings there, then run it. -->",
        "",
        "What a component must define, what it is handed and what it may give back. Everything named here is imported",
        "from `itune_core.api`; `itune plugins new STAGE NAME` writes a distribution with a component that keeps this",
        "contract, and its tests.",
        "",
        _body(hookspecs).partition("\n\n")[2],
        "",
        "| stage | makes | hook | easy method | base class |",
        "|---|---|---|---|---|",
    )
    for stage, (spec, hook) in STAGES.items():
        easy = ", ".join(f"`{name}`" for name in EASY_METHODS[stage])
        base = STAGE_BASES[stage].__name__
        yield f"| [{stage}](#{stage}) | {_plain(summary(spec))} | `{hook}` | {easy} | `{base}` |"
    yield ""
    for stage, (spec, hook) in STAGES.items():
        yield from _stage(stage, spec, hook)
    for stage in ("backends", "executors"):
        yield from _resource(stage)
    yield from _extensions()
    yield from ("## What may be said of a row", "", _body(outcomes), "")
    for outcome in OUTCOMES:
        yield from _class(outcome)
    yield from ("## Asking a model", "", _body(asking), "")
    for request, reply in REQUESTS:
        yield from (*_class(request), *_class(reply))
    yield from ("## The context", "", _body(context), "")
    for name, member in vars(context.Context).items():
        if not name.startswith("_"):
            yield from _method(name, member)
    yield from _refusals()


def _stage(stage: str, spec: type, hook: str) -> Iterator[str]:
    base = STAGE_BASES[stage]
    yield from (f"## {stage}", "", _body(base), "", *_facts(base, stage))
    for name in EASY_METHODS[stage]:
        yield from _method(name, vars(base)[name])
    yield from _method(hook, vars(spec)[hook], "The hook")
    methods = [vars(spec)[hook], *(vars(base)[name] for name in EASY_METHODS[stage])]
    headers = "\n".join(map(_header, methods))
    said = [outcome for outcome in OUTCOMES if re.search(rf"\b{outcome.__name__}\b", headers)]
    if said:
        yield from (
            "What it may say: " + ", ".join(f"[`{one.__name__}`](#{one.__name__.lower()})" for one in said) + ".",
            "",
        )
    others = _others(base, {*EASY_METHODS[stage], hook})
    yield from _optional(others)
    if "Config" in vars(base):
        yield from ("### Settings that all have", "", *settings_table(base.Config))


def _resource(stage: str) -> Iterator[str]:
    base = STAGE_BASES[stage]
    needed = EASY_METHODS.get(stage, ANSWERS)
    yield from (f"## {stage}", "", _body(base), "", *_facts(base, stage))
    if stage == "backends":
        yield from (f"It defines at least one of {', '.join(f'`{name}`' for name in ANSWERS)}.", "")
    for name in needed:
        yield from _method(name, vars(base)[name])
    yield from _optional(_others(base, set(needed)))
    if "Config" in vars(base):
        yield from ("### Settings that all have", "", *settings_table(base.Config))


def _extensions() -> Iterator[str]:
    yield from (
        "## extensions",
        "",
        "A class with any of these, and a nested `Config` if it has settings (then it is made with the config). It is",
        "a *wrapper* where it implements a stage's hook with `@hookimpl(wrapper=True)`, and an *observer* where it",
        "implements a lifecycle hook with a plain `@hookimpl`; it may be both. " + _body(Lifecycle),
        "",
        "- Entry-point group: `itune.extensions`",
        "",
    )
    for name, member in vars(Lifecycle).items():
        if name.startswith(f"{hookspecs.PROJECT}_"):
            yield from _method(name, member)


def _facts(base: type[Component], stage: str) -> Iterator[str]:
    yield f"- Entry-point group: `itune.{stage}`"
    yield f"- Base class: `{base.__name__}`"
    for name, taken in base.inputs.items():
        kinds = "records of any kind" if set(taken.kinds) == set(Kind) else f"{' or '.join(taken.kinds)} records"
        notes = [note for note, holds in (("several data sets", taken.many), ("optional", not taken.required)) if holds]
        yield f"- Input `{name}`, unless it declares others: {kinds}{f' ({chr(44).join(notes)})' if notes else ''}"
    if base.outputs:
        yield f"- Output, unless it declares others: {', '.join(f'`{name}`' for name in base.outputs)}"
    yield ""


def _optional(methods: Iterable[tuple[str, Any]]) -> Iterator[str]:
    for number, (name, member) in enumerate(methods):
        if not number:
            yield from ("It may also define:", "")
        yield from _method(name, member)


def _others(base: type[Component], told: set[str]) -> list[tuple[str, Any]]:
    """The public methods of a base class that are not `told` elsewhere."""
    hooks = {hook for _, hook in STAGES.values()}
    return [
        (name, member)
        for name, member in vars(base).items()
        if inspect.isfunction(member) and not name.startswith("_") and name not in told | hooks
    ]


def _method(name: str, member: Any, prefix: str = "") -> Iterator[str]:
    title = f"{prefix}: `{name}`" if prefix else f"`{name}`"
    yield from (f"### {title}", "", "```python", _header(member), "```", "", _body(member), "")


def _class(described: type) -> Iterator[str]:
    yield from (f"### {described.__name__}", "", "```python", _fields(described), "```", "", _body(described), "")


def _header(member: Any) -> str:
    """A function's ``def`` line, wrapped where it is long; a property's as an annotation."""
    function = member.fget if isinstance(member, property) else member
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    gives = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if isinstance(member, property):
        return f"{node.name}{gives.replace(' -> ', ': ')}"
    whole = f"def {node.name}({ast.unparse(node.args)}){gives}"
    if len(whole) <= 100:
        return whole
    arguments = ast.unparse(node.args)
    inner = f"def {node.name}(\n    {arguments}\n){gives}"
    if all(len(line) <= 100 for line in inner.splitlines()):
        return inner
    parameters = [part for part in re.split(r", (?![^\[]*\])", arguments) if part]
    return "\n".join([f"def {node.name}(", *(f"    {part}," for part in parameters), f"){gives}"])


def _fields(described: type) -> str:
    """A data class as its fields stand in the source."""
    source = textwrap.dedent(inspect.getsource(described))
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.ClassDef)
    fields = [str(ast.get_source_segment(source, item)) for item in node.body if isinstance(item, ast.AnnAssign)]
    fields += [
        f"{item.name}: {ast.unparse(item.returns)}  # computed"
        for item in node.body
        if isinstance(item, ast.FunctionDef) and item.decorator_list and item.returns
        and ast.unparse(item.decorator_list[0]) == "property"
    ]  # fmt: skip
    return "\n".join([f"class {node.name}:", *(f"    {field}" for field in fields)])


def _refusals() -> Iterator[str]:
    codes, _ = collect([Path(inspect.getfile(module)) for module in (contract, session)])
    told = tomllib.loads(MEANINGS.read_text("utf-8"))["meanings"]
    yield from (
        "## What is refused",
        "",
        "A component that breaks the contract is refused when it is loaded, by `itune check` already, with the name of",
        "its distribution:",
        "",
    )
    yield from (f"- [{code}](errors.md#{code.lower()}): {meaning(code, codes[code], told)}" for code in sorted(codes))
    yield ""


def _body(described: Any) -> str:
    return re.sub(r"\s*\(see `itune_core\.api\.asking`\)", " ([asking a model](#asking-a-model))", body(described))


def _plain(text: str) -> str:
    return markdown(text).rstrip(".")


if __name__ == "__main__":
    sys.exit(write_or_check("stages_page.py", {"stages.md": "\n".join(lines()).rstrip() + "\n"}))
