"""Instruction templates over the rows of a task, in the manner of FLAN."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from itune_core.api import (
    Context,
    DataError,
    Drop,
    Failed,
    Formatter,
    InputFile,
    Kind,
    Record,
    Row,
    Used,
    conversation,
    hookimpl,
)
from itune_formatters.building.demonstrations import Pool, solved
from itune_formatters.building.frame import Frame
from itune_formatters.building.instance import Demonstration, Instance
from itune_formatters.instructions.values import Path as FieldPath
from itune_formatters.instructions.values import Plain, Value
from itune_formatters.rest import as_json
from itune_formatters.tasks.budget import Budget, Ruler, Turns, fit, ruler
from itune_formatters.tasks.flan_rows import Filled, Reader
from itune_formatters.tasks.flan_sets import RATIONALE, Packaged, Wording, fill, packaged_set, read_set
from itune_formatters.tasks.surface import CUES, Style, draw_style


@dataclass(frozen=True)
class Form:
    """What was drawn for a row: how it is asked.

    Attributes:
        number: of the wording in its set.
        wording: the same.
        style: of the list of options; None: it is not shown.
        cue: asks for the reasoning; None: the answer is given without.
        few_shot: whether demonstrations are shown.
    """

    number: int
    wording: Wording
    style: Style | None
    cue: str | None
    few_shot: bool


class FlanFrame(Frame):
    """The same settings but one: whether an answer begins with its rationale is drawn."""

    rationale: Literal["apart"] = Field(default="apart", description="See the setting `chain_of_thought`.")


class Flan(Formatter):
    """Rows of one task, each asked about in one of several ways: with or without demonstrations, a list of options and
    reasoning, and sometimes the other way round.

    The ways to ask are a set of templates: one of the package (`set`), or a file (`templates`, see
    :func:`itune_formatters.tasks.flan_sets.read_set`). `slots` says where in a row each slot of the set comes from, in
    the forms of ``formatters/columns``; a slot that is not named there is the field of its name. `answer` and
    `rationale` are slots with a meaning: the options are the choices of `answer` (or `options`), and an answer may
    begin with the rationale of its row. Whatever is drawn for a row hangs on its content.

    The record's `task` is the set's (a row's own goes first); `meta.template` tells the number of the template in its
    set and what was drawn, with the answers to choose from; `meta.row` holds the fields that are not read.

    Dropped: ``empty-slot`` (a slot has no text), ``over-budget`` (the question is too long without any
    demonstration).

    Source: structure and shares of arXiv:2109.01652 and arXiv:2301.13688 (https://github.com/google-research/FLAN);
    all wordings are our own. As there: ten templates a task of which up to three turn it around; zero- and few-shot in
    equal parts, with and without options in equal parts; what is reasoned always shows its options; turned templates at
    0.3 to 1 (published for chain of thought and dialogs, here the same for every set); demonstrations worded as the
    question they precede; header, marks and punctuation of options drawn. Not as there: demonstrations are laid out by
    `frame`; a row is asked in one way, drawn once, where FLAN repeats its task for each way.
    """

    produces = Kind.CONVERSATION

    class Config(Formatter.Config):
        set: Packaged | None = Field(
            None, description="A set of the package; or give `templates`.", examples=["entailment"]
        )
        templates: InputFile | None = Field(None, description="A file with a set of templates; or give `set`.")
        slots: dict[str, Value] = Field(
            {},
            description="Where a slot comes from: a field, {constant: TEXT}, {template: JINJA} or {field: NAME, "
            "choices: ...}; a slot that is not named: the field of its name.",
        )
        options: FieldPath | list[Plain] | None = Field(
            None,
            description="The answers to choose from: a field that holds a list, or a list of fields and constants. "
            "Unset: the choices of the slot `answer`, if it has any.",
        )
        references: Value | None = Field(
            None, description="Further right answers, a list in the row; the record's `references`."
        )
        demonstrations: Pool | None = Field(
            None, description="Rows to show before the question; unset: zero-shot only."
        )
        few_shot: float | None = Field(
            None, ge=0, le=1, description="Share of rows with demonstrations; unset: half of them, none without a pool."
        )
        show_options: float = Field(
            0.5, ge=0, le=1, description="Share of the rows with options whose question lists them."
        )
        turned: float = Field(
            0.3, ge=0, description="Weight of the templates that turn the task around, where the others have 1."
        )
        chain_of_thought: float = Field(
            1.0, ge=0, le=1, description="Share of the rows with a rationale whose answer begins with it."
        )
        frame: FlanFrame = Field(FlanFrame(), description="How the parts are laid out as turns.")
        budget: Budget | None = Field(
            None,
            description="Most that may stand before the answer: {tokens: 1920, tokenizer: MODEL} as published, or "
            "{characters: N}. Unset: no limit.",
        )

        @model_validator(mode="after")
        def _fit_together(self) -> Flan.Config:
            if (self.set is None) == (self.templates is None):
                raise ValueError("give either `set` or `templates`")
            if self.few_shot and self.demonstrations is None:
                raise ValueError("`few_shot` needs `demonstrations` to show")
            return self

    _reader: Reader
    _measure = Ruler()
    _pool: Sequence[Filled] = ()
    _most = 0

    @hookimpl
    def itune_format(self, context: Context) -> Iterator[tuple[str, Record | Used | Drop | Failed]]:
        config = self.config
        templates = packaged_set(config.set) if config.set else read_set(Path(config.templates).expanduser())
        unknown = sorted(config.slots.keys() - templates.slots - {RATIONALE})
        if unknown:
            raise DataError(
                "E-FORMAT-073",
                f"the templates have no slot {', '.join(map(repr, unknown))}",
                where="the setting `slots`",
                fix=f"the slots of {templates.task!r} are {', '.join(sorted(templates.slots))}, and rationale",
            )
        self._reader = Reader(templates, config.slots, config.options, config.references)
        self._measure = ruler(config.budget, context)
        if config.demonstrations is not None:
            shown = solved(config.demonstrations, config.reading, self._reader.shown)
            self._pool = sorted(shown, key=_content)  # so that the order of files decides nothing
            self._most = max((len(item.options) for item in self._pool), default=0)
        return super().itune_format(context)

    def format(self, row: Row) -> Record | Drop:
        filled = self._reader(row)
        if isinstance(filled, Drop):
            return filled
        form = self._drawn(row, filled)
        rows = self._shown(row, filled, form) if form.few_shot else []
        frame = self.config.frame.model_copy(update={"rationale": "before"}) if form.cue else self.config.frame
        asked = _asked(filled, form)

        def turns(shown: Sequence[Demonstration]) -> Turns:
            made: Turns = frame.turns(replace(asked, demonstrations=shown))
            return made

        found = fit([[_demonstration(item, form) for item in rows]], turns, self._measure)
        if isinstance(found, Drop):
            return found
        return conversation(turns(found), **self._common(filled, form, len(found)))

    def _drawn(self, row: Row, filled: Filled) -> Form:
        config, rng = self.config, self.rng(row, "form")
        numbered = list(enumerate(self._reader.templates.wordings))
        usable = [(number, item) for number, item in numbered if item.slots <= filled.values.keys()]
        around = [(number, item) for number, item in usable if item.turned]
        turn = bool(around) and rng.random() < config.turned / (1 + config.turned)
        number, wording = rng.choice(around if turn else [item for item in usable if not item[1].turned])
        reasons = RATIONALE in filled.values and not turn and rng.random() < config.chain_of_thought
        lists = bool(filled.options) and not turn and (rng.random() < config.show_options or reasons)
        share = config.few_shot if config.few_shot is not None else 0.5
        few_shot = bool(self._pool) and rng.random() < share
        style = draw_style(rng, max(len(filled.options), self._most)) if lists else None
        return Form(number, wording, style, rng.choice(CUES) if reasons else None, few_shot)

    def _shown(self, row: Row, filled: Filled, form: Form) -> list[Filled]:
        """Rows of the pool that can be asked about in the same form, in drawn order; no question twice, nor its
        own."""
        pool: Pool = self.config.demonstrations
        needed = form.wording.slots | ({RATIONALE} if form.cue else set())
        asked = {_asked(filled, form).instruction}
        found: list[Filled] = []
        for item in self.rng(row, "demonstrations").sample(self._pool, len(self._pool)):
            if len(found) == pool.count:
                break
            if not needed <= item.values.keys():
                continue
            if pool.same is not None and item.common.get(pool.same) != filled.common.get(pool.same):
                continue
            question = _asked(item, form).instruction
            if question not in asked:
                asked.add(question)
                found.append(item)
        return found

    def _common(self, filled: Filled, form: Form, shots: int) -> dict[str, Any]:
        template = {
            "number": form.number,
            "turned": form.wording.turned,
            "shots": shots,
            "options_shown": form.style is not None,
            "chain_of_thought": form.cue is not None,
            "answer_choices": filled.options or None,
        }
        kept = {"row": filled.extra} if filled.extra else {}
        return {**filled.common, "meta": as_json({"template": template, **kept})}


def _content(filled: Filled) -> tuple[list[tuple[str, str]], tuple[str, ...], str]:
    return sorted(filled.values.items()), filled.options, json.dumps(filled.common, sort_keys=True)


def _asked(filled: Filled, form: Form) -> Instance:
    options = form.style.block(filled.options) if form.style is not None and filled.options else None
    question = form.wording.question(filled.values, options)
    reasoning = filled.values[RATIONALE] if form.cue else ""
    return Instance(
        f"{question}\n\n{form.cue}" if form.cue else question,
        fill(form.wording.target, filled.values),
        rationale=reasoning,
    )


def _demonstration(filled: Filled, form: Form) -> Demonstration:
    asked = _asked(filled, form)
    return Demonstration("", asked.output, asked.instruction, asked.rationale)
