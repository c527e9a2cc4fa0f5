"""Keys: everything the content depends on, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from itune_core.api import ComponentConfig, Filter, Function, InputFile, ModelRef, Runtime, Secret, StepRef
from itune_core.engine import digest
from itune_core.engine.extensions import Extension
from itune_core.engine.keys import code_identity, dependencies, difference, key_parts, settings
from itune_core.plugins import catalog


class Judge(ComponentConfig):
    model: ModelRef = Field(description="Who judges.")
    batch: Runtime[int] = Field(8, description="Rows at a time.")


class Probe(Filter):
    """A filter with a field of each type."""

    class Config(ComponentConfig):
        path: InputFile = Field(description="A file.")
        limit: int = Field(3, description="A setting.")
        judges: list[Judge] = Field(default_factory=list, description="Models.")
        rule: StepRef | None = Field(None, description="A step.")
        token: Secret | None = Field(None, description="A secret.")
        workers: Runtime[int] = Field(1, description="How it is run.")


ENTRY = catalog.find("filters", "length")


def _parts(config: Mapping[str, Any], **other: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "inputs": {"records": [{"rows": "d1"}]},
        "file": lambda path: digest.of_file(path),
        "model": lambda name: {"student": "m1", "renamed": "m1", "teacher": "m2"}[name],
        "step": lambda name: "s1",
        "seed": 0,
    }
    return key_parts(Probe(Probe.Config(**config)), ENTRY, **{**arguments, **other})


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    return {"path": str(tmp_path / "rows.jsonl"), "judges": [{"model": "student"}], "rule": "fit", "token": "env:TOKEN"}


def test_names_paths_secrets_and_ways_of_running_do_not_count(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "copy.jsonl").write_text("{}\n")
    same = {
        **config,
        "path": str(tmp_path / "copy.jsonl"),
        "judges": [{"model": "renamed", "batch": 64}],
        "token": "env:OTHER",
        "workers": 9,
    }
    assert digest.of_value(_parts(same)) == digest.of_value(_parts(config))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"limit": 4}, "config.limit: 3 -> 4"),
        ({"judges": [{"model": "teacher"}]}, "config.judges"),
        ({"rule": None}, "config.rule"),
    ],
)
def test_settings_count_and_the_difference_is_named(config: dict[str, Any], change: dict[str, Any], told: str) -> None:
    before, after = _parts(config), _parts({**config, **change})
    assert digest.of_value(before) != digest.of_value(after)
    (line,) = difference(before, after)
    assert line.startswith(told)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"inputs": {"records": [{"rows": "d2"}]}},
        {"wrappers": [{"name": "strict"}]},
        {"model": lambda name: "another"},
        {"step": lambda name: "s2"},
    ],
)
def test_everything_else_that_matters_counts(config: dict[str, Any], other: dict[str, Any]) -> None:
    assert digest.of_value(_parts(config, **other)) != digest.of_value(_parts(config))


def test_a_file_counts_by_its_content(config: dict[str, Any]) -> None:
    before = digest.of_value(_parts(config))
    Path(config["path"]).write_text("{ }\n")
    assert digest.of_value(_parts(config)) != before


def test_editable_code_is_pinned_by_its_sources() -> None:
    assert code_identity(ENTRY).startswith("itune-filters editable ")


def test_an_installed_wheel_is_pinned_by_its_version() -> None:
    entry = catalog.Entry("filters", "x", "pluggy:PluginManager", "pluggy", "1.7.0", "")
    assert code_identity(entry) == "pluggy==1.7.0"


class Analysed(Filter):
    """A filter whose verdicts are those of an analyser. Source: these tests."""

    def depends_on(self) -> Sequence[str]:
        return ("Acme_Analyser", "acme-analyser.words")


def _install(site: Path, name: str, version: str) -> Path:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return info


def test_of_what_depends_on_nothing_else_the_key_says_nothing_else(config: dict[str, Any]) -> None:
    assert "depends_on" not in _parts(config)


def test_an_upgrade_of_what_the_output_depends_on_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    component = Analysed(Analysed.Config())
    monkeypatch.syspath_prepend(tmp_path / "site")
    said = {"acme-analyser": "not installed", "acme-analyser-words": "not installed"}
    assert dependencies(component) == {"depends_on": said}
    _install(tmp_path / "site", "acme_analyser", "1.9")
    assert dependencies(component) == {"depends_on": {**said, "acme-analyser": "1.9"}}
    monkeypatch.syspath_prepend(tmp_path / "newer")
    _install(tmp_path / "newer", "acme_analyser", "1.10")
    assert dependencies(component) == {"depends_on": {**said, "acme-analyser": "1.10"}}


def test_the_upgrade_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parts() -> dict[str, Any]:
        lent: dict[str, Any] = {"file": str, "model": str, "step": str, "seed": 0}
        return key_parts(Analysed(Analysed.Config()), ENTRY, inputs={}, **lent)

    before = parts()
    monkeypatch.syspath_prepend(tmp_path)
    _install(tmp_path, "acme_analyser", "1.9")
    assert difference(before, parts()) == ['depends_on.acme-analyser: "not installed" -> "1.9"']
    assert digest.of_value(before) != digest.of_value(parts())


class Masks:
    """An extension: a plain class. Source: these tests."""

    class Config(ComponentConfig):
        names: InputFile = Field(description="What is masked.")
        by: Function = Field("itune_core.api:thinking", description="How.")

    def __init__(self, config: Config) -> None:
        self.config = config

    def depends_on(self) -> Sequence[str]:
        return ("acme-analyser",)


def test_an_extension_counts_by_what_its_settings_name_and_by_what_it_depends_on(
    tmp_path: Path,
) -> None:
    def part(folder: str) -> Mapping[str, Any]:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "names").write_text("Anna\n")
        extension = Extension(ENTRY, Masks(Masks.Config(names=str(tmp_path / folder / "names"))))
        return extension.key_part(digest.of_file)

    assert part("here") == part("there")
    assert part("here")["config"]["by"].startswith("itune_core.api:thinking of itune-core")
    assert part("here")["depends_on"] == {"acme-analyser": "not installed"}
    assert "depends_on" not in Extension(ENTRY, object()).key_part(digest.of_file)


def test_what_can_be_edited_counts_by_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for number in (1, 2):  # a checkout is read once a process
        site = tmp_path / str(number)
        info = _install(site, "acme_analyser", "1.9")
        (info / "direct_url.json").write_text(json.dumps({"url": site.as_uri(), "dir_info": {"editable": True}}))
        (site / "acme_analyser.py").write_text(f"WORDS = {number}\n")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(site)
            found.append(dependencies(Analysed(Analysed.Config()))["depends_on"]["acme-analyser"])
    assert found[0] != found[1]
    assert all(version.startswith("1.9 editable sha256:") for version in found)


def test_settings_leave_secrets_out() -> None:
    config = Probe.Config(path="x", token="env:TOKEN")
    assert set(settings(config)) == {"path", "limit", "judges", "rule"}


def test_file_digests_notice_a_change_of_equal_size(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_text("aaaa")
    memory = digest.FileDigests(tmp_path / "memory.json")
    first = memory.of(path)
    memory.save()
    again = digest.FileDigests(tmp_path / "memory.json")
    assert again.of(path) == first
    path.unlink()
    path.write_text("bbbb")
    assert again.of(path) != first


def test_a_models_digest_ignores_where_its_base_was(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "adapter_config.json").write_text(f'{{"r": 8, "base_model_name_or_path": "/{name}"}}')
        (folder / "adapter_model.safetensors").write_bytes(b"weights")
        (folder / "README.md").write_text(name)
        digests.append(digest.FileDigests(tmp_path / "memory.json").of_model(folder))
    assert digests[0] == digests[1]
    (tmp_path / "two" / "adapter_config.json").write_text('{"r": 16}')
    assert digest.FileDigests(tmp_path / "memory.json").of_model(tmp_path / "two") != digests[0]
