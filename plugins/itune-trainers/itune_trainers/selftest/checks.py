"""What a training relies on, tried out on one model: whether its rows, its masks and its steps are what they seem."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itune_core.api import (
    Check,
    Context,
    ItuneError,
    Kind,
    ModelError,
    ModelSource,
    TrainedModel,
)
from itune_trainers.forward import forward_of
from itune_trainers.forward.base import Forward
from itune_trainers.model.opening import trained_tensors
from itune_trainers.model.seeds import seeded
from itune_trainers.rows.example import Example
from itune_trainers.rows.stops import stop_ids
from itune_trainers.selftest.rows import TURNS, messages, rows_for
from itune_trainers.settings import MEASURED, settle
from itune_trainers.train import decide, references
from itune_trainers.training.loop import mean_loss

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from itune_torch import Encoded
    from itune_trainers.objective import Objective

STEPS, KILLED_AT = 4, 2
ROUNDING = {"float32": 1e-3, "bfloat16": 0.05}
"""How far loss and gradient norm may differ, as a share, between rows run together and one by one."""
NATS = {"float32": 1e-3, "bfloat16": 0.25}
"""How far the log-probability of a token may differ between rows laid end to end and alone."""
CERTAIN = math.log(0.9)
"""A log-probability from which there is nothing left to learn."""


class _Killed(Exception):
    """Ends a training in the middle."""


class _Room:
    """The context of one training: a folder of its own, and an end when it is to be killed."""

    def __init__(self, context: Context, name: str, killed_at: int | None = None) -> None:
        self._context, self._killed_at = context, killed_at
        self.scratch: Path = context.scratch / name
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.rng, self.model, self.artifact = context.rng, context.model, context.artifact

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        if figures and done == self._killed_at:
            raise _Killed


def selftest(objective: Objective, context: Context) -> Iterator[Check]:
    """Check the mask, the ends of answers, the isolation of joined rows, the sum of gradients, learning to stop, and
    going on after a kill; in this order, and each whatever became of the others.

    A training here is of four rows and four steps, with a checkpoint after each.

    Raises:
        ModelError: the model cannot be had or loaded at all; ``E-TRAIN-082`` the trainer takes no kind of record that
            can be made up.
    """
    from itune_torch import load_tokenizer

    config = settle(objective.config, MEASURED)
    # a full training step costs the learning rate that the user chose for it; an adapter can take a larger one
    rate = {"learning_rate": 1e-3} if config.adapter == "lora" else {}
    plain: dict[str, Any] = {"batch_size": len(TURNS), "epochs": STEPS, "save_steps": 1, "schedule": "constant", **rate}
    fields = type(config).model_fields
    plain |= {name: fields[name].default for name in ("launch", "early_stopping")}  # in this process, to the end
    trial = type(objective)(config.model_copy(update=plain))
    source = context.model(config.model)
    if objective.architecture == "causal":
        tokenizer = load_tokenizer(source)
        stops = stop_ids(source, tokenizer)
        yield from _tried("mask", lambda: _mask(tokenizer))
        yield from _tried("ends", lambda: _ends(tokenizer, stops))
        yield from _tried("isolation", lambda: _isolation(_load(trial, source), tokenizer, config.dtype))
    rows = rows_for(objective)
    whole = _Trained(trial, rows, context)
    yield from _tried("accumulation", lambda: _accumulation(trial, rows, context, config.dtype))
    if objective.architecture == "causal" and Kind.CONVERSATION in objective.inputs["train"].kinds:
        yield from _tried("learning to stop", lambda: _learning(whole, source, tokenizer, stops))
    yield from _tried("resume", lambda: _resume(whole))


class _Trained:
    """Trainings of the same rows; that of all steps is done once."""

    def __init__(self, trial: Objective, rows: Any, context: Context) -> None:
        self.trial, self.rows, self.context = trial, rows, context
        self._whole: TrainedModel | None = None

    def whole(self) -> TrainedModel:
        if self._whole is None:
            self._whole = self.again("whole")
        return self._whole

    def again(self, name: str, killed_at: int | None = None, **settings: Any) -> TrainedModel:
        trial = type(self.trial)(self.trial.config.model_copy(update=settings))
        room: Any = _Room(self.context, name, killed_at)
        return trial.train({"train": self.rows}, room)


def _tried(name: str, check: Callable[[], Check]) -> Iterator[Check]:
    """A check's finding; a failed one where it could not be made."""
    try:
        yield check()
    except ItuneError as error:
        yield Check(name, False, None, None, ": ".join(filter(None, (f"{error.code} {error.what}", error.why))))


