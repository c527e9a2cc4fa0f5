"""Lock, drift, refusal, sync: with real wheels in a real environment, by uv and by pip, and without a network.

The environment is a bare one that sees the libraries of the outer one, so that only the core and the plugins are
installed into it. What the libraries' wheels would be is stood in for by wheels of metadata alone: nothing is installed
from those, because every version is right already.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Iterable
from importlib.metadata import distribution, requires
from pathlib import Path
from zipfile import ZipFile

import pytest
import tomli_w
from packaging.pylock import Pylock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "{version}"
dependencies = ["itune-core>=0.1,<1"]
[project.scripts]
{name} = "{module}:main"
[project.entry-points."itune.filters"]
{component} = "{module}:Short"
[tool.hatch.build.targets.wheel]
packages = ["{module}"]
"""

MODULE = '''
from pydantic import Field
from itune_core.api import ComponentConfig, Drop, Filter, Input, Keep, Kind

class Short(Filter):
    """Keeps answers of few words. Source: none."""
    inputs = {"records": Input((Kind.CONVERSATION,))}
    class Config(ComponentConfig):
        words: int = Field(3, description="How many.")
    def decide(self, record):
        return Keep() if len(record["messages"][-1]["content"].split()) <= self.config.words else Drop("long")

def main():
    print("hello")
'''

RECIPE = """
itune: 1
name: pinned
plugins: {allow: [acme-itune-short]}
steps:
  rows:  {uses: formatters/alpaca, with: {path: rows.jsonl}}
  short: {uses: filters/short, from: rows}
  kept:  {uses: filters/length, from: short, with: {response: {max_words: 5}}}
"""

by_both = pytest.mark.parametrize("place", ["uv", "pip"], indirect=True)
"""Where what uv and pip do differs; the other tests run with uv."""


def build(sources: Path, wheels: Path) -> None:
    call = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*call, "-w", str(wheels), str(sources)], check=True, capture_output=True)


def plugin(folder: Path, name: str, component: str, version: str) -> Path:
    """The sources of a plugin with one filter and one script."""
    module = name.replace("-", "_")
    package = folder / module
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        PROJECT.format(name=name, version=version, module=module, component=component)
    )
    (package / "__init__.py").write_text(MODULE)
    (package / "words.txt").write_text("one two three\n")
    return folder


