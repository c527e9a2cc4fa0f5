"""Forwarding: what a run becomes in the real files of each tracker that is installed, read back by its own reader."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import PluginError
from itune_core.plugins.session import Observers, check_extension
from itune_extensions import trackers
from itune_extensions.forwarding import Forwarding, figures_of, plain
from itune_extensions.trackers import MLflow, TensorBoard, Trackio, Wandb

ROWS = [{"instruction": f"Say {n}.", "input": "", "output": "one two"} for n in range(6)]


class Shown(NamedTuple):
    """What a tracker shows of a run.

    Attributes:
        settings: of the run.
        points: (position, value) by name, in order.
        failed: whether it shows the run as failed.
    """

    settings: Mapping[str, str]
    points: Mapping[str, list[tuple[int, float]]]
    failed: bool


def read_tensorboard(folder: Path) -> Shown:
    """Event files are records of length, checksum, an ``Event`` message, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = (folder / "tensorboard").glob("events.*")
    data, place = file.read_bytes(), 0
    points: dict[str, list[tuple[int, float]]] = {}
    settings: dict[str, str] = {}
    while place < len(data):
        length = int.from_bytes(data[place : place + 8], "little")
        event = Event.FromString(data[place + 12 : place + 12 + length])
        place += length + 16
        for value in event.summary.value:
            if value.HasField("tensor"):
                settings[value.tag.removesuffix("/text_summary")] = value.tensor.string_val[0].decode()
            else:
                points.setdefault(value.tag, []).append((event.step, value.simple_value))
    return Shown(settings, points, bool(points["failed"][0][1]))


def read_trackio(folder: Path) -> Shown:
    from trackio.sqlite_storage import SQLiteStorage

    logs = SQLiteStorage.get_logs("small", folder.name)
    points: dict[str, list[tuple[int, float]]] = {}
    for line in logs:
        for name, value in line.items():
            if name not in ("step", "timestamp"):
                points.setdefault(name, []).append((line["step"], value))
    config = SQLiteStorage.get_run_config("small", folder.name)
    settings = {name: str(value) for name, value in config.items() if not name.startswith("_")}
    return Shown(settings, points, bool(points["failed"][0][1]))


