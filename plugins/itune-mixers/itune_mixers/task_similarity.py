"""Tasks whose instructions are like the target's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from itune_core.api import Context, DataError, Embed, Failed, Input, Inputs, ModelRef, Vectors
from itune_mixers.drawing import draw_epochs
from itune_mixers.instructions import Reader, Task
from itune_mixers.planned import Plan, PlannedMixer
from itune_mixers.sources import Sources, shares

if TYPE_CHECKING:
    from itune_mixers.drawing import Places

Pairs = Literal["max", "mean"]


class TaskSimilarity(PlannedMixer):
    r"""Draw the tasks whose instructions are nearest to those of a target.

    The rows of `records` belong to candidate tasks and those of `target` to the target's, told apart by their column
    `task`. Only instructions are embedded, never instances or their outputs: the text, or texts, that the field
    `instruction` of a row's `meta` holds. With unit vectors :math:`u` of a candidate's instructions and :math:`v` of
    the target's, the candidate is as near as its best pair or, with ``pairs: mean``, as all pairs on average:

    .. math:: s = \max_{u, v} u \cdot v \qquad\text{or}\qquad s = \operatorname{mean}_{u, v} u \cdot v

    Left out are the target's own tasks and every task that shares a data set with one of them, by the field `family` of
    `meta`: what is learnt from those would not be the transfer that is to be measured. Of the others the `top_k`
    nearest are taken, of equal ones the first by name. An instruction that is longer than the embedding model reads is
    not cut unless `first_characters` says so: `embedded:minilm` reads 256 tokens, about 1,000 characters of English.

    All rows of the chosen tasks are drawn and shuffled, or `per_task` of each, without replacement over all epochs. A
    task that has fewer gives all. `target` is only read. The defaults of `instruction` and `family` are what
    ``formatters/superni`` writes. A row without a task or without the fields is an error that names it
    (``E-MIX-009``). So are fewer than `top_k` candidates (``E-MIX-010``), an instruction that the model cannot embed
    (``E-MIX-012``) and a target without rows (``E-MIX-013``).

    Source: INSTA, arXiv:2404.16418, which takes 5 tasks of P3 and 70 of Super-NaturalInstructions, and also tunes the
    embedding model on pairs of instructions; here it is used as it is.
    """

    inputs = {"records": Input(many=True), "target": Input()}

    class Config(PlannedMixer.Config):
        model: ModelRef = Field(description="The embedding model that reads the instructions.", examples=["minilm"])
        top_k: int = Field(5, ge=1, description="How many tasks to take.")
        pairs: Pairs = Field("max", description="Compare by the most similar pair of instructions, or by the mean.")
        instruction: str = Field("definition", description="Field of `meta` that holds a task's instructions.")
        first_characters: int | None = Field(
            None,
            ge=1,
            description="Embed only the first so many characters of an instruction; unset: all of it, and one that is "
            "longer than the model reads is an error.",
        )
        family: str | None = Field(
            "data_sets", description="Field of `meta` that names a task's data sets; null: only tasks are left out."
        )
        per_task: int | None = Field(None, ge=1, description="At most so many rows of a task an epoch; unset: all.")
        epochs: int = Field(1, ge=1, description="How many times to draw; each epoch is drawn and shuffled anew.")

    def plan(self, sources: Sources, inputs: Inputs, context: Context) -> Plan:
        """All epochs as one phase.

        Raises:
            DataError: ``E-MIX-009`` a row does not say what is needed; ``E-MIX-010`` there are too few candidates;
                ``E-MIX-012`` an instruction cannot be embedded; ``E-MIX-013`` the target has no rows.
        """
        import numpy as np

        reader = Reader(self.config.instruction, self.config.family)
        tasks: dict[str, Task] = {}
        targets: dict[str, Task] = {}
        for number, rows in enumerate(sources.data_sets):
            reader.read(rows, sources.named(number), tasks, int(sources.starts[number]))
        reader.read(inputs["target"], "target", targets)
        candidates = eligible(tasks.values(), targets.values())
        if not targets:
            raise DataError(
                "E-MIX-013",
                "the target has no rows, so that nothing can be near to it",
                fix="look at what the steps before dropped (itune ledger)",
            )
        if len(candidates) < self.config.top_k:
            raise DataError(
                "E-MIX-010",
                f"{self.config.top_k} tasks are to be taken, and there are {len(candidates)} candidates",
                why=f"of {len(tasks)} tasks {len(tasks) - len(candidates)} are the target's or share its data sets",
                fix="lower top_k, or add sources",
            )
        vectors = embedded([*candidates, *targets.values()], self.config, context)
        ranked = rank(candidates, list(targets.values()), vectors, self.config.pairs)
        pools: list[Places] = [np.array(task.places) for task, _ in ranked[: self.config.top_k]]
        counts = [min(len(pool), self.config.per_task or len(pool)) for pool in pools]
        asked = np.zeros(len(sources.sizes))
        for pool, count in zip(pools, counts, strict=True):
            asked += np.array(sources.tally(pool)) * (count / len(pool))
        return Plan(draw_epochs(pools, counts, self.config.epochs, context.rng()), [shares(asked.tolist())])


def eligible(tasks: Iterable[Task], targets: Iterable[Task]) -> list[Task]:
    """The tasks that are not a target and share no data set with one."""
    targets = list(targets)
    names = {task.name for task in targets}
    families = {family for task in targets for family in task.families}
    return [task for task in tasks if task.name not in names and not task.families & families]


def embedded(tasks: Sequence[Task], config: TaskSimilarity.Config, context: Context) -> dict[str, Any]:
    """By task, a unit vector for each of its instructions, one a row.

    Args:
        tasks: with their instructions.
        config: its `model` and `first_characters` count.
        context: the engine.

    Raises:
        DataError: ``E-MIX-012`` the model did not answer for a task.
    """
    import numpy as np

    cut = slice(config.first_characters)
    requests = [(task.name, Embed(config.model, [text[cut] for text in task.instructions])) for task in tasks]
    found: dict[str, Any] = {}
    for (name, _), reply in zip(requests, context.answer(requests), strict=True):
        if isinstance(reply, Failed):
            raise DataError(
                "E-MIX-012",
                "the instructions of a task cannot be embedded",
                where=f"task {name}",
                why=f"{reply.code}: {reply.message}",
                fix="if it is too long, set first_characters, or use an embedding model that reads longer texts",
            )
        if not isinstance(reply, Vectors):
            raise TypeError(f"an Embed was answered with {type(reply).__name__}")
        found[name] = np.array(reply.values)
    return found


def rank(
    candidates: Sequence[Task], targets: Sequence[Task], vectors: Mapping[str, Any], pairs: Pairs = "max"
) -> list[tuple[Task, float]]:
    """The candidates and how near they are, the nearest first.

    Args:
        candidates: tasks to rank.
        targets: tasks to be near to.
        vectors: unit vectors of each task's instructions, from :func:`embedded`.
        pairs: which pairs of instructions count.
    """
    import numpy as np

    target = np.concatenate([vectors[task.name] for task in targets])
    nearness = []
    for task in candidates:
        cosines = vectors[task.name] @ target.T
        nearness.append(float(cosines.max() if pairs == "max" else cosines.mean()))
    return sorted(zip(candidates, nearness, strict=True), key=lambda found: (-found[1], found[0].name))
