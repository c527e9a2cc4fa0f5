"""PromptSource templates: rows of any data set, asked about in other people's words."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field

from itune_core.api import Context, DataError, Drop, Failed, InputFile, Record, Row, Used, hookimpl
from itune_formatters.building.instance import Instance
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.rest import as_json, rest
from itune_formatters.tasks.rendering import Applied, Renderer, check
from itune_formatters.tasks.template_files import Template, read_templates


class Templates(InstructionFormatter):
    """Rows rendered by PromptSource templates, one conversation a template that is applied to a row.

    `templates` is a ``templates.yaml`` of PromptSource (tags ``!Template`` and ``!TemplateMetadata``). Jinja runs in a
    sandbox whose work is bounded; random choices in it hang on the row's content. What a template writes is never
    truncated, and ``|||`` in a row, at any depth, is text. A variable that the row does not have fails the row.

    `task` is ``dataset/subset/template name``; `language` that of the template, if it has one and the row does not say;
    `meta.template` its id, name, metadata and the answers to choose from; `meta.row` the fields of the row that the
    template does not read. Other common columns are taken from the row. A demonstration is asked about by a template
    drawn for it.

    Dropped, where none of the templates applies: ``template-does-not-apply`` (it renders to other than two parts),
    ``unlabelled`` (the label is negative, as in test sets without answers), ``empty-instruction``, ``empty-output``.
    Where fewer apply than were asked for, the row is used and the ledger says which did not.

    Source: arXiv:2202.01279, https://github.com/bigscience-workshop/promptsource. Differences: no truncation to 2,048
    characters; nested text is protected too; missing variables fail in place of being empty.
    """

    class Config(InstructionFormatter.Config):
        templates: InputFile = Field(description="A templates.yaml of PromptSource.", examples=["data/templates.yaml"])
        only: list[str] | None = Field(
            None, min_length=1, description="Names or ids of the templates to use; unset: all."
        )
        original_task: bool = Field(False, description="Use only templates that ask what the data set was made for.")
        per_row: int | None = Field(
            1, ge=1, description="Apply so many templates to each row, drawn from those that apply; null: all of them."
        )

    _renderer = Renderer(())

    @hookimpl
    def itune_format(self, context: Context) -> Iterator[tuple[str, Record | Used | Drop | Failed]]:
        self._renderer = Renderer(self._chosen())
        return super().itune_format(context)

    def _chosen(self) -> list[Template]:
        """The templates that the settings name, in the order of the file.

        Raises:
            DataError: ``E-FORMAT-066`` the file; ``E-FORMAT-071`` there is no such template, or none is left.
        """
        found = read_templates(Path(self.config.templates).expanduser())
        only = None if self.config.only is None else set(self.config.only)
        known = {text for item in found for text in (item.id, item.name)}
        missing = sorted((only or set()) - known)
        chosen = [
            item
            for item in found
            if (only is None or item.id in only or item.name in only)
            and (item.original_task or not self.config.original_task)
        ]
        if missing or not chosen:
            raise DataError(
                "E-FORMAT-071",
                f"no template {', '.join(map(repr, missing))}" if missing else "no template is left to apply",
                where=self.config.templates,
                fix=f"there are: {', '.join(repr(item.name) for item in found)}",
            )
        return chosen

    def instance(self, row: Row) -> list[Instance | Drop]:
        check(row)
        made: list[Instance] = []
        left: dict[str, list[str]] = defaultdict(list)
        wanted = self.config.per_row or len(self._renderer.templates)
        for template in self._drawn(row):
            found = self._applied(template, row)
            if isinstance(found, Drop):
                left[found.reason].append(template.name)
                continue
            made.append(found)
            if len(made) == wanted:
                return [*made]
        return [*made, *(Drop(reason, ", ".join(sorted(names))) for reason, names in sorted(left.items()))]

    def _drawn(self, row: Row) -> Sequence[Template]:
        """The templates in the order in which they are tried."""
        templates = self._renderer.templates
        if self.config.per_row is None:
            return templates
        return self.rng(row, "templates").sample(templates, len(templates))

    def _applied(self, template: Template, row: Row) -> Instance | Drop:
        applied = self._renderer.apply(template, row, self.rng(row, "template", template.id))
        if isinstance(applied, Drop):
            return applied
        if not applied.prompt or not applied.target:
            return Drop("empty-output" if applied.prompt else "empty-instruction")
        common = rest(row, *self._renderer.reads(template), filled=("task",))
        kept = {"row": json.loads(common["meta"])} if "meta" in common else {}
        common["meta"] = as_json({"template": _told(template, applied), **kept})
        common["task"] = template.task
        if len(template.languages) == 1:
            common.setdefault("language", template.languages[0])
        return Instance(applied.prompt, applied.target, common=common)


def _told(template: Template, applied: Applied) -> dict[str, object]:
    return {
        "id": template.id,
        "name": template.name,
        "original_task": template.original_task,
        "choices_in_prompt": template.choices_in_prompt,
        "metrics": template.metrics,
        "languages": template.languages,
        "answer_choices": applied.choices,
    }
