"""Two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.engine.home import Home
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store, write_manifest
from itune_core.report.comparison import Figure
from itune_core.report.difference import difference


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Home(tmp_path))


def publish(store: Store, key: str, **manifest: Any) -> str:
    if store.get(key) is None:
        with store.draft(key) as folder:
            write_manifest(folder, {"key": key, "created": "", **manifest})
    return key


def made(
    store: Store,
    name: str,
    *,
    recipe: dict[str, Any] | None = None,
    overrides: list[str] | None = None,
    version: str = "1.0",
    digest: str | None = "sha256:a",
    lock: str | None = None,
    loss: float = 1.5,
    words: int = 3,
) -> RunRecord:
    """A run of one filter and one evaluator."""
    folder = store.home.runs / name
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe or {"itune": 1, "seed": 1}))
    parts = {"component": "filters/length", "config": {"words": words}, "seed": 1}
    short = publish(store, f"short{words}", parts=parts)
    figures = publish(store, f"loss{words}-{loss}", parts={"inputs": [short]}, metrics={"id": {"mean": loss, "n": 4}})
    data = {
        "plugins": {"filters/length": {"distribution": "itune-filters", "version": version, "digest": digest}},
        "lock": lock,
        "overrides": overrides or [],
        "steps": {
            "short": {"stage": "filters", "key": short},
            "loss": {"stage": "evaluators", "key": figures, "identities": {"base": "id"}},
        },
    }
    return RunRecord(folder, data)


def test_a_run_does_not_differ_from_its_like(store: Store) -> None:
    found = difference(made(store, "a"), made(store, "b"), store)
    assert (found.plugins, found.recipe, found.steps, found.figures) == ((), (), (), ())
    assert found.same_figures == 2


def test_plugins_differ_by_version_by_code_and_by_lock(store: Store) -> None:
    old = made(store, "a")
    for name, more in (("b", {"version": "1.1"}), ("c", {"digest": "sha256:b"})):
        [change] = difference(old, made(store, name, **more), store).plugins
        assert change.path == "filters/length"
        assert change.old == "itune-filters 1.0 (sha256:a)"
        assert change.new != change.old
    assert [change.path for change in difference(old, made(store, "d", lock="0123"), store).plugins] == ["lock"]


def test_recipe_settings_keys_and_figures_differ(store: Store) -> None:
    old = made(store, "a")
    new = made(store, "b", recipe={"itune": 1, "seed": 2}, overrides=["x=5"], words=4, loss=1.25)
    found = difference(old, new, store)
    assert sorted(map(str, found.recipe)) == ['--set.x: null -> "5"', "seed: 1 -> 2"]
    short, loss = found.steps
    assert (short.step, short.old, short.new) == ("short", "short3", "short4")
    assert [str(change) for change in short.changes] == ["config.words: 3 -> 4"]
    assert [change.path for change in loss.changes] == ["inputs[0]"]
    assert found.figures == (("loss", "mean", "base", Figure(1.5), Figure(1.25)),)
    assert found.same_figures == 1


def test_a_step_that_one_run_lacks_and_an_artifact_that_is_gone(store: Store) -> None:
    old, new = made(store, "a"), made(store, "b", words=4)
    del new.data["steps"]["loss"]
    artifact = store.get("short3")
    assert artifact
    store.remove(artifact)
    short, loss = difference(old, new, store).steps
    assert (short.old, short.new, short.changes) == ("short3", "short4", ())
    assert (loss.step, loss.new) == ("loss", None)
    assert {figure.new for figure in difference(old, new, store).figures} == {None}


def test_runs_of_before_there_were_digests_are_compared_too(store: Store) -> None:
    old = made(store, "a", digest=None)
    del old.data["lock"]
    [change] = difference(old, made(store, "b"), store).plugins
    assert (change.old, change.new) == ("itune-filters 1.0", "itune-filters 1.0 (sha256:a)")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(words=st.tuples(st.integers(1, 3), st.integers(1, 3)), loss=st.tuples(st.integers(1, 2), st.integers(1, 2)))
def test_turned_round_old_and_new_change_places(store: Store, words: tuple[int, int], loss: tuple[int, int]) -> None:
    import shutil

    runs = []
    for name, count, value in zip("ab", words, loss, strict=True):
        shutil.rmtree(store.home.runs / name, ignore_errors=True)
        runs.append(made(store, name, words=count, loss=value))
    there, back = difference(*runs, store), difference(*reversed(runs), store)
    assert {(f.step, f.figure, f.old, f.new) for f in there.figures} == {
        (f.step, f.figure, f.new, f.old) for f in back.figures
    }
    assert {(s.step, s.old, s.new) for s in there.steps} == {(s.step, s.new, s.old) for s in back.steps}
    assert bool(there.steps) == (words != (words[0],) * 2 or loss != (loss[0],) * 2)