def leveldb_records(data: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format, after wandb's own seven bytes: blocks of 32 KiB, records in pieces."""
    whole, place = b"", 7
    while place + 7 <= len(data):
        left = 32_768 - place % 32_768
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        if left < 7 or kind == 0:  # the rest of the block is padding
            place += left
            continue
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield whole
            whole = b""


def read_wandb(folder: Path) -> Shown:
    """The transaction log of an offline run, as ``wandb sync`` would read it."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    points: dict[str, list[tuple[int, float]]] = {}
    settings: dict[str, str] = {}
    final: dict[str, float] = {}
    code = 0
    for data in leveldb_records(file.read_bytes()):
        record = Record.FromString(data)
        for item in record.run.config.update:
            if not item.key.startswith("_"):
                settings[item.key] = str(json.loads(item.value_json))
        line = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for name, value in line.items():
            if not name.startswith("_") and not name.endswith("/done"):
                points.setdefault(name, []).append((line[f"{name.split('/')[0]}/done"], value))
        for item in record.summary.update:
            name = item.key or "/".join(item.nested_key)
            value = json.loads(item.value_json)
            if not name.startswith("_") and not isinstance(value, dict):
                final[name] = value
        code = record.exit.exit_code or code
    return Shown(settings, {name: [(0, value)] for name, value in final.items()} | points, bool(code))


def read_mlflow(folder: Path) -> Shown:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder.parents[1] / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert run.info.run_name == folder.name
    points = {
        name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    return Shown(run.data.params, points, run.info.status == "FAILED")


READERS: dict[type[Forwarding], Callable[[Path], Shown]] = {
    TensorBoard: read_tensorboard,
    Trackio: read_trackio,
    Wandb: read_wandb,
    MLflow: read_mlflow,
}
INSTALLED = [tracker for tracker in READERS if find_spec(tracker.library)]
"""TensorBoard always; the others where somebody installed them, as ``nox -s trackers`` does."""

each_installed = pytest.mark.parametrize("tracker", INSTALLED, ids=lambda tracker: tracker.extra)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Any]]:
    """A connection to anything but a socket of this machine is refused and noted."""
    tried: list[Any] = []
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"):
            return connect(self, address)
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    yield tried
    assert tried == []


def test_the_lightest_is_always_tested() -> None:
    assert TensorBoard in INSTALLED


@each_installed
def test_a_run_is_followed(
    tracker: type[Forwarding], run: Callable[..., Any], no_network: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    done = run({tracker.extra: {}}, ROWS)
    assert done.warnings == []
    shown = READERS[tracker](done.folder)
    assert shown.settings == {"recipe": "small", "run": done.folder.name, "seed": "11"}
    assert not shown.failed
    assert shown.points["rows/counts/inputs"][-1][1] == 6
    assert shown.points["once/counts/used"][-1][1] == 6
    assert shown.points["count/reused"][-1][1] == 0
    assert shown.points["rows/seconds"][-1][1] > 0
    assert capfd.readouterr().out == "", "standard output belongs to itune run"


@each_installed
def test_progress_becomes_curves(
    tracker: type[Forwarding], tmp_path: Path, no_network: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ".itune" / "runs" / "20260101T000000Z-small-abcdef"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(
        '{"name": "small", "seed": 3, "steps": {"loss": {"identities": {"base": "id-1", "sft": "id-2"}}, '
        '"sft[lr=1]": {"identities": {}}}}'
    )
    warnings: list[str] = []
    observers = Observers([tracker(tracker.Config())], warnings.append)
    observers.run_started(folder.name, "recipe.yaml", folder)
    for position in range(1, 4):
        observers.step_progressed("sft[lr=1]", position, 3, {"loss": 2.0 / position})
        observers.step_progressed("sft[lr=1]", position, 3, {})
    books = {"counts": {"inputs": 2, "used": 1, "dropped": {"short": 1}}, "requests": {"asked": 0, "recalled": 4}}
    timed = {"reused": False, "seconds": 1.5, "cpu_seconds": 1.25}
    trained = {**books, **timed, "metrics": {"loss": 0.5, "padding_free": True, "note": "x"}}
    measured = {**books, "reused": True, "metrics": {"id-1": {"loss": 2.0}, "id-2": {"loss": 1.0}, "": {"share": 0.25}}}
    observers.step_finished("sft[lr=1]", "trainers/sft", "k", trained)
    observers.step_finished("loss", "evaluators/loss", "k", measured)
    observers.run_finished(folder.name, "E-RUN-004: it broke at row 7, ann@example.org")
    assert warnings == []
    shown = READERS[tracker](folder)
    step = "sft_lr_1"
    assert shown.points[f"{step}/loss"] == [(n, pytest.approx(2.0 / n)) for n in (1, 2, 3)]
    assert shown.points[f"{step}/metrics/loss"][-1][1] == 0.5
    assert shown.points[f"{step}/counts/dropped"][-1][1] == 1
    assert f"{step}/metrics/padding_free" not in shown.points
    assert shown.points["loss/metrics/sft/loss"][-1][1] == 1
    assert shown.points["loss/metrics/share"][-1][1] == 0.25
    assert "loss/seconds" not in shown.points, "it was reused"
    assert shown.failed
    assert b"ann@example" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


FOLLOW = """
import atexit, json, os, sys
from pathlib import Path

asked = []

def listen(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        asked.append(str(args[0]))
    elif event == "socket.connect":
        asked.append(str(args[1]))

sys.addaudithook(listen)

@atexit.register  # the first is the last to be called: what libraries send as they end is in it
def tell():
    Path("asked.json").write_text(json.dumps(asked))

import psutil
from itune_extensions import trackers

tracker = getattr(trackers, sys.argv[1])
folder = Path(".itune/runs/20260101T000000Z-small-abcdef").absolute()
folder.mkdir(parents=True)
(folder / "run.json").write_text('{"name": "small", "seed": 3, "steps": {}}')
followed = tracker(tracker.Config())
followed.itune_run_started(folder.name, folder)
followed.itune_step_progressed("sft", 1, {"loss": 0.5})
children = psutil.Process().children(recursive=True)
names = ("WANDB_ERROR_REPORTING", "MLFLOW_DISABLE_TELEMETRY")
Path("variables.json").write_text(json.dumps({
    name: [os.environ.get(name), *(child.environ().get(name) for child in children)] for name in names
}))
followed.itune_run_finished(None)
"""
"""Follows a run with default settings, and leaves which hosts this process asked for or connected to."""

KEPT = ("PATH", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
"""Nothing by which a library would know that it is tested: MLflow sends nothing under pytest or in a CI."""


class Followed(NamedTuple):
    """What a process that followed a run did.

    Attributes:
        folder: of the run.
        asked: hosts that it looked up or connected to; of its children those that they asked a proxy for.
        variables: what the process and each of its children had.
    """

    folder: Path
    asked: list[str]
    variables: Mapping[str, list[str | None]]


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., Followed]]:
    """Follow a run in a process of its own, in the environment of a user whose proxy is watched."""
    proxied: list[str] = []
    proxy = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = proxy.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                proxied.append(connection.recv(1024).split(b"\r\n")[0].decode("ascii", "replace"))

    threading.Thread(target=serve, daemon=True).start()
    address = f"127.0.0.1:{proxy.getsockname()[1]}"

    def go(tracker: type[Forwarding], **more: str) -> Followed:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"HOME": str(tmp_path), "HTTPS_PROXY": f"http://{address}", "HTTP_PROXY": f"http://{address}"}
        environment |= {"HF_TOKEN": "hf_nobodys", "TRACKIO_DIR": str(tmp_path / "trackio")} | more
        done = subprocess.run(
            [sys.executable, "-c", FOLLOW, tracker.__name__],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        asked = json.loads((tmp_path / "asked.json").read_text("utf-8"))
        (folder,) = (tmp_path / ".itune" / "runs").iterdir()
        away = [host for host in asked if not re.search(r"^/|127\.0\.0\.1|localhost|::1", host)]
        return Followed(folder, away + proxied, json.loads((tmp_path / "variables.json").read_text("utf-8")))

    yield go
    proxy.close()


@each_installed
def test_no_connection_is_opened_by_default(tracker: type[Forwarding], follow: Callable[..., Followed]) -> None:
    """By the process itself or, as far as they heed a proxy, by its children."""
    assert follow(tracker).asked == []


# What follows needs libraries that only `nox -s trackers` installs; a test that is never made is not skipped unseen.
SET_BY_USERS = [
    (tracker, name, chosen)
    for tracker, name, chosen in (
        (MLflow, "MLFLOW_DISABLE_TELEMETRY", "false"),
        (Wandb, "WANDB_ERROR_REPORTING", "1"),
    )
    if tracker in INSTALLED
]

if SET_BY_USERS:

    @pytest.mark.parametrize(("tracker", "name", "chosen"), SET_BY_USERS)
    def test_what_a_user_has_set_stays(
        tracker: type[Forwarding], name: str, chosen: str, follow: Callable[..., Followed]
    ) -> None:
        assert set(follow(tracker, **{name: chosen}).variables[name]) == {chosen}


if Wandb in INSTALLED:

    def test_wandbs_own_process_reports_no_errors(follow: Callable[..., Followed]) -> None:
        """It is not written in Python, and cannot be watched from here: what it was told is looked at."""
        told = follow(Wandb).variables["WANDB_ERROR_REPORTING"]
        assert len(told) >= 2
        assert set(told) == {"false"}

    def test_wandb_records_nothing_of_the_machine(follow: Callable[..., Followed]) -> None:
        (place,) = (follow(Wandb).folder / "wandb").glob("offline-run-*")
        files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
        assert {name for name in files if not name.startswith("logs/")} == {f"run-{place.name.rsplit('-')[-1]}.wandb"}


@pytest.mark.parametrize("tracker", READERS, ids=lambda tracker: tracker.extra)
def test_a_missing_library_is_told_with_the_extra(tracker: type[Forwarding], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itune_extensions.forwarding.find_spec", lambda name: None)
    with pytest.raises(PluginError, match=rf"pip install 'itune-extensions\[{tracker.extra}\]'") as caught:
        tracker(tracker.Config())
    assert caught.value.code == "E-EXTENSION-001"


@pytest.mark.parametrize("tracker", READERS, ids=lambda tracker: tracker.extra)
def test_it_only_watches(tracker: type[Forwarding]) -> None:
    assert not any(found.wraps for found in check_extension(tracker))


def test_a_tracker_that_cannot_be_opened_is_not_written_to(run: Callable[..., Any], monkeypatch: Any) -> None:
    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(TensorBoard, "open", fail)
    done = run({"tensorboard": {}}, ROWS)
    assert done.outcome.record.data["state"] == "done"
    assert len(done.warnings) == 1
    assert "disk full" in done.warnings[0]


def test_nothing_is_imported_until_a_run_starts(python: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    script = """
import sys
import itune_extensions.trackers as trackers
trackers.TensorBoard(trackers.TensorBoard.Config())
print(sorted({"tensorboardX", "trackio", "wandb", "mlflow", "numpy", "torch"} & set(sys.modules)))
"""
    done = python(script)
    assert done.stdout == "[]\n", done.stderr


def test_figures_are_numbers_only() -> None:
    manifest = {
        "reused": True,
        "counts": {"inputs": 3, "failed": {"E-DATA-001": 2}},
        "requests": {},
        "metrics": {"loss": 1, "ok": True, "why": "because", "history": [1, 2]},
        "parts": {"config": {"api_key": "env:KEY"}},
    }
    expected = {"reused": 1.0, "counts/inputs": 3.0, "counts/failed": 2.0, "metrics/loss": 1.0}
    assert dict(figures_of(manifest, {})) == expected


@given(st.text())
def test_names_are_what_every_tracker_takes(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_./-]+", plain(name))
    assert plain(plain(name)) == plain(name)
    assert plain("aligned[algorithm=dpo]/eval/loss") == "aligned_algorithm_dpo/eval/loss"


def test_trackios_own_variables_are_not_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_SPACE_ID", "someone/space")
    with trackers._unset("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        assert "TRACKIO_SPACE_ID" not in os.environ
    assert os.environ["TRACKIO_SPACE_ID"] == "someone/space"


def test_an_extension_of_ones_own_is_a_writer_and_no_more() -> None:
    """What a third party writes to forward to another tracker."""

    class Lines(Forwarding):
        library = extra = "json"
        lines: list[str] = []

        def open(self, run: str, folder: Path, settings: Mapping[str, str | int]) -> None: ...
        def curve(self, step: str, figures: Mapping[str, float], position: int) -> None: ...
        def final(self, figures: Mapping[str, float]) -> None: ...
        def close(self, failed: bool) -> None: ...

    assert {found.hook for found in check_extension(Lines(Lines.Config()))} == {
        "itune_run_started",
        "itune_step_progressed",
        "itune_step_finished",
        "itune_run_finished",
    }
