"""Conformance of trainers."""

from __future__ import annotations

from typing import ClassVar, Literal

from itune_core.testing.comparing import difference
from itune_core.testing.conformance.rows import RowsConformance
from itune_core.testing.lending import LendingContext
from itune_core.testing.subject import SEED
from itune_core.testing.tried import RowSubject
from itune_core.testing.verdict import fail

CODE = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
"""Files that run code when they are read."""


class _Killed(BaseException):
    """The process dies here. Not an Exception: nothing survives a kill by catching it."""


class _KilledAtStep(LendingContext):
    """A bench whose process dies when the second step is reported."""

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        super().progress(done, total, **figures)
        if len(_steps(self)) == 2:
            raise _Killed


def _steps(context: LendingContext) -> list[int]:
    """The steps that were reported; they have figures, which other work (encoding, a reference model) has not."""
    return [done for done, _, figures in context.reported if figures]


class TrainerConformance(RowsConformance):
    """Tests of a trainer: a folder of safetensors, the same bytes for the same seed, also after a kill.

    Every model that `config` names is a two-layer model. Let it take two steps or more, with a checkpoint after each:
    ``config = {"model": "tiny", "batch_size": 2, "save_steps": 1}``.

    Attributes:
        architecture: of the models that `config` names: ``"causal"``, or ``"seq2seq"`` for encoder and decoder.
        resumes: whether a killed training goes on from its last checkpoint.
    """

    stage = "trainers"
    order = "defined"
    scope = "whole"
    count = 4
    architecture: ClassVar[Literal["causal", "seq2seq"]] = "causal"
    resumes = True

    def test_it_saves_safetensors_and_no_code(self, subject: RowSubject) -> None:
        """Nothing in the model's folder runs code when it is read."""
        code = [name for name in subject.trial.files if name.endswith(CODE)]
        if code:
            fail(f"it saves {', '.join(code)}", why="pickles run code when they are read", fix="save safetensors")

    def test_a_killed_training_goes_on(self, subject: RowSubject) -> None:
        """Killed after a step and started again, it ends with the same bytes; and did not begin anew."""
        first = subject.trial
        folder = subject.place("killed")
        context = _KilledAtStep(folder, models=subject.models, reply=subject.reply, seed=SEED)
        try:
            subject.attempt(context=context)
        except _Killed:
            pass
        else:
            fail(
                f"it reported {len(_steps(context))} steps with figures, so that it could not be killed between two",
                fix="call context.progress(done, total, loss=...) after each step, and give a config with two or more",
            )
        again = LendingContext(folder, models=subject.models, reply=subject.reply, seed=SEED)
        try:
            resumed = subject.attempt(context=again)
        # A component's code runs here and may raise anything.
        except Exception as error:
            fail(
                f"killed and started again, it raised {type(error).__name__}: {error}",
                fix="what a killed run left in context.scratch is still there: continue from it, or remove it",
                cause=error,
            )
        changed = difference(dict(first.answers), dict(resumed.answers))
        if changed is not None:
            fail(
                f"killed and started again, it makes another model: {changed}",
                fix="keep weights, optimiser and step number in each checkpoint, and derive randomness from the step",
            )
        if self.resumes and _steps(again)[0] <= _steps(context)[0]:
            fail(
                "killed and started again, it began anew",
                why="hours of training would be lost",
                fix="read the last checkpoint in context.scratch; or declare resumes = False",
            )
