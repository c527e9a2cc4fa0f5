"""Reward models: what a language model's backbone makes of a row, read from its last token as one number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from itune_core.api import ModelSource
from itune_trainers.forward.causal import Causal

if TYPE_CHECKING:
    from torch import Tensor

    from itune_torch import Encoded


class Reward(Causal):
    """The rewards of rows. They are laid out as a language model's; the head is trained in full beside an adapter."""

    task = "SEQ_CLS"
    quantizes = False
    head = ("score",)

    @staticmethod
    def load(source: ModelSource, *, dtype: Any, device: str, adapter: Literal["attach", "merge"], **held: Any) -> Any:
        from itune_torch import load_reward

        return load_reward(source, dtype=dtype, device=device, adapter=adapter, new_head=True)

    @staticmethod
    def attach(model: Any, adapter: Path, config: Any) -> Any:
        from itune_torch import reward_adapter

        return reward_adapter(model, adapter, config=config, is_trainable=True)

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        import torch

        from itune_torch import sequence_rewards

        rewards = sequence_rewards(self.model, self.batches(rows))
        return rewards, torch.tensor([row.supervised for some in rows for row in some], device=rewards.device)
