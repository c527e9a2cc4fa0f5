"""Which files a path names, and how each is written, by its suffix."""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from itune_core.api.errors import DataError
from itune_core.api.reading import standard_input
from itune_core.api.reading.compression import SUFFIXES
from itune_core.api.reading.settings import Format

FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".yaml": "yaml",
    ".yml": "yaml",
}
"""Suffix to format; one of a compression may follow it (``rows.csv.zst``)."""

_METADATA = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
"""What `datasets` writes beside rows."""


def suffix_format(path: Path) -> Format | None:
    """The format that a file's name tells; None if it tells none."""
    suffix = path.with_suffix("").suffix if path.suffix in SUFFIXES else path.suffix
    return FORMATS.get(suffix)


def find_files(paths: Sequence[str]) -> list[Path]:
    """The files that `paths` name, in order.

    A path is a file; a folder: its files whose suffix tells a format, sorted, not those of its folders; a folder
    written by ``datasets.save_to_disk``: its data files in their order; a glob (``**`` for any depth): what it matches,
    sorted; or ``-``: standard input, copied to a file. Of folders and globs, files are left out that are hidden, that
    begin with ``_``, or that `datasets` writes beside rows (``state.json``, ``cache-*.arrow``, ...).

    Raises:
        DataError: ``E-DATA-020`` a path names no file that can be read; ``E-DATA-028`` the folder holds several data
            sets; ``E-DATA-031`` nothing is fed into standard input.
    """
    found: list[Path] = []
    for text in paths:
        if text == standard_input.PATH:
            found.append(standard_input.spooled())
            continue
        path = Path(text).expanduser()
        if path.is_dir():
            matches = _in_folder(path)
        elif path.is_file():
            matches = [path]
        else:
            matches = sorted(match for item in glob.glob(str(path), recursive=True) if _is_data(match := Path(item)))
        if not matches:
            raise DataError(
                "E-DATA-020",
                f"no file to read at {text!r}",
                where=str(path.resolve()),
                why="it does not exist" if not path.is_dir() else f"the folder holds no {', '.join(FORMATS)} file",
                fix="correct the path; relative paths start at the recipe's folder",
            )
        found.extend(matches)
    return found


def _in_folder(folder: Path) -> list[Path]:
    if (folder / "dataset_dict.json").is_file():
        splits = [str(name) for name in _listed(folder / "dataset_dict.json", "splits")]
        raise DataError(
            "E-DATA-028",
            f"the folder {folder.name!r} holds several data sets: {', '.join(splits)}",
            where=str(folder),
            fix=f"name one of them: {folder.name}/{splits[0] if splits else 'train'}",
        )
    saved = folder / "state.json"
    if saved.is_file() and (folder / "dataset_info.json").is_file():
        names = [file.get("filename") if isinstance(file, dict) else None for file in _listed(saved, "_data_files")]
        if names:
            return [_beside(saved, name) for name in names]
    return sorted(item for item in folder.iterdir() if suffix_format(item) and _is_data(item))


def _listed(path: Path, field: str) -> list[Any]:
    """The list under `field` of a JSON file that `datasets` wrote; empty if there is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError("E-DATA-022", f"cannot read {path.name!r}", where=str(path), why=str(error)) from error
    found = content.get(field) if isinstance(content, dict) else None
    return found if isinstance(found, list) else []


def _beside(state: Path, name: object) -> Path:
    """The data file of that name, which stands in the same folder: a path would lead out of it."""
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
        raise DataError(
            "E-DATA-022",
            f"{state.name!r} names a data file that is not in its folder: {name!r}",
            where=str(state),
            fix="save the data set again with `save_to_disk`",
        )
    return state.with_name(name)


def _is_data(path: Path) -> bool:
    name = path.name
    beside = name in _METADATA or (name.startswith("cache-") and name.endswith(".arrow"))
    return not beside and not name.startswith((".", "_")) and path.is_file()