def _mask(tokenizer: PreTrainedTokenizerBase) -> Check:
    """Exactly the answers of a conversation are trained."""
    row, held = _encoded(tokenizer, TURNS[:2]), 0
    found = [_squeezed(tokenizer.decode(row.ids[first:last])) for first, last in _stretches(row)]
    untrained = [token for token, flag in zip(row.ids, row.trained, strict=True) if not flag]
    rest = _squeezed(tokenizer.decode(untrained))
    questions = [_squeezed(question) for question, _ in TURNS[:2]]
    for stretch, (_, answer) in zip(found, TURNS, strict=False):
        whole = stretch.startswith(_squeezed(answer)) and not any(question in stretch for question in questions)
        held += whole and _squeezed(answer) not in rest
    passed = held == len(found) == 2 and all(question in rest for question in questions)
    return Check("mask", passed, held, "2", "answers of a conversation that are trained, whole and alone")


def _ends(tokenizer: PreTrainedTokenizerBase, stops: frozenset[int]) -> Check:
    """Each answer ends in a trained token at which generation stops."""
    row = _encoded(tokenizer, TURNS[:2])
    ended = sum(not stops.isdisjoint(row.ids[first:last]) for first, last in _stretches(row))
    return Check("ends", ended == 2, ended, "2", "answers that end in a trained token at which generation stops")


def _isolation(model: nn.Module, tokenizer: PreTrainedTokenizerBase, dtype: str) -> Check:
    """Rows laid end to end do not read each other."""
    import torch

    from itune_torch import lay_out, logprobs, rows_are_isolated

    rows = [_encoded(tokenizer, [turn]) for turn in TURNS]
    size = sum(len(row.ids) for row in rows)
    device = next(model.parameters()).device
    with torch.no_grad():
        alone = torch.cat([logprobs(model, lay_out([row], size)[0].to(device)) for row in rows])
        joined = logprobs(model, lay_out(rows, size)[0].to(device))
    apart = (joined - alone).abs().max().item()
    passed = apart <= NATS[dtype] and rows_are_isolated(model)
    note = "nats by which a token differs between joined rows and each alone"
    return Check("isolation", passed, apart, NATS[dtype], note if passed else f"{note}; rows will be padded: slower")


def _accumulation(trial: Objective, rows: Any, context: Context, dtype: str) -> Check:
    """Loss and gradient of a batch are the same, whether its rows are run together or one by one. Dropout and noise are
    off: they are drawn for each pass."""
    room: Any = _Room(context, "accumulation")
    task, _ = decide(trial, {"train": rows}, room)
    forward = task.open()
    forward.model.eval()
    if trial.needs_reference:
        forward.reference |= references(task, forward, room)
    together = _loss_and_norm(trial, forward, task.train_on.kept)
    forward.limit = 1
    apart = _loss_and_norm(trial, forward, task.train_on.kept)
    differ = max(abs(one - other) / max(abs(one), 1e-9) for one, other in zip(together, apart, strict=True))
    note = "share by which loss or gradient differs between a batch in one pass and row by row"
    return Check("accumulation", differ <= ROUNDING[dtype], differ, ROUNDING[dtype], note)


