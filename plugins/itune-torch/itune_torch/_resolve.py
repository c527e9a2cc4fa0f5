"""From a :class:`ModelSource` to a folder transformers can load; a GGUF file is converted once."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from itune_core.api import ModelError, ModelSource

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CONVERSION = "v1"
"""Enters the folder name of a converted copy: raised when the conversion writes something else than before."""


def resolve(source: ModelSource) -> Path:
    """Give the folder of `source` in the layout transformers loads.

    A ``transformers`` or ``sentence-transformers`` source is its own folder. For a ``gguf`` source the one ``*.gguf``
    file below ``source.files`` is de-quantised and saved under ``source.cache/converted/<identity>-v1``: made once,
    by one process (file lock), and published by one atomic rename, so a killed conversion leaves nothing that looks
    finished.

    Raises:
        ModelError: the folder is missing, holds no or several GGUF files, or there is no cache to convert into.
    """
    if not source.files.is_dir():
        raise ModelError(
            "E-TORCH-001",
            f"the model {source.spec!r} has no folder at {source.files}",
            fix="check the path, or run the step that makes this model",
        )
    if source.layout != "gguf":
        return source.files
    if source.cache is None:
        raise ModelError(
            "E-TORCH-002",
            f"the GGUF model {source.spec!r} must be converted, and there is no cache folder to keep the copy in",
            fix="give ModelSource(cache=...)",
        )
    shelf = source.cache / "converted"
    pinned = source.base_identity or source.identity  # an adapter on top changes nothing about the files
    target = shelf / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', pinned)}-{CONVERSION}"
    if target.is_dir():
        return target

    from filelock import FileLock

    shelf.mkdir(parents=True, exist_ok=True)
    with FileLock(shelf / f"{target.name}.lock"):
        if target.is_dir():
            return target
        for left in shelf.glob(f"{target.name}.*.part"):  # of a killed conversion: under the lock nobody writes one
            shutil.rmtree(left)
        part = Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=".part", dir=shelf))
        try:
            _convert(_only_gguf(source), part)
            part.chmod(0o755)  # mkdtemp's 0700 would hide a shared cache from other users
            os.replace(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target


def _only_gguf(source: ModelSource) -> Path:
    found = sorted(source.files.rglob("*.gguf"))
    if len(found) != 1:
        raise ModelError(
            "E-TORCH-003",
            f"the model {source.spec!r} should hold one GGUF file and holds {len(found)}",
            where=str(source.files),
            why=", ".join(path.name for path in found) or None,
            fix="point at a folder with one *.gguf file",
        )
    return found[0]


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from itune_torch._quiet import quietly

    with quietly():
        where = {"gguf_file": gguf.name, "local_files_only": True, "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **where)
        read = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **where)
        # transformers goes on treating what it read as quantised and refuses to save it, and trainers would refuse to
        # train it. The tensors are plain ones: they move into a model that never was quantised.
        config = read.config
        del config.quantization_config
        config.name_or_path = ""
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.load_state_dict(read.state_dict(), assign=True)
        model.tie_weights()
        _name_stops(model, tokenizer)
        # A Q4 or Q8 weight is scale * integer + offset with a float16 scale: more mantissa bits than bfloat16 has.
        # The copy is smaller only where that loses nothing (a GGUF that stores bfloat16); any rounding is the
        # loader's, on request.
        if all(torch.equal(tensor.bfloat16().float(), tensor) for tensor in model.state_dict().values()):
            model = model.to(torch.bfloat16)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _name_stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Make config, generation config and tokenizer agree on end and padding, with a padding token that is not the end.

    Padding with the end token is only wrong once somebody derives labels from it, and its embedding row gets no
    gradient (``padding_idx``). The unknown token is never produced by a byte-level tokenizer, so it is free to pad
    with.
    """
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id) and tokenizer.unk_token_id not in (
        None,
        tokenizer.eos_token_id,
    ):
        tokenizer.pad_token = tokenizer.unk_token
    for config in (model.config, model.generation_config):
        config.bos_token_id = tokenizer.bos_token_id
        config.eos_token_id = tokenizer.eos_token_id
        config.pad_token_id = tokenizer.pad_token_id
