"""Log-probabilities under the reference model: computed once, kept by content, shared by every run that needs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from itune_core.api import Context, ModelSource
from itune_trainers.forward.base import Forward
from itune_trainers.rows.examples import Examples
from itune_trainers.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

FILE = "logps.safetensors"


def reference_logps(
    forward: Forward, examples: Examples, source: ModelSource, config: Settings, context: Context
) -> dict[bytes, Tensor]:
    """(rows of the example,) float32 by `Example.key`, under the model as it is now: call it before training.

    The artifact is keyed by the model and by the very tokens it saw, so it does not matter by which recipe, template,
    length policy or objective they came about; losses compared in a matrix share it.
    """
    from safetensors.torch import load_file

    rows = examples.run
    key = {
        "content": "sequence log-probabilities",
        "model": source.identity,
        "adapter": None if source.adapter is None else _digest(source.adapter / "adapter_model.safetensors"),
        "way": type(forward).__name__,
        "merged": config.adapter == "none",
        # A new adapter changes nothing but for rounding, and that only if weights are measured through it.
        "dora": config.lora is not None and config.lora.dora and config.lora.model_dump(mode="json"),
        "dtype": config.dtype,
        "quantize": config.quantize,
        "rows": examples.digest,
        "tokens_per_forward": config.tokens_per_forward,
        **forward.facts(rows),
    }

    def make(folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        total, parts = len(rows), []
        done = 0
        with torch.no_grad():
            for group in forward.groups(rows):
                parts.append(forward(group).policy.cpu())
                done += len(group)
                context.progress(done, total)
        save_file({"logps": torch.cat(parts)}, folder / FILE)

    flat = load_file(context.artifact(key, make) / FILE)["logps"]
    made, start = {}, 0
    for example in rows:
        made[example.key] = flat[start : start + len(example.rows)]
        start += len(example.rows)
    return made


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
