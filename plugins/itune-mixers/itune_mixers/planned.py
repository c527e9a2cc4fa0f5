"""What all mixers here share: a plan of blocks becomes draws, with the tokens counted if that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field

from itune_core.api import ComponentConfig, Context, Inputs, Mix, Mixer, ModelRef, hookimpl
from itune_mixers.drawing import Block
from itune_mixers.sources import Sources
from itune_mixers.tokens import count_tokens


class Plan(NamedTuple):
    """Attributes:
    blocks: in training order.
    asked: by phase, the share of the rows that is asked of each source.
    """

    blocks: Sequence[Block]
    asked: Sequence[Sequence[float]]


class PlannedMixer(Mixer):
    """Draws what :meth:`plan` says."""

    class Config(ComponentConfig):
        tokens_of: ModelRef | None = Field(
            None, description="Count the drawn tokens with this model's tokenizer, for the report."
        )

    def plan(self, sources: Sources, inputs: Inputs, context: Context) -> Plan:
        """Which rows to take, and what shares were asked.

        Args:
            sources: the data sets to draw from.
            inputs: what the hook was handed, for what is only read.
            context: the engine; all randomness is its.
        """
        raise TypeError(f"{type(self).__name__} must define plan()")

    @hookimpl
    def itune_mix(self, inputs: Inputs, context: Context) -> Mix:
        """The plan as the engine takes it.

        Raises:
            ModelError: ``E-MIX-011`` tokens are to be counted, and itune-torch is not installed.
        """
        sources = Sources(self.drawn_from(), inputs)
        blocks, asked = self.plan(sources, inputs, context)
        name = self.config.tokens_of
        tokens = count_tokens(sources, blocks, len(asked), name, context) if name is not None else ()
        return Mix(sources.draws(blocks), asked, tokens)
