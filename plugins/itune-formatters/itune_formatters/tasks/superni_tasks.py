"""Task files of Super-NaturalInstructions: which are read, and what one holds."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from itune_core.api import BadRow, DataError, Reading, Row, RowError, message, read_rows
from itune_formatters.building.instance import Demonstration

SUFFIX = ".json"

NAME = re.compile(r"[^._].*\.json(\.(gz|zst|bz2))?")
"""Files that are taken of folders and globs: no others, for the step's key is made of what the core reads there."""


@dataclass(frozen=True)
class Task:
    """What all instances of a task share.

    Attributes:
        name: the file's name without suffixes.
        definition: what is to be done.
        positive, negative: examples of right and wrong answers; their rationale is the explanation.
        categories, data_sets, urls, domains, reasoning, licenses: as the file lists them.
        input_languages, output_languages, instruction_languages: English names.
    """

    name: str
    definition: str
    positive: tuple[Demonstration, ...] = ()
    negative: tuple[Demonstration, ...] = ()
    categories: tuple[str, ...] = ()
    data_sets: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    input_languages: tuple[str, ...] = ()
    output_languages: tuple[str, ...] = ()
    instruction_languages: tuple[str, ...] = ()


def task_name(path: Path) -> str:
    """``task1_a`` of ``tasks/task1_a.json`` and ``tasks/task1_a.json.gz``."""
    return path.name.partition(SUFFIX)[0]


def task_files(paths: Sequence[str], wanted: str | None = None) -> list[Path]:
    """The task files that `paths` name, in order: a file, a folder (its ``.json`` files, sorted) or a glob (sorted).

    Args:
        paths: files, folders or globs.
        wanted: a text file of task names, one a line; None: all tasks.

    Raises:
        DataError: ``E-FORMAT-060`` a path names no task file; ``E-FORMAT-061`` a wanted task has no file.
    """
    files: list[Path] = []
    for text in paths:
        path = Path(text).expanduser()
        if path.is_file():
            found = [path]
        else:
            pattern = os.path.join(glob.escape(str(path)), "*") if path.is_dir() else str(path)
            matches = (Path(item) for item in glob.glob(pattern, recursive=True))
            found = sorted(item for item in matches if NAME.fullmatch(item.name) and item.is_file())
        if not found:
            raise DataError(
                "E-FORMAT-060",
                f"no task file at {text!r}",
                where=str(path.absolute()),
                fix=f"name a folder of {SUFFIX} files, such as tasks/ of natural-instructions, or one of them",
            )
        files += found
    files = list(dict.fromkeys(files))
    if wanted is None:
        return files
    names = _listed(Path(wanted).expanduser())
    missing = sorted(names - {task_name(path) for path in files})
    if missing:
        raise DataError(
            "E-FORMAT-061",
            f"{len(missing)} of {len(names)} tasks have no file: {', '.join(missing)}",
            where=wanted,
            fix="complete the folder of task files, or take these names from a copy of the list",
        )
    return [path for path in files if task_name(path) in names]


def _listed(path: Path) -> set[str]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "E-FORMAT-062", f"cannot read the list of tasks {path.name!r}", where=str(path), why=str(error)
        ) from error
    return {line.strip() for line in lines if line.strip()}


def read_task(path: Path) -> tuple[Task, list[Any]] | BadRow:
    """The task of a file and its instances as they stand there, or what is wrong with it, under the file's path."""
    rows = list(islice(read_rows([str(path)], Reading(format="json")), 2))
    bad = next((row for row in rows if isinstance(row, BadRow)), None)
    if bad is not None:
        return BadRow(bad.error, str(path))
    try:
        if len(rows) != 1:
            raise _bad(f"it holds {'several objects' if rows else 'no object'}")
        row = cast("Row", rows[0])
        return _task(task_name(path), row), _instances(row)
    except RowError as error:
        return BadRow(error, str(path))


def _bad(what: str) -> RowError:
    return RowError(what, "E-FORMAT-064", fix="a task file is one object with Definition, Instances and examples")


def _instances(row: Row) -> list[Any]:
    found = row.get("Instances")
    if not isinstance(found, list):
        raise _bad("it has no list of Instances")
    return found


def _task(name: str, row: Row) -> Task:
    """A task, checked: one wrong field would show in each of its instances.

    Raises:
        RowError: ``E-FORMAT-064`` a field has the wrong shape; ``E-DATA-010`` a text holds what no record may hold.
    """
    return Task(
        name=name,
        definition=_definition(row.get("Definition")),
        positive=_examples("Positive Examples", row, wrong=False),
        negative=_examples("Negative Examples", row, wrong=True),
        categories=_texts("Categories", row),
        data_sets=_texts("Source", row),
        urls=_texts("URL", row),
        domains=_texts("Domains", row),
        reasoning=_texts("Reasoning", row),
        licenses=_texts("Instance License", row),
        input_languages=_texts("Input_language", row),
        output_languages=_texts("Output_language", row),
        instruction_languages=_texts("Instruction_language", row),
    )


def _definition(value: object) -> str:
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, str) or not first.strip():
        raise _bad("its Definition is not text, nor a list that begins with text")
    message("user", first)  # what no record may hold is found here, once for all instances
    return first


def _texts(field: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    value = row.get(field)
    items = [value] if isinstance(value, str) else value or []
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise _bad(f"its {field} is not a list of texts")
    return tuple(items)


def _examples(field: str, row: Mapping[str, Any], *, wrong: bool) -> tuple[Demonstration, ...]:
    value = row.get(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _bad(f"its {field} are not a list")
    return tuple(_example(f"{field}[{number}]", item, wrong=wrong) for number, item in enumerate(value))


def _example(where: str, item: object, *, wrong: bool) -> Demonstration:
    if not isinstance(item, Mapping):
        raise _bad(f"{where} is not an object")
    given, output, why = item.get("input"), item.get("output"), item.get("explanation")
    if not isinstance(given, str) or not isinstance(output, str) or not isinstance(why, (str, type(None))):
        raise _bad(f"{where} needs the texts input and output, and explanation is text or missing")
    message("user", "".join((given, output, why or "")))
    return Demonstration(given, output, rationale=why or "", wrong=wrong)
