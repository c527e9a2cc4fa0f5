"""Data sets of the Hugging Face hub, streamed: read as they arrive, nothing kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from itune_core.api.errors import DataError
from itune_core.api.reading.columns import check_columns
from itune_core.api.reading.rows import BadRow, Row
from itune_core.api.reading.settings import HubDataset
from itune_core.api.reading.values import plain_row

_YES = {"1", "ON", "YES", "TRUE"}


def hub_rows(hub: HubDataset, columns: Sequence[str] | None = None) -> Iterator[Row | BadRow]:
    """The rows of a hub data set, values as JSON has them; `where` is ``hub:owner/name@revision/split#index``.

    No code of the repository is run. Images and audio are bytes, which no row can hold: read the other columns.

    Args:
        hub: which one.
        columns: those to read; None: all.

    Raises:
        DataError: ``E-DATA-027`` there is no such column; ``E-DATA-029`` offline; ``E-DATA-030`` it cannot be read.
    """
    if _offline():
        raise DataError(
            "E-DATA-029",
            f"{hub} is read from the hub, and this run is offline",
            fix="run without --offline; or save it once with `save_to_disk` of the library datasets, and set `path`",
        )
    if Path(hub.repo).exists():  # datasets would take it for what is meant
        raise DataError(
            "E-DATA-030", f"{hub.repo!r} is also a folder here", where=str(Path(hub.repo).resolve()), fix="rename it"
        )
    for index, values in enumerate(_reached(hub, columns)):
        yield plain_row(values, f"{hub}#{index}")


def _offline() -> bool:
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in _YES for name in names)


def _reached(hub: HubDataset, columns: Sequence[str] | None) -> Iterator[Any]:
    """The rows as `datasets` gives them; what it raises becomes an error that says what to do."""
    import httpx
    import pyarrow
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        data = load_dataset(hub.repo, hub.config, split=hub.split, revision=hub.revision, streaming=True).decode(False)
        if columns is not None:
            if data.column_names is not None:
                check_columns(data.column_names, str(hub), columns)
            data = data.select_columns(list(columns))
        yield from data
    except (DatasetsError, HfHubHTTPError, httpx.HTTPError, pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            "E-DATA-030",
            "the data set cannot be read from the hub",
            where=str(hub),
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            fix="correct repo, revision, config or split; where access is restricted, log in with `hf auth login`",
        ) from error
