"""Super-NaturalInstructions: task files with a definition, examples and instances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from itune_core.api import (
    BadRow,
    ComponentConfig,
    Context,
    Drop,
    Facts,
    Failed,
    Formatter,
    InputFile,
    Kind,
    Record,
    Row,
    RowError,
    Used,
    conversation,
    hookimpl,
)
from itune_formatters.building.frame import Frame
from itune_formatters.building.instance import Demonstration, Instance
from itune_formatters.rest import as_json
from itune_formatters.tasks.budget import Budget, Ruler, Turns, fit, ruler
from itune_formatters.tasks.languages import tag
from itune_formatters.tasks.sentences import closed
from itune_formatters.tasks.superni_tasks import Task, read_task, task_files, task_name


class Encoding(BaseModel):
    """Which parts of a task are shown with each of its instances."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    definition: bool = Field(default=True, description="Show the task's definition.")
    positive: int = Field(
        default=2, ge=0, description="Show at most so many examples of right answers, the first ones."
    )
    negative: int = Field(
        default=0, ge=0, description="Show at most so many examples of wrong answers, after the right ones."
    )
    explanations: bool = Field(default=False, description="Show with each example why it is right or wrong.")


ENCODINGS = (
    Encoding(definition=True, positive=0),
    Encoding(definition=False, positive=2),
    Encoding(definition=True, positive=2),
    Encoding(definition=True, positive=2, negative=2),
    Encoding(definition=True, positive=2, explanations=True),
)
"""The five that Tk-Instruct draws from, each as likely as the others."""


class SuperNI(Formatter):
    """Task files of Super-NaturalInstructions, one conversation an instance.

    A file is one JSON object: `Definition` (text, or a list of which the first counts), `Positive Examples` and
    `Negative Examples` (`input`, `output`, `explanation`), `Instances` (`id`, `input`, `output`: a list of reference
    answers), and lists of `Source`, `Categories`, `Domains`, `Reasoning`, languages and licences. One file is held at a
    time. An instance stands at ``file#Instances[number]``.

    The question is the definition, examples and the input, laid out by `frame`; space around these texts is removed and
    a full stop put where they do not end in punctuation, of whatever script. The answer is one of the reference answers
    as it stands there; all of them are kept in `references`. `task` is the file's name, `category` the first category,
    `license` that of the instances, `language` that of the answers (null where they are in several). `meta` holds
    `definition`, `data_sets` (`Source`), `urls`, `domains`, `reasoning`, all categories and languages, the instance's
    `id` and fields that are not read, and what `shown` says of the question. Left out are contributors, further items
    of `Definition`, and fields of the task that are not named here.

    Within a `budget`, examples are added greedily: the first that does not fit ends those of its sort. The definition
    and the input are never cut.

    Dropped: ``no-answer`` (no reference answer, or only blank ones), ``over-budget`` (the question is too long without
    any example; the detail gives both numbers), ``no-description`` (neither definition nor example is left to say what
    is to be done, though the encoding has one). Failed: an instance of the wrong shape, alone; a task file of the wrong
    shape, once, under its path.

    Source: arXiv:2204.07705; encodings as in https://github.com/yizhongw/Tk-Instruct. Differences: labels are those of
    the frame; a question that is too long is dropped, not cut; one answer is drawn for all epochs.
    """

    produces = Kind.CONVERSATION

    class Config(ComponentConfig):
        path: InputFile | list[InputFile] = Field(
            description="Task file, folder of them or glob, or a list of these.",
            examples=["data/tasks"],
        )
        tasks: InputFile | None = Field(
            None, description="Text file of task names, one a line: only these are read (splits/default/*_tasks.txt)."
        )
        encoding: Encoding | Literal["drawn"] = Field(
            Encoding(), description="What is shown with an instance. drawn: one of Tk-Instruct's five, drawn for each."
        )
        instances: int | None = Field(None, ge=1, description="Read so many instances of each task; unset: all.")
        choose: Literal["first", "random"] = Field(
            "first", description="Which instances: the first (test tasks are balanced in this order), or drawn ones."
        )
        reference: Literal["random", "first"] = Field(
            "random", description="Which reference answer is the one to learn: a drawn one, or the first."
        )
        frame: Frame = Field(Frame(), description="How the parts are laid out as turns.")
        budget: Budget | None = Field(
            None,
            description="Most that may stand before the answer: {tokens: 1024, tokenizer: MODEL} as published, or "
            "{characters: N}. Unset: no limit.",
        )
        source: str | None = Field(None, description="Name written into each record's `source`; `superni` if unset.")
        limit: int | None = Field(None, ge=1, description="Read only the first so many instances of all tasks.")
        names: list[str] | None = Field(
            None,
            description="Names of the task files, found when the step is planned: they become `task` of the records.",
        )

    _measure = Ruler()

    @hookimpl
    def itune_format(self, context: Context) -> Iterator[tuple[str, Record | Used | Drop | Failed]]:
        self._measure = ruler(self.config.budget, context)
        return super().itune_format(context)

    def settle(self, facts: Facts) -> Config:
        """With the names of the task files: records hold them, so a renamed file is another input."""
        names = [task_name(path) for path in self._files()]
        return cast("SuperNI.Config", self.config.model_copy(update={"names": names}))

    def _files(self) -> list[Path]:
        paths = self.config.path
        return task_files([paths] if isinstance(paths, str) else list(paths), self.config.tasks)

    def read(self) -> Iterator[Row | BadRow]:
        """The instances of every task, file by file; a task that cannot be used is one bad row."""
        for path in self._files():
            found = read_task(path)
            if isinstance(found, BadRow):
                yield found
                continue
            task, instances = found
            for number in self._chosen(task, instances):
                yield Row({"task": task, "instance": instances[number]}, f"{path}#Instances[{number}]")

    def _chosen(self, task: Task, instances: Sequence[Any]) -> Sequence[int]:
        """Numbers of the instances to read, ascending. Drawn ones are those whose content drew the least numbers, so
        that neither files nor instances need stand in a certain order."""
        most = self.config.instances
        if most is None or most >= len(instances):
            return range(len(instances))
        if self.config.choose == "first":
            return range(most)
        drawn = [(self.rng(_key(task, item), "chosen").random(), at) for at, item in enumerate(instances)]
        return sorted(number for _, number in sorted(drawn)[:most])

    def format(self, row: Row) -> Record | Drop:
        task: Task = row["task"]
        given, references, extra = _instance(row["instance"])
        answers = [item for item in references if item.strip()]
        if not answers:
            return Drop("no-answer")
        rng = self.rng(_key(task, row["instance"]))
        encoding = rng.choice(ENCODINGS) if self.config.encoding == "drawn" else self.config.encoding
        answer = rng.choice(answers) if self.config.reference == "random" else answers[0]
        asked = Instance(closed(task.definition) if encoding.definition else "", answer, closed(given))

        def turns(examples: Sequence[Demonstration]) -> Turns:
            return self._frame.turns(replace(asked, demonstrations=examples))

        groups = (task.positive[: encoding.positive], task.negative[: encoding.negative])
        shown = fit([[_shown(item, encoding) for item in group] for group in groups], turns, self._measure)
        if isinstance(shown, Drop):
            return shown
        if not (encoding.definition or shown) and (encoding.positive or encoding.negative):
            return Drop("no-description", "the task has no such example" if not any(groups) else "no example fits")
        return conversation(turns(shown), **_common(task, references, extra, encoding, shown))

    @property
    def _frame(self) -> Frame:
        """Instances have no rationale, so where it goes is where the explanations of examples go."""
        frame: Frame = self.config.frame
        return frame.model_copy(update={"rationale": "after"}) if frame.rationale == "apart" else frame


