"""The other parts of Self-Instruct: which tasks are of classification, and the inputs and answers of each."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from pydantic import Field

from itune_core.api import Answer, Ask, Completion, ComponentConfig, Failed, Rejected
from itune_generators.asking.prompting import Prompted
from itune_generators.bootstrapping.books import Books
from itune_generators.bootstrapping.filling import filled
from itune_generators.bootstrapping.instances import MARKS, input_first, output_first
from itune_generators.bootstrapping.listing import is_classification
from itune_generators.bootstrapping.pool import Task
from itune_generators.bootstrapping.rounds import answers
from itune_generators.reading.speech import answer_alone
from itune_generators.reading.stopping import until


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


def classify(component: Prompted, tasks: Sequence[Task], books: Books) -> Generator[Any, Any, list[Classified]]:
    """Ask whether each task is one of classification: those that it was said of.

    Raises:
        ModelError: ``E-GEN-022`` as in :func:`~itune_generators.bootstrapping.rounds.answers`.
    """
    replies = yield from answers([_verdict(component, task) for task in tasks])
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


def fill(component: Prompted, told: Sequence[Classified], books: Books) -> Generator[Any, Any, None]:
    """Ask for instances of each task; a conversation is made of each that is kept.

    Raises:
        ModelError: ``E-GEN-022`` as in :func:`~itune_generators.bootstrapping.rounds.answers`.
    """
    config = component.config
    marks = MARKS[config.language]
    replies = yield from answers([_instances(component, one) for one in told])
    for (number, task, labelled), reply in zip(told, replies, strict=True):
        if isinstance(reply, Failed):
            books.fail(task.parents, reply)
            continue
        facts = {"model": config.model, "task": number, "classification": labelled}
        columns = {"language": config.language, "meta": json.dumps(facts, ensure_ascii=False)}
        found = (output_first if labelled else input_first)(reply.text, marks)
        most = config.instances.most
        for outcome in filled(task, found, cut=reply.finish == "length", most=most, columns=columns):
            books.say(task.parents, outcome)


def _verdict(component: Prompted, task: Task) -> Generator[Ask, Answer, Completion]:
    """What a model says where it is asked whether a task is one of classification."""
    asked = component.asked("classification", instruction=task.text)
    return answer_alone((yield Ask(component.config.model, asked, max_tokens=component.config.verdict_tokens)))


def _instances(component: Prompted, told: Classified) -> Generator[Ask, Answer, Completion]:
    """The instances that a model writes of a task, up to the first more than are kept, or to a task of its own."""
    marks, settings = MARKS[component.config.language], component.config.instances
    answer = yield Ask(
        component.config.model,
        component.asked("output_first" if told.labelled else "input_first", instruction=told.task.text),
        max_tokens=settings.max_tokens,
        presence_penalty=settings.presence_penalty,
    )
    return until(answer_alone(answer), f"\n{marks.example} {settings.most + 1}", f"\n{marks.task}:")
