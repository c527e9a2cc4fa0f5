"""What every way of running a model has in common: examples in groups, and what a loss is computed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from itune_core.api import ModelSource
from itune_trainers.algorithm import Logps
from itune_trainers.ranks import ALONE, Ranks, Values
from itune_trainers.rows.example import Example
from itune_trainers.rows.order import groups

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itune_torch import Encoded


class Forward:
    """Runs a model over the rows of examples. One subclass an architecture; to write: :meth:`load`, :meth:`values` and
    :meth:`size`.

    Args:
        model: of this architecture.
        device: where it is.
        tokens_per_forward: bound on tokens run at once; padding counts.

    Attributes:
        task: PEFT's name for what the model does.
        quantizes: whether :meth:`load` takes the keyword `quantize`, see `itune_torch.load_causal`.
        head: last name of the modules that a new adapter trains in full, beside its low-rank updates.
        share_all: whether rows of different examples that are run at once run what they begin with once; set by who
            trains, where the model can.
        reference: (rows of the example,) values under the reference by `Example.key`; empty if none is needed.
        ranks: the processes that run the model together.
        one_call: whether :meth:`values` is to call the model once, however long the rows are.
    """

    task: ClassVar[str]
    quantizes: ClassVar[bool] = False
    head: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: nn.Module, device: str, tokens_per_forward: int) -> None:
        self.model, self.device, self.limit = model, device, tokens_per_forward
        self.share_all = False
        self.reference: dict[bytes, Tensor] = {}
        self.ranks: Ranks = ALONE
        self.one_call = False
        self._shared: Values | None = None

    def share(self, ranks: Ranks) -> None:
        """Run the model together with other processes from now on, each some of the examples."""
        self.ranks, self._shared = ranks, ranks.wrap(self)

    @staticmethod
    def load(source: ModelSource, *, dtype: Any, device: str, adapter: Literal["attach", "merge"], **held: Any) -> Any:
        """The model of `source`, in eval mode.

        Args:
            source: the model.
            dtype: of its weights.
            device: where it is put.
            adapter: whether an adapter of `source` stays one.
            held: ``quantize``, where :attr:`quantizes`.
        """
        raise NotImplementedError

    @staticmethod
    def attach(model: Any, adapter: Path, config: Any) -> Any:
        """The model with a saved adapter on it, which is to be trained further.

        Args:
            model: without adapter.
            adapter: its folder.
            config: of the adapter, as it is to be.
        """
        from peft import PeftModel

        return PeftModel.from_pretrained(model, str(adapter), is_trainable=True, config=config, local_files_only=True)

    @classmethod
    def head_in(cls, name: str) -> str | None:
        """The module of :attr:`head` that the module of this full name is, or is part of; None if it is neither."""
        return next((part for part in name.split(".") if part in cls.head), None)

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        """(R,) float32 the value of each row, differentiable unless gradients are off, and (R,) int64 how many
        supervised tokens it has; the rows of an example are given together."""
        raise NotImplementedError

    def width(self, rows: Sequence[Encoded]) -> int:
        """Tokens of the longest row in a batch of `rows`."""
        return max(len(row.ids) for row in rows)

    def size(self, rows: Sequence[Encoded], longest: int) -> int:
        """Tokens that running the rows of one example takes, in a batch whose longest row has `longest` tokens."""
        raise NotImplementedError

    def facts(self, examples: Sequence[Example]) -> Mapping[str, Any]:
        """How the rows of `examples` are run, for the step's metrics."""
        return {}

    def groups(self, examples: Sequence[Example]) -> Iterator[list[Example]]:
        """The examples, in order, in groups small enough to be run at once. Rows of an example are never apart."""
        longest = self.width([row for example in examples for row in example.rows])
        for group in groups([self.size(example.rows, longest) for example in examples], self.limit):
            yield [examples[number] for number in group]

    def __call__(self, group: Sequence[Example], baseline: Tensor | None = None) -> Logps:
        """What the losses of a group are computed from; differentiable unless gradients are off.

        Args:
            group: examples.
            baseline: of the batch they are from, handed on.
        """
        import torch

        policy, tokens = (self._shared or self.values)([example.rows for example in group])
        reference = [self.reference[example.key] for example in group] if self.reference else None
        scores = [score for example in group for score in example.scores or [0.0] * len(example.rows)]
        return Logps(
            policy=policy,
            reference=None if reference is None else torch.cat(reference).to(self.device),
            tokens=tokens,
            labels=torch.tensor([example.label for example in group], dtype=torch.float32, device=self.device),
            rows=torch.tensor([len(example.rows) for example in group], device=self.device),
            scores=torch.tensor(scores, dtype=torch.float32, device=self.device),
            baseline=baseline,
        )
