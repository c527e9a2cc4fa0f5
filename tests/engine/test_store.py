"""The store: whole artifacts only, each made once."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from itune_core.engine.home import Home
from itune_core.engine.store import Store, write_manifest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Home(tmp_path))


def _publish(store: Store, key: str, text: str = "x") -> None:
    with store.making(key), store.draft(key) as folder:
        (folder / "content").write_text(text)
        write_manifest(folder, {"key": key, "created": "2026-01-01", "outputs": {"records": {"digest": text}}})


def test_an_artifact_appears_whole(store: Store) -> None:
    assert store.get("aa") is None
    _publish(store, "aa", "hello")
    found = store.get("aa")
    assert found is not None
    assert found.digest("records") == "hello"
    assert (found.folder / "content").read_text() == "hello"
    assert [artifact.key for artifact in store.all()] == ["aa"]


def test_a_failed_draft_leaves_nothing(store: Store) -> None:
    def stop() -> None:
        with store.draft("aa") as folder:
            (folder / "half").write_text("written")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        stop()
    assert store.get("aa") is None
    assert not list((store.root / "drafts").iterdir())


def test_the_draft_of_a_killed_run_is_cleared(store: Store) -> None:
    left = store.root / "drafts" / "aa.killed"
    left.mkdir(parents=True)
    _publish(store, "aa")
    assert not left.exists()


def test_scratch_outlives_a_failure_and_goes_with_publishing(store: Store) -> None:
    with store.making("aa") as scratch:
        (scratch / "checkpoint").write_text("7")
    with store.making("aa") as scratch:
        assert (scratch / "checkpoint").read_text() == "7"
    _publish(store, "aa")
    assert not (store.root / "work" / "aa").exists()


def _make_in_process(root: Path, log: Path) -> None:
    store = Store(Home(root))
    with store.making("aa"):
        if store.get("aa") is None:
            with log.open("a") as stream:
                stream.write(f"{os.getpid()}\n")
            time.sleep(0.2)
            with store.draft("aa") as folder:
                write_manifest(folder, {"key": "aa", "created": "", "outputs": {}})


def test_processes_that_need_one_artifact_make_it_once(tmp_path: Path) -> None:
    log = tmp_path / "made"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_make_in_process, args=(tmp_path, log)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert len(log.read_text().splitlines()) == 1


def test_a_part_is_made_once_and_only_whole(store: Store) -> None:
    calls: list[Path] = []

    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise ValueError("stopped")

    def make(folder: Path) -> None:
        assert not list(folder.iterdir())  # nothing of the failed attempt
        calls.append(folder)
        (folder / "reference").write_text("1.5")

    with pytest.raises(ValueError, match="stopped"):
        store.part("p", fail)
    assert (store.part("p", make) / "reference").read_text() == "1.5"
    assert (store.part("p", make) / "reference").read_text() == "1.5"
    assert len(calls) == 1


def test_sweeping_keeps_artifacts(store: Store) -> None:
    _publish(store, "aa")
    store.part("p", lambda folder: (folder / "x").write_bytes(b"12345") and None)
    with store.making("bb") as scratch:
        (scratch / "y").write_bytes(b"123")
    assert store.sweep() == 8
    assert store.get("aa") is not None