def _key(task: Task, instance: object) -> Row:
    """What randomness hangs on: the task's name and the instance, not the whole task."""
    return Row({"task": task.name, "instance": instance}, "")


def _shown(example: Demonstration, encoding: Encoding) -> Demonstration:
    explained = closed(example.rationale) if encoding.explanations else ""
    return replace(example, input=closed(example.input), output=closed(example.output), rationale=explained)


def _instance(value: object) -> tuple[str, list[str], dict[str, Any]]:
    """Input, reference answers and the other fields of an instance.

    Raises:
        RowError: ``E-FORMAT-065`` it is of the wrong shape.
    """
    if not isinstance(value, dict):
        raise RowError(f"the instance must be an object, not {type(value).__name__}", "E-FORMAT-065")
    given, output = value.get("input"), value.get("output")
    references = [output] if isinstance(output, str) else output
    if not isinstance(given, str):
        raise RowError(f"its input must be text, not {type(given).__name__}", "E-FORMAT-065")
    if not isinstance(references, list) or not all(isinstance(item, str) for item in references):
        raise RowError("its output must be a list of texts", "E-FORMAT-065")
    return given, references, {name: item for name, item in value.items() if name not in ("input", "output")}


def _common(
    task: Task, references: list[str], extra: dict[str, Any], encoding: Encoding, shown: Sequence[Demonstration]
) -> dict[str, Any]:
    meta = {
        "definition": task.definition,
        "data_sets": task.data_sets,
        "urls": task.urls,
        "domains": task.domains,
        "reasoning": task.reasoning,
        "categories": task.categories,
        "input_languages": task.input_languages,
        "output_languages": task.output_languages,
        "instruction_languages": task.instruction_languages,
        "instance": extra,
        "shown": {
            "definition": encoding.definition,
            "positive": sum(not item.wrong for item in shown),
            "negative": sum(item.wrong for item in shown),
            "explanations": encoding.explanations,
        },
    }
    languages = {tag(name) for name in task.output_languages}
    return {
        "task": task.name,
        "category": task.categories[0] if task.categories else None,
        "language": languages.pop() if len(languages) == 1 else None,
        "license": "; ".join(task.licenses) or None,
        "references": references,
        "meta": as_json(meta),
    }
