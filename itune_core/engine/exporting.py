"""Take a trained model out of the store: a folder that others can load, made whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from itune_core.api.errors import ModelError
from itune_core.api.models import ModelSource
from itune_core.engine.digest import MODEL_FILES
from itune_core.engine.errors import StoreError

ADAPTER_CONFIG, TOKENIZER_CONFIG = "adapter_config.json", "tokenizer_config.json"

BESIDE = (
    "tokenizer*",
    "*.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "generation_config.json",
)
"""What is taken from the base for an adapter that was saved without a tokenizer: its tokenizer, chat template and
generation config."""


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill; it becomes `target` when the block ends well and leaves no trace when it does not.

    Raises:
        StoreError: ``E-EXPORT-001`` `target` is a file, or a folder that holds something.
    """
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise StoreError(
            "E-EXPORT-001",
            "the place to export to is taken: no new or empty folder",
            where=str(target),
            why="nothing that is there is ever overwritten",
            fix="name a new folder, or remove this one",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent))
    try:
        yield draft
        draft.chmod(0o755)  # mkdtemp's 0700 would hide it from other users
        os.replace(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def copy_model(source: ModelSource, folder: Path, base: str) -> None:
    """Copy a trained model, an adapter or whole weights, into the empty `folder`; an adapter with the tokenizer, chat
    template and generation config of its base where it has none of its own.

    Args:
        source: the model.
        folder: where to.
        base: what an adapter's configuration calls its base.

    Raises:
        ModelError: ``E-EXPORT-002`` the base's tokenizer is inside a file that only its library reads.
    """
    files = source.adapter or source.files
    for path in sorted(files.rglob("*")):
        if path.is_file() and path.suffix in MODEL_FILES:
            copy = folder / path.relative_to(files)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    if source.adapter is None:
        return
    _name_base(folder / ADAPTER_CONFIG, base)
    if (folder / TOKENIZER_CONFIG).is_file():
        return
    if source.layout != "transformers":
        raise ModelError(
            "E-EXPORT-002",
            f"the adapter of {source.spec!r} was saved without a tokenizer, and that of its base is no file of its own",
            where=str(source.files),
            fix="add --merge, which writes both, or train the step again",
        )
    for pattern in BESIDE:
        for path in source.files.glob(pattern):
            if path.is_file() and path.suffix in MODEL_FILES and not (folder / path.name).exists():
                shutil.copyfile(path, folder / path.name)


def public_name(spec: str, identity: str) -> str:
    """A base model as others may know it: a hub id or ``embedded:NAME`` as it is; of a local folder, its last name."""
    known = identity.startswith("hub:") or spec.startswith("embedded:")
    return spec if known else Path(spec.replace("\\", "/")).name


def _name_base(path: Path, name: str) -> None:
    """PEFT has written how this machine found the base; nobody else could, and it may tell of this machine."""
    config = json.loads(path.read_text("utf-8"))
    config["base_model_name_or_path"] = name
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
