"""The other parts of Self-Instruct: which tasks are of classification, and the inputs and answers of each."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from itune_core.api import Ask, ComponentConfig, Failed, Rejected
from itune_generators.bootstrapping.books import Books
from itune_generators.bootstrapping.filling import filled
from itune_generators.bootstrapping.instances import MARKS, input_first, output_first
from itune_generators.bootstrapping.listing import is_classification
from itune_generators.bootstrapping.pool import Task
from itune_generators.reading.speech import heard

if TYPE_CHECKING:
    from itune_generators.self_instruct import SelfInstruct


class Instances(ComponentConfig):
    """Sampling of instances, which is greedy, and how many are kept."""

    max_tokens: int = Field(default=350, ge=1, description="Most new tokens of the instances of one task.")
    presence_penalty: float = Field(
        default=1.5, description="What is taken from the logit of a token that was used already."
    )
    most: int = Field(default=5, ge=1, description="Most instances of one task; of more the first are taken.")


class Classified(NamedTuple):
    """A task, its number among those accepted, and whether it is one of classification."""

    number: int
    task: Task
    labelled: bool


def classify(
    component: SelfInstruct, tasks: Sequence[Task], books: Books
) -> Generator[list[Ask], Any, list[Classified]]:
    """Ask whether each task is one of classification: those that it was said of."""
    model = component.config.model
    replies = heard(
        (yield [Ask(model, component.asked("classification", instruction=task.text), max_tokens=8) for task in tasks])
    )
    told = []
    for number, (task, reply) in enumerate(zip(tasks, replies, strict=True)):
        if isinstance(reply, Failed):
            books.fail(task.parents, reply)
        elif (verdict := is_classification(reply.text)) is None:
            why = f"{task.text[:80]!r}: {reply.text[:40]!r} is neither yes nor no"
            books.say(task.parents, Rejected("no-verdict", why))
        else:
            told.append(Classified(number, task, verdict))
    return told


def fill(component: SelfInstruct, told: Sequence[Classified], books: Books) -> Generator[list[Ask], Any, None]:
    """Ask for instances of each task; a conversation is made of each that is kept."""
    config = component.config
    marks, settings = MARKS[config.language], config.instances
    replies = heard(
        (
            yield [
                Ask(
                    config.model,
                    component.asked("output_first" if labelled else "input_first", instruction=task.text),
                    max_tokens=settings.max_tokens,
                    presence_penalty=settings.presence_penalty,
                    stop=(f"\n{marks.example} {settings.most + 1}", f"\n{marks.task}:"),
                )
                for _, task, labelled in told
            ]
        )
    )
    for (number, task, labelled), reply in zip(told, replies, strict=True):
        if isinstance(reply, Failed):
            books.fail(task.parents, reply)
            continue
        facts = {"model": config.model, "task": number, "classification": labelled}
        columns = {"language": config.language, "meta": json.dumps(facts, ensure_ascii=False)}
        found = (output_first if labelled else input_first)(reply.text, marks)
        for outcome in filled(task, found, cut=reply.finish == "length", most=settings.most, columns=columns):
            books.say(task.parents, outcome)