def _loss_and_norm(trial: Objective, forward: Forward, examples: Sequence[Example]) -> tuple[float, float]:
    import torch

    weights = trained_tensors(forward.model).values()
    forward.model.zero_grad()
    loss = mean_loss(trial, forward, examples, lambda part: part.backward())["loss"]
    return loss, torch.nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None]).item()


def _learning(
    trained: _Trained, source: ModelSource, tokenizer: PreTrainedTokenizerBase, stops: frozenset[int]
) -> Check:
    """After a few steps the tokens that end the answers are likelier."""
    from dataclasses import replace

    made = trained.whole()
    full = made.adapter_of is None
    after_source = (
        replace(source, files=made.folder, layout="transformers", adapter=None)
        if full
        else replace(source, adapter=made.folder, base_identity=source.base_identity or source.identity)
    )
    rows = [_only_stops(_encoded(tokenizer, [turn]), stops) for turn in TURNS]
    before, after = (_likelihood(_load(trained.trial, one), rows) for one in (source, after_source))
    passed = after > before or after > CERTAIN
    note = f"nats by which the end of an answer became likelier: {before:.3g} before, {after:.3g} after {STEPS} steps"
    return Check("learning to stop", passed, after - before, "above 0", note)


def _resume(trained: _Trained) -> Check:
    """Killed and started again, it ends with the same bytes."""
    whole = trained.whole()
    try:
        trained.again("killed", KILLED_AT)
    except _Killed:
        pass
    else:
        raise ModelError("E-TRAIN-083", f"the training took fewer than {KILLED_AT} steps, and could not be killed")
    resumed = trained.again("killed")
    names = sorted(path.name for path in whole.folder.glob("*.safetensors"))
    differ = sum((whole.folder / name).read_bytes() != (resumed.folder / name).read_bytes() for name in names)
    note = f"files of weights that differ after a kill at step {KILLED_AT} of {STEPS}"
    return Check("resume", differ == 0, differ, "0", note)


def _load(trial: Objective, source: ModelSource) -> Any:
    config = trial.config
    with seeded(0):  # PEFT draws the weights of an adapter before it reads them
        return forward_of(trial.architecture).load(source, dtype=config.dtype, device=config.device, adapter="attach")


def _encoded(tokenizer: PreTrainedTokenizerBase, turns: Sequence[tuple[str, str]]) -> Encoded:
    from itune_torch import encode_conversation

    made = encode_conversation(tokenizer, messages(turns))
    assert made is not None  # there is no bound on its length
    return made


def _stretches(row: Encoded) -> list[tuple[int, int]]:
    """Where trained tokens stand in a row: first of each stretch, and one behind its last."""
    flags = [False, *row.trained, False]
    firsts = [place for place in range(len(row.trained)) if flags[place + 1] and not flags[place]]
    lasts = [place + 1 for place in range(len(row.trained)) if flags[place + 1] and not flags[place + 2]]
    return list(zip(firsts, lasts, strict=True))


def _squeezed(text: str) -> str:
    """Without white space, which tokenizers move about."""
    return "".join(text.split())


def _only_stops(row: Encoded, stops: frozenset[int]) -> Encoded:
    from dataclasses import replace

    kept = [flag and token in stops for token, flag in zip(row.ids, row.trained, strict=True)]
    if not any(kept):
        raise ModelError("E-TRAIN-084", "no answer ends in a trained token at which generation stops")
    return replace(row, trained=kept)


def _likelihood(model: Any, rows: Sequence[Encoded]) -> float:
    """Mean log-probability of the supervised tokens, each row alone."""
    import torch

    from itune_torch import lay_out, sequence_logprobs

    device = next(model.parameters()).device
    size = max(len(row.ids) for row in rows)
    with torch.no_grad():
        sums, counts = sequence_logprobs(model, [lay_out([row], size)[0].to(device) for row in rows])
    return float((sums.sum() / counts.sum()).item())
