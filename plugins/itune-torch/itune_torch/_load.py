"""Open a model's tokenizer and weights: local files, safetensors only, no code from the model's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from itune_core.api import ModelError, ModelSource
from itune_torch._quantize import Quantize, keep_differentiable, quantization, require_quantization
from itune_torch._quiet import quietly
from itune_torch._resolve import resolve

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Dtype = Literal["float32", "bfloat16", "float16"]


def load_tokenizer(source: ModelSource) -> PreTrainedTokenizerBase:
    """Load the tokenizer of `source`; an adapter trained with its own tokenizer beside it brings that one.

    Raises:
        ModelError: there is no tokenizer in the folder, or it needs code from the folder.
    """
    from transformers import AutoTokenizer

    folder = resolve(source)
    if source.adapter is not None and (source.adapter / "tokenizer_config.json").is_file():
        folder = source.adapter
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            "E-TORCH-004",
            f"the tokenizer of {source.spec!r} cannot be loaded",
            where=str(folder),
            why=str(error),
            fix="save the tokenizer beside the model: tokenizer.save_pretrained(folder)",
        ) from error


def load_causal(
    source: ModelSource,
    *,
    dtype: Dtype = "float32",
    device: str = "cpu",
    adapter: Literal["merge", "attach"] = "attach",
    quantize: Quantize | None = None,
) -> PreTrainedModel | PeftModel:
    """Load a causal language model in eval mode.

    Attention is the best one the model supports that isolates rows told apart by position ids (sdpa, else eager). The
    model's own `use_cache` default stays as saved, because generation wants it; :func:`logprobs` switches it off in
    every call it makes.

    Args:
        source: where the files are; its adapter, if any, is put on top.
        dtype: of the weights. An attached adapter stays in float32 whatever this is: rounded to bfloat16, a LoRA weight
            would lose most of an optimiser's small steps.
        device: as torch names it.
        adapter: ``attach`` keeps the adapter as a module (a `PeftModel`, not trainable); ``merge`` adds it into the
            weights in float32 and rounds to `dtype` once, afterwards, for faster inference.
        quantize: hold the linear layers but the LM head in 4 or 8 bits (needs bitsandbytes), to train an adapter on
            them; `dtype` is then that of everything else and of the products.

    Raises:
        ModelError: ``E-TORCH-035`` a reward model, or an encoder-decoder model; no safetensors weights, an architecture
            transformers does not know, an adapter that does not fit, a device that is not there or too small, or one
            without quantised weights.
        ValueError: an adapter is to be merged into quantised weights, which would round it away.
    """
    from transformers import AutoModelForCausalLM

    from itune_torch._attention import use_row_blocks
    from itune_torch._seq2seq import is_seq2seq

    # Of both, transformers makes causal models without an error: of the one with a random LM head, of the other (BART)
    # by leaving the encoder out.
    judges, reads = source.architecture == "reward", is_seq2seq(source)
    if judges or reads:
        raise ModelError(
            "E-TORCH-035",
            f"{source.spec!r} is {'a reward model' if judges else 'an encoder-decoder model'}, not a causal one",
            where=str(source.files),
            why="it judges answers and writes none" if judges else "its answers are written from what its encoder read",
            fix="name a causal language model"
            + (", such as the one that it was trained from" if judges else "; trainers/seq2seq-sft trains this one"),
        )
    return load_as(
        AutoModelForCausalLM,
        source,
        what="a causal language model",
        dtype=dtype,
        device=device,
        adapter=adapter,
        quantize=quantize,
        prepare=use_row_blocks,
    )


def load_as(
    auto: Any,
    source: ModelSource,
    *,
    what: str,
    dtype: Dtype,
    device: str,
    adapter: Literal["merge", "attach"],
    quantize: Quantize | None = None,
    prepare: Callable[[Any], object] | None = None,
) -> Any:
    """Load a model by one of transformers' auto classes, in eval mode.

    Args:
        auto: the class.
        source, dtype, device, adapter, quantize: as in :func:`load_causal`, and so the errors.
        what: it loads, in words.
        prepare: called with the model before an adapter is put on top.
    """
    import torch

    wanted = getattr(torch, dtype)
    merge = source.adapter is not None and adapter == "merge"
    quantized: dict[str, Any] = {}
    if quantize is not None:
        if merge:
            raise ValueError("an adapter cannot be merged into quantised weights")
        require_quantization(device)
        _moved(torch.empty(0), device, source)
        # Weights are quantised where they are to be, one by one as they are read.
        quantized = {"quantization_config": quantization(quantize, wanted), "device_map": {"": device}}
    folder = resolve(source)
    _needs(folder, "config.json", source)
    _needs(folder, "*.safetensors", source)
    try:
        with quietly():
            model = auto.from_pretrained(
                folder,
                dtype=torch.float32 if merge else wanted,
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
                **quantized,
            )
            if prepare is not None:
                prepare(model)
            if source.adapter is not None:
                model = _with_adapter(model, source.adapter, source)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            "E-TORCH-006",
            f"the model {source.spec!r} cannot be loaded",
            where=str(folder),
            why=str(error),
            fix=f"check that the folder holds {what} that the installed transformers knows",
        ) from error
    if merge:
        # As every loaded model's, the weights require gradients. Where they do not, torch multiplies the last position
        # of each row, which is not contiguous, with a copy of the LM head per row: gigabytes and seconds a batch.
        model = round_weights(model.merge_and_unload(), wanted).requires_grad_(True)
    if quantize is not None:
        keep_differentiable(model)
        return model.eval()
    return _moved(model, device, source).eval()


def round_weights(model: Any, dtype: Any) -> Any:
    """The model with its weights in torch's `dtype`, and its buffers as they are: rotary frequencies stay in float32
    when a model is opened in bfloat16, and would be off by 0.4 % if rounded."""
    for weight in model.parameters():
        weight.data = weight.data.to(dtype)
    return model


def _moved(model: Any, device: str, source: ModelSource) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # the latter is how a torch without CUDA says so
        raise ModelError(
            "E-TORCH-007",
            f"the model {source.spec!r} cannot be put on {device!r}",
            why=str(error).partition("\n")[0],
            fix="use device: auto, or cpu; itune doctor shows what this machine has",
        ) from error


def _with_adapter(model: PreTrainedModel, adapter: Path, source: ModelSource) -> PeftModel:
    from peft import PeftModel

    _needs(adapter, "adapter_config.json", source)
    _needs(adapter, "adapter_model.safetensors", source)
    return PeftModel.from_pretrained(model, str(adapter), is_trainable=False, local_files_only=True)


def _needs(folder: Path, pattern: str, source: ModelSource) -> None:
    if any(folder.glob(pattern)):
        return
    pickled = sorted(path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt")))
    raise ModelError(
        "E-TORCH-005",
        f"the model {source.spec!r} has no {pattern}",
        where=str(folder),
        why=f"it holds {', '.join(pickled)}: pickled weights can run code and are never opened" if pickled else None,
        fix="convert it to safetensors: model.save_pretrained(folder)" if pickled else "check the folder",
    )


def base_of(model: Any) -> Any:
    """The transformers model inside a data-parallel wrapper, an adapter, or both."""
    from peft import PeftModel
    from torch.nn.parallel import DistributedDataParallel

    if isinstance(model, DistributedDataParallel):
        model = model.module
    return model.get_base_model() if isinstance(model, PeftModel) else model
