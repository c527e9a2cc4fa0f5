"""Files of templates as PromptSource writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from itune_core.api import DataError


@dataclass(frozen=True)
class Template:
    """A template of PromptSource.

    Attributes:
        id, name: by which it is called.
        task: ``dataset/name`` or ``dataset/subset/name``.
        jinja: the text, prompt and target, with ``|||`` between them.
        answer_choices: a template of the answers to choose from, with ``|||`` between them; None: the task is open.
        original_task: whether it asks what the data set was made for; None: not said.
        choices_in_prompt: whether the answers stand in the prompt; None: not said.
        metrics: how answers are usually measured.
        languages: of its text.
    """

    id: str
    name: str
    task: str
    jinja: str
    answer_choices: str | None = None
    original_task: bool | None = None
    choices_in_prompt: bool | None = None
    metrics: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


class _Loader(yaml.SafeLoader):
    """YAML's own types, and PromptSource's two tags as plain mappings. A key given twice is an error; keys are not
    merged."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Nothing is merged: merging can unfold a small file into a large one."""

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Any, Any]:
        made = super().construct_mapping(node, deep=deep)  # type: ignore[arg-type]  # it refuses another node itself
        if len(made) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key is given twice", node.start_mark)
        return made


def _mapping(loader: _Loader, node: yaml.Node) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


for _tag in ("!Template", "!TemplateMetadata"):
    _Loader.add_constructor(_tag, _mapping)


def read_yaml(path: Path, code: str) -> Any:
    """What a YAML file holds.

    Raises:
        DataError: with that code: it cannot be read, or is not YAML of plain values.
    """
    try:
        return yaml.load(path.read_text("utf-8-sig"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(code, f"cannot read templates from {path.name!r}", where=str(path), why=str(error)) from error


def read_templates(path: Path) -> list[Template]:
    """The templates of a file, in its order.

    Raises:
        DataError: ``E-FORMAT-066`` it cannot be read, or is not of PromptSource's shape.
    """
    content = read_yaml(path, "E-FORMAT-066")

    def bad(what: str) -> DataError:
        return DataError(
            "E-FORMAT-066",
            f"{path.name!r} is not a file of templates: {what}",
            where=str(path),
            fix="a file has dataset, perhaps subset, and templates: a mapping from id to !Template",
        )

    if not isinstance(content, dict) or not isinstance(content.get("templates"), dict):
        raise bad("it has no mapping `templates`")
    dataset, subset = content.get("dataset"), content.get("subset")
    if not isinstance(dataset, str) or not isinstance(subset, (str, type(None))):
        raise bad("`dataset` must be text, and `subset` text or nothing")
    group = f"{dataset}/{subset}" if subset else dataset
    found = []
    for key, value in content["templates"].items():
        made = _template(group, key, value)
        if isinstance(made, str):
            raise bad(f"template {key!r}: {made}")
        found.append(made)
    return found


def _template(group: str, key: object, value: object) -> Template | str:
    """A template, or what is wrong with it."""
    if not isinstance(value, Mapping):
        return "it is no mapping"
    name, jinja, choices = value.get("name"), value.get("jinja"), value.get("answer_choices")
    metadata = value.get("metadata") or {}
    if not isinstance(key, str) or not isinstance(name, str) or not isinstance(jinja, str):
        return "id, name and jinja must be text"
    if not isinstance(choices, (str, type(None))) or not isinstance(metadata, Mapping):
        return "answer_choices must be text or nothing, and metadata a mapping"
    flags = [metadata.get(field) for field in ("original_task", "choices_in_prompt")]
    lists = [metadata.get(field) or [] for field in ("metrics", "languages")]
    if not all(flag is None or isinstance(flag, bool) for flag in flags):
        return "original_task and choices_in_prompt must be true, false or nothing"
    if not all(isinstance(items, list) and all(isinstance(item, str) for item in items) for items in lists):
        return "metrics and languages must be lists of text"
    metrics, languages = (tuple(items) for items in lists)
    return Template(key, name, f"{group}/{name}", jinja, choices, flags[0], flags[1], metrics, languages)
