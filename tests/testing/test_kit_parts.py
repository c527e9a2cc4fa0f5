"""The parts of the kit that plugins of others do not show to be right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from itune_core.api import ComponentConfig, Kind, Record, RowError, Runtime, features, parts
from itune_core.testing import samples
from itune_core.testing.comparing import difference, plain
from itune_core.testing.poison import poisoned
from itune_core.testing.subject import Subject
from itune_core.testing.watch import Sandbox, package_stamps

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_the_plugin_that_pytest_loads_everywhere_imports_nothing_heavy() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules); import itune_core.testing.plugin; "
        "import json; print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {name for name in json.loads(done.stdout) if name not in sys.stdlib_module_names} == {"itune_core"}


def test_it_is_loaded_by_its_entry_point(pytestconfig: pytest.Config) -> None:
    plugin = pytestconfig.pluginmanager.get_plugin("itune")
    assert getattr(plugin, "__name__", None) == "itune_core.testing.plugin"


@pytest.mark.parametrize("kind", Kind)
def test_samples_are_records_that_differ(kind: Kind) -> None:
    made = samples(kind)
    assert {record.kind for record in made} == {kind}
    assert len({json.dumps(plain(record)) for record in made}) == len(made) - 1, "one is there twice"
    assert {record["source"] for record in made} == {"garden", "harbour", "kitchen"}
    assert all(any(parts(record)) for record in made)


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert difference(value, json.loads(json.dumps(value))) is None


def test_a_tolerance_forgives_rounding_and_nothing_else() -> None:
    assert difference([1.0], [1.0 + 1e-6]) is not None
    assert difference([1.0], [1.0 + 1e-6], "tolerance") is None
    assert difference([1.0], [1.001], "tolerance") == "[0] is 1.0, then 1.001"
    assert difference([1], [2], "tolerance") is not None
    assert difference(["1.0"], ["1.0000001"], "tolerance") is not None


def test_a_poisoned_record_cannot_be_read_and_its_neighbour_can() -> None:
    one, other = (record.replace(id=str(number)) for number, record in enumerate(samples(Kind.PROMPT)[:2]))
    with poisoned("0") as poison:
        assert one["source"] == "garden"
        with pytest.raises(RowError, match="E-KIT-001"):
            parts(one)
        assert parts(other).prompt
    assert poison.taken == 1
    assert isinstance(one, Record)
    assert parts(one).prompt


def test_a_row_of_the_data_set_is_poisoned_as_its_record_is() -> None:
    made = [{**record, "id": str(number)} for number, record in enumerate(samples(Kind.PROMPT)[:2])]
    rows = datasets.Dataset.from_list(made, features=features(Kind.PROMPT))
    with poisoned("0") as poison:
        for row in (rows[0], next(iter(rows))):
            assert row["source"] == "garden"
            with pytest.raises(RowError, match="E-KIT-001"):
                row["prompt"]
            with pytest.raises(RowError, match="E-KIT-001"):
                row.get("prompt")
        assert rows[1]["prompt"]
        assert len(rows["prompt"][:]) == 2
    assert poison.taken == 4
    assert rows[0]["prompt"]


class Settings(ComponentConfig):
    """Settings of every type that the kit tries, and of some that it does not."""

    plain: int = 3
    turned: Runtime[bool] = False
    number: Runtime[int] = 3
    one: Runtime[int] = 1
    unset: Runtime[int | None] = None
    at_least_two: Runtime[int] = Field(4, ge=2)
    listed: Runtime[Literal["a", "b", "c"]] = "b"
    or_unset: Runtime[Literal["a", "b"] | None] = None
    text: Runtime[str] = "auto"
    share: Runtime[float] = 0.5


def test_runtime_settings_are_tried_as_the_docs_say(tmp_path: Path) -> None:
    class Case:
        config: Mapping[str, Any] = {}

    class Loaded:
        Config = Settings

    class Configured(Subject):
        loaded = Loaded

    changes = Configured(Case(), tmp_path, lambda name: None).runtime_changes()
    assert changes == [
        {"turned": True},
        {"number": 1},
        {"one": 2},
        {"unset": 1},
        {"listed": "a"},
        {"listed": "c"},
        {"or_unset": "a"},
        {"or_unset": "b"},
    ]


def test_a_package_is_watched_and_what_python_compiles_is_not() -> None:
    found = package_stamps("itune_core.testing.watch")
    assert any(path.endswith("/testing/watch.py") for path in found)
    assert not any("__pycache__" in path for path in found)


def test_a_sandbox_sees_what_is_left_and_gives_everything_back(tmp_path: Path) -> None:
    before = (dict(os.environ), Path.cwd(), tempfile.gettempdir())
    sandbox = Sandbox(tmp_path / "sandbox")
    with sandbox.entered():
        Path("here.txt").write_text("")
        (Path.home() / "there.txt").write_text("")
        (Path(os.environ["XDG_CACHE_HOME"]) / "compiled.bin").write_text("")
        with tempfile.NamedTemporaryFile():
            pass  # removed again, which is as it should be
        descriptor, _ = tempfile.mkstemp(prefix="left-")
        os.close(descriptor)
    home, temporary, working = sandbox.found()
    assert (home, working) == ("home/there.txt", "working folder/here.txt")
    assert temporary.startswith("temporary/left-")
    assert (dict(os.environ), Path.cwd(), tempfile.gettempdir()) == before
