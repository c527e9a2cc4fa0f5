"""Open a reward model, saved as one or begun from a language model: the same backbone, and a head for one number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from itune_core.api import ModelError, ModelSource
from itune_torch._load import Dtype, load_as, load_tokenizer, round_weights
from itune_torch._quiet import quietly
from itune_torch._rewards import HEAD, RewardHead

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

TASK = "SEQ_CLS"
"""PEFT's name for what a reward model does."""

ADAPTED_HEAD = f"base_model.model.{HEAD}.weight"
"""The head's weights in a saved adapter."""


def load_reward(
    source: ModelSource,
    *,
    dtype: Dtype = "float32",
    device: str = "cpu",
    adapter: Literal["merge", "attach"] = "attach",
    new_head: bool = False,
) -> PreTrainedModel | PeftModel:
    """Load a reward model in eval mode: a causal backbone with a head, without bias, from hidden size to one number.

    The head is float32 whatever `dtype` is. Attention is as in :func:`load_causal`. An adapter may have been trained
    for either, language model or reward model; one of a reward model brings its head.

    Args:
        source: a model saved with a head over sequences and one label, or a causal language model.
        dtype, device, adapter: as in :func:`load_causal`.
        new_head: draw the head of a model that has none from torch's global generator, as transformers initialises a
            linear layer. Otherwise such a model is refused: its rewards would be random numbers.

    Raises:
        ModelError: ``E-TORCH-036`` the model gives several numbers, or its head is not that of a model built on a
            causal one; ``E-TORCH-037`` it has no head, weights are missing, or its adapter does not fit; and
            those of :func:`load_causal`.
    """
    import torch

    from itune_torch._attention import use_row_blocks

    opened = _Classifier(source)
    merge = source.adapter is not None and adapter == "merge"
    model = load_as(
        opened,
        replace(source, adapter=None),
        what="a reward model, or a causal language model,",
        dtype="float32" if merge else dtype,
        device=device,
        adapter="attach",
        prepare=use_row_blocks,
    )
    if opened.missing == {f"{HEAD}.weight"} and not new_head and not _brings_head(source.adapter):
        raise ModelError(
            "E-TORCH-037",
            f"{source.spec!r} is not a reward model",
            where=str(source.files),
            why="it has no head, and with a random one its rewards would mean nothing",
            fix="name a step that uses trainers/reward, or a model saved with a head for one label",
        )
    if opened.missing - {f"{HEAD}.weight"}:
        raise ModelError(
            "E-TORCH-037",
            f"weights of {source.spec!r} are missing",
            where=str(source.files),
            why=", ".join(sorted(opened.missing)[:3]),
            fix="save the model again, whole",
        )
    setattr(model, HEAD, RewardHead.of(getattr(model, HEAD)))
    text = model.config.get_text_config()
    if text.pad_token_id is None:  # without one, transformers refuses to run several rows
        text.pad_token_id = load_tokenizer(source).pad_token_id or 0
    if source.adapter is None:
        return model.eval()
    model = reward_adapter(model, source.adapter)
    if merge:
        model = round_weights(model.merge_and_unload(), getattr(torch, dtype)).requires_grad_(True)
        getattr(model, HEAD).float()
    return model.eval()


def reward_adapter(model: Any, adapter: Path, *, config: Any = None, is_trainable: bool = False) -> PeftModel:
    """Put an adapter on a reward model. One that was trained for a language model has no head: the model's is kept.

    Args:
        model: a reward model without an adapter.
        adapter: folder of the adapter.
        config: of the adapter, if not the saved one.
        is_trainable: whether it is trained further, and the head with it.

    Raises:
        ModelError: ``E-TORCH-037`` the adapter does not fit.
    """
    import torch
    from peft import PeftConfig, PeftModelForSequenceClassification, set_peft_model_state_dict
    from safetensors.torch import load_file

    try:
        config = config or PeftConfig.from_pretrained(str(adapter))
        config.task_type = TASK
        config.inference_mode = not is_trainable
        config.modules_to_save = [HEAD]
        weights = load_file(adapter / "adapter_model.safetensors")
        weights.setdefault(ADAPTED_HEAD, getattr(model, HEAD).weight.detach())
        # The constructor draws weights, which are then replaced.
        with quietly(), torch.random.fork_rng():
            made = PeftModelForSequenceClassification(model, config)
            loaded = set_peft_model_state_dict(made, weights)
        config.modules_to_save = [HEAD]  # PEFT has added every name that it knows for a head
        left = [*loaded.unexpected_keys, *(name for name in loaded.missing_keys if ".default." in name)]
    except (OSError, ValueError, RuntimeError) as error:
        raise _misfit(adapter, str(error)) from error
    if left:
        raise _misfit(adapter, f"{', '.join(left[:3])} is in one of the two only")
    return made


def _misfit(adapter: Path, why: str) -> ModelError:
    return ModelError(
        "E-TORCH-037",
        "the adapter does not fit the reward model that it is put on",
        where=str(adapter),
        why=why,
        fix="use it with the model that it was trained on",
    )


@dataclass
class _Classifier:
    """What :func:`load_as` opens the files with; notes which weights they lack."""

    source: ModelSource
    missing: set[str] = field(default_factory=set)

    def from_pretrained(self, folder: Path, **options: Any) -> Any:
        from torch.nn import Linear
        from transformers import AutoConfig, AutoModelForSequenceClassification

        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        is_classifier = any("ForSequenceClassification" in name for name in config.architectures or ())
        if is_classifier and config.num_labels != 1:
            raise _unfit(self.source, f"it gives {config.num_labels} numbers for a row, a reward is one")
        config.num_labels = 1
        with _quiet_about_the_head():
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                folder, config=config, output_loading_info=True, **options
            )
        if not isinstance(getattr(model, HEAD, None), Linear):
            raise _unfit(self.source, f"{type(model).__name__} is not built on a causal language model")
        self.missing = set(loading["missing_keys"])
        return model


def _unfit(source: ModelSource, why: str) -> ModelError:
    return ModelError(
        "E-TORCH-036",
        f"{source.spec!r} is no reward model that can be used here",
        where=str(source.files),
        why=why,
        fix="use a sequence classification model with one label, built on a causal language model",
    )


def _brings_head(adapter: Path | None) -> bool:
    """Whether a saved adapter holds a head."""
    from safetensors import safe_open

    if adapter is None or not (adapter / "adapter_model.safetensors").is_file():
        return False
    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as tensors:
        return ADAPTED_HEAD in set(tensors.keys())


@contextmanager
def _quiet_about_the_head() -> Iterator[None]:
    """No table of weights that are missing or left over: what may be missing is checked, and said, by the caller."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
