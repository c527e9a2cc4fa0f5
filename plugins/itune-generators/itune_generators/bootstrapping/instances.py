"""Reading the instances of a task that a model wrote, and leaving out those that are wrong by their look."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from itune_core.api import Rejected
from itune_generators.asking.prompting import Language


class Instance(NamedTuple):
    """What a task is done to (empty: it needs nothing but its own words), and the answer."""

    input: str
    output: str


class Marks(NamedTuple):
    """What the parts of an instance begin with in a prompt, and so in an answer to it."""

    task: str
    example: str
    input: str
    output: str
    label: str


MARKS: dict[Language, Marks] = {
    "en": Marks("Task", "Example", "Input", "Output", "Class label"),
    "ko": Marks("과제", "예시", "입력", "출력", "라벨"),
    "ja": Marks("課題", "例", "入力", "出力", "ラベル"),
}

COLONS = (":", "：")


def input_first(text: str, marks: Marks) -> list[Instance]:
    """The instances of an answer of the form ``Example 1``, ``Input: ...``, ``Output: ...``; none if it has
    not that form.

    An example without the mark of an output is all output, and what stands after a second input is left out, as in the
    published code. What comes before the first example is not read, nor what comes before the mark of an input.
    """
    numbered = re.split(rf"(?m){_start(marks.example)}\d+[ \t]*[.:：)]?[ \t*]*", text)[1:]
    if not numbered:
        numbered = [text] if re.search(rf"(?m){_field(marks.output)}", text) else []
    return [_in_order(part, marks) for part in numbered if part.strip()]


def output_first(text: str, marks: Marks) -> list[Instance]:
    """The instances of an answer of the form ``Class label: ...``, ``Input: ...``; none if it has not that form.

    The label is what stands on the line of its mark, or on the next, the input all that follows. An input in its place
    is no label, which then is empty.
    """
    found = []
    for part in re.split(rf"(?m){_field(marks.label)}", text)[1:]:
        label, _, given = part.strip().partition("\n")
        if re.match(_field(marks.input), label):
            label, given = "", part
        found.append(Instance(_bare(given, marks), label.strip(" \t*")))
    return found


def _in_order(part: str, marks: Marks) -> Instance:
    given, *outputs = re.split(rf"(?m){_field(marks.output)}", part)
    if not outputs:
        given, outputs = "", [part]
    output = re.split(rf"(?m){_field(marks.input)}", outputs[0])[0]
    marked = re.search(rf"(?m){_field(marks.input)}", given)
    return Instance(_bare(given[marked.start() :] if marked else given, marks), output.strip())


def _bare(given: str, marks: Marks) -> str:
    """An input without its mark."""
    return re.sub(_field(marks.input), "", given.strip(), count=1).strip()


def _start(mark: str) -> str:
    """At the beginning of a line, perhaps as a heading, an item or in bold type."""
    return rf"^[ \t#*>-]*{mark}[ \t]*"


def _field(mark: str) -> str:
    return rf"{_start(mark)}\d*[ \t]*\**[:：][ \t*]*"


def sound(instances: Sequence[Instance]) -> tuple[list[Instance], list[Rejected]]:
    """The instances that are not wrong by their look, in order, and why the others are left out.

    - ``repeats-input``: the answer is the input;
    - ``empty-output``;
    - ``ends-with-colon``: input or answer, so that something is missing;
    - ``contradiction``: two have the same input and not the same answer; then all instances go;
    - ``duplicate``: of equal ones the first stays.
    """
    kept: list[Instance] = []
    rejected: list[Rejected] = []
    for instance in instances:
        reason = _fault(instance)
        if reason is None:
            kept.append(instance)
        else:
            rejected.append(Rejected(reason, shown(instance)))
    answers: dict[str, str] = {}
    for given, output in kept:
        if given and answers.setdefault(given, output) != output:
            why = f"{given[:80]!r} is answered {answers[given][:40]!r} and {output[:40]!r}"
            return [], [*rejected, *(Rejected("contradiction", why) for _ in kept)]
    unique = list(dict.fromkeys(kept))
    return unique, rejected + [Rejected("duplicate", "an instance came twice") for _ in kept[len(unique) :]]


def shown(instance: Instance) -> str:
    """An instance, for people."""
    return f"{instance.input[:80]!r} -> {instance.output[:80]!r}"


def _fault(instance: Instance) -> str | None:
    if instance.input == instance.output:
        return "repeats-input" if instance.output else "empty-output"
    if not instance.output:
        return "empty-output"
    if instance.input.endswith(COLONS) or instance.output.endswith(COLONS):
        return "ends-with-colon"
    return None
