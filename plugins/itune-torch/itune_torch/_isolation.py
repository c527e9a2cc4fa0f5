"""Whether a loaded model keeps rows that are laid end to end apart."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from itune_torch._batch import lay_out
from itune_torch._encode import Encoded
from itune_torch._load import base_of
from itune_torch._logprobs import logprobs

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 0.05, torch.bfloat16: 0.25}
"""Largest difference of a log-probability, in nats, that rounding in this type explains."""


def rows_are_isolated(model: nn.Module) -> bool:
    """Run two short random rows joined and apart, and say whether their log-probabilities are the same.

    This is a property of model, attention implementation and library version together, and a model that fails gives no
    error: its rows just read each other. So it is checked on the model as loaded, once, before rows are joined. A
        caller
    whose model fails uses :func:`pad` and says so.

    The same means: within the rounding of the model's dtype, and nearer than a tenth of what the rows look like when
    they do leak (the same tokens as one long row). The second bound is what tells rounding from leaking in half
    precision.
    """
    vocabulary = base_of(model).get_input_embeddings().num_embeddings
    parameter = next(model.parameters())
    draw = torch.Generator().manual_seed(0)
    rows = [
        Encoded(torch.randint(vocabulary, (length,), generator=draw).tolist(), [True] * length) for length in (12, 16)
    ]
    joined = lay_out(rows, max_tokens=28)[0].to(parameter.device)
    long = replace(joined, position_ids=torch.arange(28, device=parameter.device)[None])
    modes = [(module, module.training) for module in model.modules()]
    model.eval()  # dropout would differ between the runs
    try:
        with torch.no_grad():
            apart = torch.cat([logprobs(model, lay_out([row], 28)[0].to(parameter.device)) for row in rows])
            error = (logprobs(model, joined) - apart).abs().max().item()
            leak = (logprobs(model, long) - apart).abs().max().item()
    finally:
        for module, training in modes:  # one by one: a trainer may have set some layers apart
            module.training = training
    return error <= _TOLERANCE.get(parameter.dtype, 1e-4) and error < 0.1 * leak