def needed(requirements: Iterable[str], seen: set[str]) -> set[str]:
    """Names of the distributions that `requirements` lead to here, added to those `seen`."""
    for requirement in map(Requirement, requirements):
        name = canonicalize_name(requirement.name)
        if name not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            seen.add(name)
            needed(requires(name) or (), seen)
    return seen


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels: the core, two first-party plugins, four of a third party, and the libraries' stand-ins."""
    folder = tmp_path_factory.mktemp("park")
    wheels = folder / "wheels"
    ours = (ROOT, ROOT / "plugins" / "itune-filters", ROOT / "plugins" / "itune-formatters")
    for source in ours:
        build(source, wheels)
    for name, component, version in (
        ("acme-itune-short", "short", "1.0"),
        ("acme-itune-short", "short", "1.1"),
        ("acme-itune-extra", "extra", "1.0"),
    ):
        build(plugin(folder / f"{name}-{version}", name, component, version), wheels)
    declared = [tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"] for source in ours]
    libraries = needed((line for project in declared for line in project["dependencies"]), {"itune-core"})
    for name in libraries - {"itune-core"}:
        found = distribution(name)
        stem = f"{name.replace('-', '_')}-{found.version}"
        with ZipFile(wheels / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", found.read_text("METADATA") or "")
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", f"{stem}.dist-info/METADATA,,\n{stem}.dist-info/RECORD,,\n")
    return wheels


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed here, without the core, the plugins and uv."""
    folder = tmp_path_factory.mktemp("libraries")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if (
            not path.name.lower().startswith(("itune", "_editable", "__editable", "__pycache__", "uv"))
            and path.suffix != ".pth"
        ):
            (folder / path.name).symlink_to(path)
    return folder


class Place:
    """A project folder and an environment of its own."""

    def __init__(self, folder: Path, wheels: Path, libraries: Path, tool: str) -> None:
        self.folder, self.wheels = folder / "project", wheels
        self.folder.mkdir()
        venv.create(folder / "env", with_pip=False, symlinks=True)
        self.python = folder / "env" / "bin" / "python"
        [self.site] = (folder / "env" / "lib").glob("python*/site-packages")
        (self.site / "libraries.pth").write_text(f"{libraries}\n")
        bare = [part for part in os.environ["PATH"].split(os.pathsep) if not Path(part, "uv").exists()]
        uv = folder / "bin"
        uv.mkdir()
        if tool == "uv":
            import uv as package

            (uv / "uv").symlink_to(package.find_uv_bin())
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("PIP_", "UV_", "ITUNE_", "PYTHON"))
            },
            "PATH": os.pathsep.join([str(uv), *bare]),
            "PIP_NO_INDEX": "1",
            "UV_OFFLINE": "1",
            "UV_CACHE_DIR": str(folder / "cache"),
        }
        rows = [{"instruction": "Count.", "input": f"to {n}", "output": " ".join("123456"[:n])} for n in range(1, 6)]
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.recipe = self.folder / "recipe.yaml"
        self.recipe.write_text(RECIPE)

    def call(self, *command: str, code: int = 0, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.python), *command],
            cwd=folder or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def itune(self, *command: str, code: int = 0, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.call("-P", "-m", "itune_core.cli.main", *command, code=code, folder=folder)

    def pip(self, *command: str) -> None:
        self.call("-m", "pip", *command)

    def install(self, *names: str) -> None:
        self.pip("install", "-q", "--no-deps", "--find-links", str(self.wheels), *names)

    def lock(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.itune("lock", "recipe.yaml", "--find-links", str(self.wheels), *options)

    def refused(self, code: str) -> str:
        """What `itune run` says when it refuses for that reason alone."""
        said = self.itune("run", "recipe.yaml", code=3).stderr
        assert said.startswith(f"{code}:"), said
        return said


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, wheels: Path, libraries: Path) -> Place:
    """An environment with the core, two first-party plugins and one of a third party, locked and run once."""
    place = Place(tmp_path, wheels, libraries, getattr(request, "param", "uv"))
    place.install("itune-core", "itune-filters", "itune-formatters", "acme-itune-short==1.0")
    said = place.lock().stdout
    assert "3 plugin distributions" in said
    assert "development" not in said
    assert "E-LOCK" not in said
    place.itune("run", "recipe.yaml")
    return place


@by_both
def test_a_byte_of_a_file_is_changed_and_mended(place: Place) -> None:
    file = place.site / "acme_itune_short" / "__init__.py"
    good = file.read_bytes()
    file.write_bytes(good.replace(b"<=", b">=", 1))
    said = place.refused("E-LOCK-011")
    assert "acme_itune_short/__init__.py" in said
    assert "fix: itune sync recipe.yaml" in said
    assert place.itune("lock", "recipe.yaml", "--check", code=1).stderr.startswith("E-LOCK-011")
    assert "installing afresh acme-itune-short 1.0" in place.itune("sync", "recipe.yaml").stdout
    assert file.read_bytes() == good
    place.itune("run", "recipe.yaml")
    assert "fits" in place.itune("lock", "recipe.yaml", "--check").stdout


@by_both
def test_every_drift_is_refused_and_mended(place: Place) -> None:
    package = place.site / "acme_itune_short"

    place.install("--force-reinstall", "acme-itune-short==1.1")
    said = place.refused("E-LOCK-010")
    assert "acme-itune-short is 1.1 here and 1.0 in the lock" in said
    assert "installing afresh acme-itune-short 1.0" in place.itune("sync", "recipe.yaml").stdout

    (package / "words.txt").unlink()
    place.refused("E-LOCK-013")
    place.itune("sync", "recipe.yaml")
    assert (package / "words.txt").exists()

    (package / "more.py").write_text("open('ran', 'w')\n")
    place.refused("E-LOCK-012")
    assert f"deleting {package / 'more.py'}" in place.itune("sync", "recipe.yaml").stdout

    place.install("acme-itune-extra")
    said = place.refused("E-LOCK-015")
    assert "itune lock recipe.yaml --with acme-itune-extra" in said
    assert "uninstalling acme-itune-extra, which is not in the lock" in place.itune("sync", "recipe.yaml").stdout
    assert not list(place.site.glob("acme_itune_extra*"))

    place.pip("uninstall", "-q", "-y", "acme-itune-short")
    place.refused("E-LOCK-014")
    assert "installing acme-itune-short 1.0" in place.itune("sync", "recipe.yaml").stdout

    (place.site / "acme_itune_short-1.0.dist-info" / "RECORD").unlink()
    place.refused("E-LOCK-016")
    place.itune("sync", "recipe.yaml")

    run = json.loads(place.itune("run", "recipe.yaml", "--json").stdout)
    lock = place.folder / "pylock.itune.toml"
    assert run["lock"] == hashlib.sha256(lock.read_bytes()).hexdigest()
    packages = {package["name"]: package for package in tomllib.loads(lock.read_text())["packages"]}
    for plugin in run["plugins"].values():
        locked = packages[plugin["distribution"]]
        assert (plugin["version"], plugin["digest"]) == (locked["version"], locked["tool"]["itune"]["record"])


def test_what_was_tampered_with_is_not_imported(place: Place) -> None:
    """Not by a command that compiles the recipe; and an edited plugin is as foreign as any."""
    file = place.site / "acme_itune_short" / "__init__.py"
    file.write_text("open('ran', 'w')\n" + file.read_text())
    for command in (["check"], ["plan"], ["run"], ["fetch"], ["cache", "why"], ["inspect"]):
        more = ["short"] if command[0] in ("cache", "inspect") else []
        place.itune(*command, "recipe.yaml", *more, "--allow", "acme-itune-short", code=3)
    assert not (place.folder / "ran").exists()


def test_a_lock_moves_with_its_folder_of_wheels(place: Place, tmp_path: Path) -> None:
    """To another place, where another environment is made from it: the libraries are left out, which need a network."""
    lock = tomllib.loads((place.folder / "pylock.itune.toml").read_text())
    Pylock.from_dict(lock)
    ours = [package for package in lock["packages"] if "itune" in package["name"]]
    assert {package["name"] for package in ours} == {
        "itune-core", "itune-filters", "itune-formatters", "acme-itune-short"
    }  # fmt: skip
    moved = tmp_path / "elsewhere" / "deep"
    moved.mkdir(parents=True)
    wheels = moved / os.path.relpath(place.wheels, place.folder)
    wheels.mkdir(parents=True)
    for package in ours:
        [wheel] = package["wheels"]
        assert not Path(wheel["path"]).is_absolute()
        (moved / wheel["path"]).write_bytes((place.folder / wheel["path"]).read_bytes())
    for name in ("recipe.yaml", "rows.jsonl", "pylock.itune.toml"):
        (moved / name).write_bytes((place.folder / name).read_bytes())
    place.pip("uninstall", "-q", "-y", "acme-itune-short", "itune-formatters")
    assert "is that of pylock.itune.toml" in place.itune("sync", "recipe.yaml", folder=moved).stdout
    place.itune("run", "recipe.yaml", folder=moved)


def test_a_wheel_that_is_not_the_locked_one_is_not_installed(place: Place, tmp_path: Path) -> None:
    lock = place.folder / "pylock.itune.toml"
    document = tomllib.loads(lock.read_text())
    [package] = [package for package in document["packages"] if package["name"] == "acme-itune-short"]
    package["wheels"][0]["hashes"]["sha256"] = "0" * 64
    lock.write_text(tomli_w.dumps(document))
    place.pip("uninstall", "-q", "-y", "acme-itune-short")
    assert "E-LOCK-032" in place.itune("sync", "recipe.yaml", code=3).stderr
    assert not list(place.site.glob("acme_itune_short"))


def test_a_checkout_is_locked_for_development_only(place: Place, tmp_path: Path) -> None:
    sources = plugin(tmp_path / "checkout", "acme-itune-short", "short", "1.0")
    place.pip("install", "-q", "--no-deps", "--no-build-isolation", "-e", str(sources))
    place.refused("E-LOCK-019")
    said = place.lock().stdout
    assert "for development only: acme-itune-short" in said
    place.itune("run", "recipe.yaml")
    run = json.loads(place.itune("run", "recipe.yaml", "--json").stdout)
    assert run["plugins"]["filters/short"]["editable"]
    file = sources / "acme_itune_short" / "__init__.py"
    file.write_text(file.read_text() + "\n# edited\n")
    assert str(sources) in place.refused("E-LOCK-017")
    filters = place.site / "itune_filters" / "length.py"
    filters.write_text(filters.read_text() + "\n# edited\n")
    assert "E-LOCK-017" in place.itune("sync", "recipe.yaml", code=3).stderr, "a checkout is for its author to mend"
    assert "# edited" not in filters.read_text(), "beside a checkout the wheels are still installed"
    place.lock()
    place.itune("run", "recipe.yaml")


@by_both
def test_a_distribution_is_locked_with_a_word(place: Place) -> None:
    """One that is not installed yet, and one in another version than the installed."""
    said = place.lock("--with", "acme-itune-extra", "--with", "acme-itune-short==1.1").stdout
    assert "acme-itune-extra 1.0: filters/extra" in said
    assert "E-LOCK-010" in said
    assert "E-LOCK-014" in said
    assert "2 differences" in place.itune("run", "recipe.yaml", code=3).stderr
    place.itune("sync", "recipe.yaml")
    place.itune("run", "recipe.yaml")
    assert "fits" in place.itune("lock", "recipe.yaml", "--check").stdout


def test_what_cannot_be_locked_is_told(place: Place) -> None:
    said = place.itune("lock", "recipe.yaml", code=3).stderr
    assert "E-LOCK-031" in said
    assert "--find-links DIR" in said
    (place.folder / "pylock.itune.toml").unlink()
    assert "E-LOCK-005" in place.itune("sync", "recipe.yaml", code=3).stderr
    assert "E-LOCK-005" in place.itune("lock", "recipe.yaml", "--check", code=1).stderr


@by_both
def test_a_core_of_another_version_is_replaced_and_verifies_itself(place: Place, tmp_path: Path) -> None:
    [wheel] = place.wheels.glob("itune_core-*.whl")
    version = wheel.name.split("-")[1]
    with ZipFile(wheel) as old, ZipFile(tmp_path / wheel.name.replace(version, f"{version}.post1"), "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".dist-info/METADATA"):
                content = content.replace(f"Version: {version}".encode(), f"Version: {version}.post1".encode(), 1)
            if name.endswith(".dist-info/RECORD"):
                lines = content.decode().replace(f"core-{version}.dist", f"core-{version}.post1.dist").splitlines(True)
                content = "".join(
                    f"{line.split(',')[0]},,\n" if "METADATA" in line else line for line in lines
                ).encode()
            new.writestr(name.replace(f"core-{version}.dist", f"core-{version}.post1.dist"), content)
        changed = new.filename
    place.pip("install", "-q", "--no-deps", str(changed))
    assert f"itune-core is {version}.post1 here" in place.refused("E-LOCK-010")
    (place.site / "acme_itune_short" / "words.txt").write_text("edited")
    said = place.itune("sync", "recipe.yaml").stdout
    assert f"installing itune-core {version}" in said
    assert "is that of pylock.itune.toml" in said
    place.itune("run", "recipe.yaml")


def test_a_plugin_of_a_folder_on_the_path_is_for_its_owner_to_take_away(place: Place, tmp_path: Path) -> None:
    there = tmp_path / "there"
    place.pip(
        "install", "-q", "--no-deps", "--target", str(there), "--find-links", str(place.wheels), "acme-itune-extra"
    )
    place.environment["PYTHONPATH"] = str(there)
    said = place.itune("sync", "recipe.yaml", code=3)
    assert "uninstalling" not in said.stdout
    assert said.stderr.startswith("E-LOCK-015")
    assert "take that folder off PYTHONPATH" in said.stderr
    assert list(there.glob("acme_itune_extra-*"))
