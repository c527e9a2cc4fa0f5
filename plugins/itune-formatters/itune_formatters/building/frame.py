"""How the parts of an instance are laid out as turns; the same for every formatter of instructions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from itune_core.api import ComponentConfig
from itune_formatters.building.instance import Demonstration, Instance
from itune_formatters.building.labels import LABELS, Labels, Language


class Frame(ComponentConfig):
    """Settings of the layout. No chat template: that is put around the turns once, when a model is trained."""

    style: Literal["plain", "headed"] = Field(
        default="plain",
        description="plain: the parts of the question, a blank line between them; headed: each below a heading such as "
        "`### Instruction:`, as models without a chat template are trained.",
    )
    language: Language = Field(default="en", description="Language of headings and labels.")
    input: Literal["after", "before"] = Field(
        default="after",
        description="Where the input stands to the instruction. Demonstrations always come before the input.",
    )
    rationale: Literal["apart", "before", "after"] = Field(
        default="apart",
        description="Where the rationale of a row goes. apart: only into the record's column `rationale`; before: the "
        "answer begins with it (chain of thought); after: the answer is explained by it.",
    )
    demonstrations: Literal["text", "turns"] = Field(
        default="text",
        description="How demonstrations are shown. text: labelled, inside the user turn; turns: as earlier turns of "
        "the conversation, which are not trained on (a wrong one stays text).",
    )

    def turns(self, instance: Instance) -> list[dict[str, Any]]:
        """The conversation: an instance as one question and its answer, with demonstrations as earlier turns if so set.

        Every part of the instance stands in it word for word, save a rationale that is kept apart; that of a
        demonstration is always shown. The turns hold ``role`` and ``content``, and ``train: False`` where they are not
        trained on; what makes a record of them (:func:`itune_core.api.conversation`) checks them.
        """
        turns = [_turn("system", instance.system)] if instance.system else []
        if not instance.demonstrations and self.style == "plain":
            question = self._joined(instance.instruction, instance.input)
        else:
            question = self._shown(instance, turns)
        turns.append(_turn("user", question))
        turns.append(_turn("assistant", self._answer(instance)))
        return turns

    def _shown(self, instance: Instance, turns: list[dict[str, Any]]) -> str:
        """The question, after what is shown as earlier turns was added to `turns`."""
        labels = LABELS[self.language]
        instruction, demonstrations = instance.instruction, instance.demonstrations
        shared = not any(item.instruction for item in demonstrations)
        if not shared:  # a task that stands among others is named each time
            demonstrations = [replace(item, instruction=item.instruction or instruction) for item in demonstrations]
        as_turns = self.demonstrations == "turns"
        told = [item for item in demonstrations if item.wrong or not as_turns]
        for item in demonstrations:
            if item.wrong or not as_turns:
                continue
            task = item.instruction or instruction
            turns.append(_turn("user", self._question(task, item.input, told, labels, shared)))
            answer = self._explained(item.output, item.rationale, labels, before=self.rationale == "before")
            turns.append({**_turn("assistant", answer), "train": False})
            told = []
            if shared and instance.input and all(other.input for other in demonstrations):
                instruction = ""  # said once, it holds for the inputs that follow
        return self._question(instruction, instance.input, told, labels, shared)

    def _question(
        self, instruction: str, given: str, told: Sequence[Demonstration], labels: Labels, shared: bool
    ) -> str:
        examples = list(self._examples(told, labels))
        parts: Iterable[str]
        if self.style == "headed":
            parts = self._headed(instruction, given, examples, labels, shared)
        elif not told:
            return self._joined(instruction, given)
        else:
            head, task = (instruction, "") if shared else ("", instruction)
            query = [*self._lines(task, given, labels), f"{labels.output}{labels.colon}".rstrip()]
            parts = [head, *examples, "\n".join(query)]
        return "\n\n".join(part for part in parts if part)

    def _joined(self, instruction: str, given: str) -> str:
        if not given:
            return instruction
        if not instruction:
            return given
        return f"{instruction}\n\n{given}" if self.input == "after" else f"{given}\n\n{instruction}"

    def _lines(self, instruction: str, given: str, labels: Labels) -> list[str]:
        """What is asked, a labelled line for each part that there is."""
        lines = [_labelled(labels.instruction, instruction, labels), _labelled(labels.input, given, labels)]
        if self.input == "before":
            lines.reverse()
        return [line for line in lines if line]

    def _headed(
        self, instruction: str, given: str, examples: Sequence[str], labels: Labels, shared: bool
    ) -> Iterator[str]:
        sections = [_section(labels.instruction, instruction), _section(labels.input, given)]
        if self.input == "before":
            sections.reverse()
        at = 1 if shared and self.input == "after" else 0  # a task that all share comes first
        yield from (*sections[:at], *(f"### {text}" for text in examples), *sections[at:], f"### {labels.output}:")

    def _answer(self, instance: Instance) -> str:
        if not instance.rationale or self.rationale == "apart":
            return instance.output
        before = self.rationale == "before"
        return self._explained(instance.output, instance.rationale, LABELS[self.language], before=before)

    def _explained(self, output: str, rationale: str, labels: Labels, *, before: bool) -> str:
        if not rationale:
            return output
        if before:
            return f"{rationale}\n\n{labels.conclusion}{labels.colon}{output}"
        return f"{output}\n\n{labels.rationale}{labels.colon}{rationale}"

    def _examples(self, demonstrations: Sequence[Demonstration], labels: Labels) -> Iterator[str]:
        """Each demonstration as lines below a numbered heading; right and wrong ones are numbered apart."""
        numbers = {False: 0, True: 0}
        before = self.rationale == "before"
        for item in demonstrations:
            numbers[item.wrong] += 1
            name = labels.wrong_example if item.wrong else labels.example
            answer = self._explained(item.output, item.rationale, labels, before=True) if before else item.output
            lines = [
                f"{name} {numbers[item.wrong]}{labels.colon}".rstrip(),
                *self._lines(item.instruction, item.input, labels),
                _labelled(labels.output, answer, labels),
                "" if before else _labelled(labels.rationale, item.rationale, labels),
            ]
            yield "\n".join(line for line in lines if line)


class KoreanFrame(Frame):
    """The same settings, labels in Korean unless set otherwise."""

    language: Language = Field(default="ko", description="Language of headings and labels.")


class JapaneseFrame(Frame):
    """The same settings, labels in Japanese unless set otherwise."""

    language: Language = Field(default="ja", description="Language of headings and labels.")


def _turn(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _section(name: str, text: str) -> str:
    return f"### {name}:\n{text}" if text else ""


def _labelled(label: str, text: str, labels: Labels) -> str:
    return f"{label}{labels.colon}{text}" if text else ""
