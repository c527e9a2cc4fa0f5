"""Conversations from a task and the instances that a model wrote of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from itune_core.api import Created, Rejected, RowError, conversation, message
from itune_generators.bootstrapping.instances import Instance, shown, sound
from itune_generators.bootstrapping.pool import Task


def filled(
    task: Task, instances: Sequence[Instance], *, cut: bool, most: int, columns: Mapping[str, str]
) -> Iterator[Created | Rejected]:
    """A conversation for each instance that is kept, and why the others are not.

    Args:
        task: the instruction.
        instances: as they were read.
        cut: whether the answer hit its end in the last of them, which then goes.
        most: how many are kept; of more, the first.
        columns: common columns of the records.
    """
    about = f"{task.text[:80]!r}: "
    found = list(instances)
    if not found:
        yield Rejected("no-instance", f"{about}the answer has no marks of inputs and outputs")
    elif cut:
        yield Rejected("cut-off", f"{about}{shown(found.pop())}")
    kept, rejected = sound(found)
    yield from (Rejected(item.reason, f"{about}{item.detail}") for item in rejected)
    for instance in kept[:most]:
        question = f"{task.text}\n\n{instance.input}" if instance.input else task.text
        try:
            turns = [message("user", question), message("assistant", instance.output)]
            yield Created(conversation(turns, **columns), parents=task.parents)
        except RowError as error:  # a NUL character, say
            yield Rejected("not-text", f"{about}{error.what}")
    yield from (Rejected("over-most", f"{about}{shown(instance)}") for instance in kept[most:])
