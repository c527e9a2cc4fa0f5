"""Whether a loaded model reads rows that are laid end to end, or share a prefix, as it reads each alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from itune_torch._attention import attends_in_blocks
from itune_torch._batch import Batch, lay_out
from itune_torch._encoded import Encoded
from itune_torch._load import base_of
from itune_torch._logprobs import logprobs
from itune_torch._rewards import is_reward, last_states, last_tokens

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 0.05, torch.bfloat16: 0.25}
"""Largest difference of a log-probability, in nats, that rounding in this type explains."""


def rows_are_isolated(model: nn.Module) -> bool:
    """Run two short random rows joined and apart, and say whether their log-probabilities are the same.

    This is a property of model, attention implementation and library version together, and a model that fails gives no
    error: its rows just read each other. So it is checked on the model as loaded, once, before rows are joined. A
    caller whose model fails uses :func:`pad` and says so.

    The same means: within the rounding of the model's dtype, and nearer than a tenth of what the rows look like when
    they do leak (the same tokens as one long row). The second bound is what tells rounding from leaking in half
    precision.

    No short row shows the rotary frequencies of type ``dynamic`` and ``longrope``: beyond the length that the model was
    first trained on, they change for all rows of a call with the longest. Rows that are padded differ there, too.
    """
    rows = [Encoded(ids, [True] * len(ids)) for ids in _random_ids(model, 12, 16)]
    return _as_alone(model, rows, lay_out(rows, 28)[0])


def prefixes_can_be_shared(model: nn.Module) -> bool:
    """Whether rows that begin alike may be laid out together, see :func:`lay_out`.

    Not where a layer sees a window or a chunk of the row (by the model's config: no short row can show it), nor where
    the attention is not itune's own. For all others three short random rows with a prefix in common are run together
    and apart and must be the same, by the measure of :func:`rows_are_isolated`.
    """
    if not (attends_in_blocks(base_of(model)) and _every_layer_sees_the_whole_row(base_of(model).config)):
        return False
    prefix, *answers = _random_ids(model, 8, 5, 1, 7)
    rows = [Encoded(prefix + ids, [False] * len(prefix) + [True] * len(ids)) for ids in answers]
    return _as_alone(model, rows, lay_out(rows, 21, together=[3])[0])


def _every_layer_sees_the_whole_row(config: object) -> bool:
    text = config.get_text_config()  # type: ignore[attr-defined]
    kinds = getattr(text, "layer_types", None) or ()
    bounds = (getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return all(kind == "full_attention" for kind in kinds) and all(bound is None for bound in bounds)


def _random_ids(model: nn.Module, *lengths: int) -> list[list[int]]:
    vocabulary = base_of(model).get_input_embeddings().num_embeddings
    draw = torch.Generator().manual_seed(0)
    return [torch.randint(vocabulary, (length,), generator=draw).tolist() for length in lengths]


def _seen(model: nn.Module, batch: Batch, rows: Batch) -> Tensor:
    """What the model makes of `batch`, at the places where `rows`, of the same tokens, has something to be known."""
    device = next(model.parameters()).device
    if is_reward(model):
        return last_states(model, batch.to(device), last_tokens(rows).to(device))
    return logprobs(model, batch.to(device))


def _as_alone(model: nn.Module, rows: Sequence[Encoded], joined: Batch) -> bool:
    """Whether the targets of `joined`, which holds all `rows`, are as likely as where the rows are run one by one; of a
    reward model, whether its head is given the same."""
    parameter = next(model.parameters())
    size = joined.input_ids.shape[1]
    long = replace(joined, position_ids=torch.arange(size)[None], lengths=(size,), parts=())
    modes = [(module, module.training) for module in model.modules()]
    model.eval()  # dropout would differ between the runs
    try:
        with torch.no_grad():
            alone = torch.cat([_seen(model, batch, batch) for row in rows for batch in lay_out([row], size)])
            error = (_seen(model, joined, joined) - alone).abs().max().item()
            leak = (_seen(model, long, joined) - alone).abs().max().item()
    finally:
        for module, training in modes:  # one by one: a trainer may have set some layers apart
            module.training = training
    return error <= _TOLERANCE.get(parameter.dtype, 1e-4) and error < 0.1 * leak
