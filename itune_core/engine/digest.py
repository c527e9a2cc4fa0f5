"""Content digests: of values, rows, files and saved models. 128 bits of BLAKE2b, in hex."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

SIZE = 16
MODEL_FILES = (".safetensors", ".json", ".jinja", ".model", ".txt", ".gguf")
"""What makes a saved model; cards, logs and optimiser states beside it do not."""


def of_value(value: Any) -> str:
    """Digest of a JSON value, independent of the order of mapping keys."""
    return hashlib.blake2b(canonical(value), digest_size=SIZE).hexdigest()


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, floats as Python prints them."""
    return _CANONICAL.encode(value).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, float):  # a numpy.float64 is one; the standard library takes it as it is, orjson does not
        return float(value)
    raise TypeError(f"not a JSON value: {type(value).__name__}")


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def of_row(text: bytes) -> bytes:
    """Digest of one row's values, as bytes, from their :func:`row_text`."""
    return hashlib.blake2b(text, digest_size=SIZE).digest()


def row_text(row: Mapping[str, Any]) -> bytes:
    """The JSON text of one row's values, which its digest is of. The row is without its id, which is made from that.

    It is :func:`canonical`'s but for how very large and very small numbers are spelt: orjson is five times faster, and
    this is called for every row. A number that is not finite is null in it.

    Raises:
        TypeError: there is no such text: an object that is not JSON's, a whole number beyond 64 bits, half of a
            surrogate pair.
    """
    return orjson.dumps(row, _plain, orjson.OPT_SORT_KEYS)


def of_rows(kind: str, rows: Iterable[Any]) -> str:
    """Digest of a data set from its kind and its rows' digests, in order, as bytes or arrays of any number of them."""
    digest = hashlib.blake2b(kind.encode() + b"\0", digest_size=SIZE)
    for row in rows:
        digest.update(row)
    return digest.hexdigest()


def of_file(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=SIZE)).hexdigest()


class FileDigests:
    """Digests of files, remembered by size and time of change so that big files are read once.

    Args:
        memory: JSON file that holds what was learned; written by :meth:`save`.
    """

    def __init__(self, memory: Path) -> None:
        self.memory = memory
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        if memory.exists():
            try:
                self._known = json.loads(memory.read_text("utf-8"))
            except (ValueError, OSError):  # a torn write costs a re-read, nothing else
                self._known = {}

    def of(self, path: Path) -> str:
        """Digest of the file at `path`, from memory if it has not changed since."""
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = self._known.get(str(path))
        if known is None or known[:3] != stamp:
            known = [*stamp, of_file(path)]
            self._known[str(path)] = known
            self._changed = True
        return str(known[3])

    def of_model(self, folder: Path) -> str:
        """Digest of a saved model: its weights, configuration and tokenizer.

        The path of the base model, which PEFT writes into an adapter's configuration, does not count.
        """
        parts = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix not in MODEL_FILES or not path.is_file():
                continue
            name = path.relative_to(folder).as_posix()
            if path.name == "adapter_config.json":
                config = json.loads(path.read_text("utf-8"))
                config.pop("base_model_name_or_path", None)
                parts[name] = of_value(config)
            else:
                parts[name] = self.of(path)
        return of_value(parts)

    def save(self) -> None:
        """Write what was learned."""
        if self._changed:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            draft = self.memory.with_suffix(f".{os.getpid()}.tmp")
            draft.write_text(json.dumps(self._known), "utf-8")
            draft.replace(self.memory)
            self._changed = False
