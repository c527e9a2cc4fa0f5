"""Data sets of the hub, over real HTTP with a hub on this machine; and none without a connection."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from itune_core.api import DataError, Formatter, HubDataset
from itune_core.api.reading import hub_rows

SCRIPT = """
import json, sys
from itune_core.api import BadRow, DataError, HubDataset
from itune_core.api.reading import hub_rows
for line in sys.stdin:
    settings, columns = json.loads(line)
    try:
        rows = hub_rows(HubDataset(**settings), columns)
        read = [(row.where, row.error.code if isinstance(row, BadRow) else dict(row)) for row in rows]
    except DataError as error:
        read = [error.code, error.why]
    print(json.dumps(read))
"""

ROWS = [{"text": "A tree?", "n": 1}, {"text": "\ub098\ubb34", "n": 2}]


def ask(endpoint: str, home: Path, *asked: tuple[dict[str, Any], list[str] | None]) -> list[Any]:
    """What a process that knows the hub at `endpoint` reads of data sets."""
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        env.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input="".join(json.dumps(one) + "\n" for one in asked),
        env=env,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def parquet() -> bytes:
    import pyarrow
    from pyarrow.parquet import write_table

    sink = io.BytesIO()
    write_table(pyarrow.Table.from_pylist([{**row, "image": b"\x89"} for row in ROWS]), sink)
    return sink.getvalue()


def test_a_split_is_streamed(hub: Callable[..., Any], tmp_path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    files = {"data/train-00000-of-00001.parquet": parquet(), "data/test-00000-of-00001.parquet": parquet()}
    known = {"repo": "acme/trees", "revision": "v1"}
    with hub("acme/trees", "v1", files) as served:
        columns = ["text", "n"]
        good, held, bytes_, split, revision, absent = ask(
            served.endpoint,
            tmp_path,
            (known, columns),
            ({**known, "split": "test"}, columns),
            (known, None),
            ({**known, "split": "tset"}, None),
            ({**known, "revision": "v9"}, None),
            (known, ["txt"]),
        )
    assert good == [[f"hub:acme/trees@v1/train#{number}", row] for number, row in enumerate(ROWS)]
    assert held == [[f"hub:acme/trees@v1/test#{number}", row] for number, row in enumerate(ROWS)]
    assert [code for _, code in bytes_] == ["E-DATA-018"] * 2
    assert split[0] == revision[0] == "E-DATA-030"
    assert "tset" in split[1]
    assert "v9" in revision[1]
    assert absent[0] == "E-DATA-027"
    with hub("acme/lines", "main", {"train.jsonl": lines}) as served:
        (read,) = ask(served.endpoint, tmp_path, ({"repo": "acme/lines", "revision": "main"}, None))
        assert [row for _, row in read] == ROWS
        assert not any(path.endswith(".py") and "GET" in path for path in served.asked)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_no_connection_is_opened(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection is opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv(name, "1")
    with pytest.raises(DataError) as caught:
        next(iter(hub_rows(HubDataset(repo="acme/trees", revision="v1"))))
    assert caught.value.code == "E-DATA-029"
    assert "hub:acme/trees@v1/train" in caught.value.what
    assert caught.value.fix


def test_a_folder_here_is_not_taken_for_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme" / "trees").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DataError) as caught:
        next(iter(hub_rows(HubDataset(repo="acme/trees", revision="v1"))))
    assert caught.value.code == "E-DATA-030"


WRONG: list[dict[str, Any]] = [
    {},
    {"path": []},
    {"path": "rows.jsonl", "hub": {"repo": "acme/trees", "revision": "v1"}},
    {"hub": {"repo": "acme/trees"}},
    {"hub": {"repo": "trees", "revision": "v1"}},
    {"hub": {"repo": "../up/trees", "revision": "v1"}},
    {"hub": {"repo": "acme/trees", "revision": "v1"}, "reading": {"encoding": "cp949"}},
]


@pytest.mark.parametrize("settings", WRONG, ids=str)
def test_one_source_and_a_revision(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Formatter.Config(**settings)


def test_the_revision_is_in_the_key() -> None:
    from itune_core.engine import keys

    config = Formatter.Config(hub={"repo": "acme/trees", "revision": "v1"}, reading={"columns": ["text"]})  # type: ignore[arg-type]
    assert keys.settings(config)["hub"] == {"repo": "acme/trees", "revision": "v1", "split": "train", "config": None}
