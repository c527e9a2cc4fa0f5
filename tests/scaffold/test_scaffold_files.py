"""What is written: the same files for every stage, in order as they are."""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from itune_core import __version__
from itune_core.plugins.catalog import GROUPS
from itune_core.scaffold.author import find_author
from itune_core.scaffold.errors import ScaffoldError
from itune_core.scaffold.names import LONGEST, Names
from itune_core.scaffold.project import TEMPLATES, api_bound, render, write
from itune_core.scaffold.stages import STAGES

ROOT = Path(__file__).parents[2]
Written = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]
every_stage = pytest.mark.parametrize("stage", STAGES)

FILES = [
    ".github/workflows/publish.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "itune_my_own/__init__.py",
    "itune_my_own/my_own.py",
    "itune_my_own/py.typed",
    "pyproject.toml",
    "tests/test_conformance.py",
    "tests/test_my_own.py",
]


def test_every_stage_has_templates() -> None:
    assert {*STAGES} == {*GROUPS, "objectives"}
    assert {stage.group for stage in STAGES.values() if stage.group} <= {*GROUPS}
    assert {path.name for path in TEMPLATES.iterdir() if path.is_dir()} == {*STAGES}


@every_stage
def test_the_files_of_a_distribution(stage: str, written: Written) -> None:
    folder = written(stage, "my-own")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == FILES
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8")
            assert "{{" not in text
            assert "{%" not in text
            assert text.endswith("\n") or path.name == "py.typed"


@every_stage
def test_the_metadata(stage: str, written: Written) -> None:
    folder = written(stage, "my-own")
    document = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    project = document["project"]
    assert project["name"] == "itune-my-own"
    assert project["license"] == "Apache-2.0"
    assert project["authors"] == [{"name": "Ada Lovelace"}]
    core = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == core["requires-python"]
    bounds = {found.name: found.specifier for found in map(Requirement, project["dependencies"])}
    assert bounds["itune-core"] == SpecifierSet(api_bound(__version__))
    assert {found.name for found in map(Requirement, document["dependency-groups"]["dev"])} == {
        "mypy",
        "pytest",
        "ruff",
    }
    (group,) = project["entry-points"]
    assert group == f"itune.{'trainers' if stage == 'objectives' else stage}"
    assert project["entry-points"][group] == {"my-own": "itune_my_own.my_own:MyOwn"}
    tree = ast.parse((folder / "itune_my_own" / "my_own.py").read_text("utf-8"))
    (component,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    assert component.name == "MyOwn"
    assert "\n\nSource: " in (ast.get_docstring(component) or "")


def test_a_trainer_asks_for_what_itune_torch_is_built_on(written: Written) -> None:
    """The code uses torch through itune-torch: bounds of its own would only drift from that one's."""

    def bounds(pyproject: Path) -> dict[str, SpecifierSet]:
        lines = tomllib.loads(pyproject.read_text("utf-8"))["project"]["dependencies"]
        return {found.name: found.specifier for found in map(Requirement, lines)}

    ours = bounds(written("trainers", "my-own") / "pyproject.toml")
    theirs = bounds(ROOT / "plugins" / "itune-torch" / "pyproject.toml")
    assert ours["torch"] == theirs["torch"]
    assert ours["itune-torch"] == ours["itune-core"]  # the workspace is released together


@pytest.mark.parametrize(
    ("core", "bound"),
    [("0.1.0", ">=0.1,<1"), ("1.4.2", ">=1.4,<2"), ("2.0.0", ">=2.0,<3"), ("1.5.0.dev3", ">=1.5.0.dev3,<2")],
)
def test_the_bound_on_the_core(core: str, bound: str) -> None:
    assert api_bound(core) == bound
    assert SpecifierSet(bound).contains(core, prereleases=True)


@pytest.mark.parametrize("name", ["a", "my-own", "a-" * ((LONGEST - 2) // 2) + "bb", "x" * LONGEST])
def test_style(name: str, written: Written) -> None:
    """Whatever the length of the name, which moves the ends of lines."""
    pytest.importorskip("ruff", reason="ruff is not installed")
    folders = [str(written(stage, name)) for stage in STAGES]
    for arguments in (["check"], ["format", "--check", "--diff"]):
        ruff = [sys.executable, "-m", "ruff", *arguments, "--no-cache", *folders]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_uploaded(written: Written, tmp_path: Path) -> None:
    folder = written("filters", "my-own")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)], cwd=folder, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    info = "itune_my_own-0.1.0.dist-info"
    metadata = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    package = {f"itune_my_own/{name}" for name in ("__init__.py", "my_own.py", "py.typed")}
    assert {*zipfile.ZipFile(wheel).namelist()} == metadata | package
    (source,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        assert "itune_my_own-0.1.0/tests/test_conformance.py" in archive.getnames()


def test_the_workflow_publishes_what_was_tested_and_holds_no_secret(written: Written) -> None:
    text = (written("filters", "my-own") / ".github" / "workflows" / "publish.yml").read_text("utf-8")
    workflow = yaml.safe_load(text)
    assert "secrets" not in text
    assert "${{" not in text
    jobs = workflow["jobs"]
    assert workflow[True] == {"release": {"types": ["published"]}}  # YAML 1.1 takes the key `on` for a truth value
    assert jobs["build"]["needs"] == "test"
    assert jobs["publish"]["needs"] == "build"
    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    typed = [step["run"] for step in jobs["test"]["steps"] if "run" in step]
    assert typed[1:] == ["pip install -e . --group dev", "ruff check", "ruff format --check", "mypy", "pytest"]


def test_the_licence_names_whose_it_is(written: Written) -> None:
    ours = (ROOT / "LICENSE").read_text("utf-8")
    blank = "Copyright [yyyy] [name of copyright owner]"
    assert blank in ours
    licence = (written("filters", "my-own", 'Ada "Countess" L.') / "LICENSE").read_text("utf-8")
    assert licence == ours.replace(blank, 'Copyright 2026 Ada "Countess" L.')
    nobody = written("scorers", "my-own", None)
    assert "Copyright 2026 the authors of itune-my-own\n" in (nobody / "LICENSE").read_text("utf-8")
    assert "authors" not in tomllib.loads((nobody / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize("author", ['Ada "Countess" L.', "back\\slash", "Łukasz 李", "{{ year }}", "'"])
def test_any_author_survives_the_metadata(author: str, written: Written) -> None:
    folder = written("filters", "my-own", author)
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["authors"] == [{"name": author}]


@pytest.mark.parametrize("said", ["", "  ", "two\nlines", "a\x7f", "a\x1b[2J"])
def test_an_author_is_one_printable_line(said: str) -> None:
    with pytest.raises(ScaffoldError) as error:
        find_author(said)
    assert error.value.code == "E-SCAFFOLD-005"


def test_an_author_unsaid_is_git_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n\tname = Grace Hopper\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert find_author(None) == "Grace Hopper"
    assert find_author(" Ada ") == "Ada"
    config.write_text("")
    assert find_author(None) is None
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert find_author(None) is None


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    files = render(Names("filters", "my-own"), None, 2026)
    folder = tmp_path / "deep" / "itune-my-own"
    write(folder, files)
    (folder / "README.md").write_text("mine")
    with pytest.raises(ScaffoldError) as error:
        write(folder, files)
    assert error.value.code == "E-SCAFFOLD-006"
    assert (folder / "README.md").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ScaffoldError) as error:
        write(tmp_path / "file" / "itune-my-own", {"README.md": ""})
    assert error.value.code == "E-SCAFFOLD-007"
    assert error.value.why == "Not a directory"


def test_the_command_says_what_to_type_next(itune: Run, tmp_path: Path) -> None:
    done = itune("plugins", "new", "filters", "my-own", "--dir", "with space", "--author", "Ada")
    assert (tmp_path / "with space" / "itune-my-own" / "itune_my_own" / "my_own.py").is_file()
    assert done.stdout.splitlines() == [
        "wrote 10 files; next:",
        "",
        "  cd 'with space/itune-my-own'",
        "  pip install -e . --group dev",
        "  pytest",
    ]
    again = itune("plugins", "new", "filters", "my-own", "--dir", "with space", code=2)
    assert "E-SCAFFOLD-006" in again.stderr


def test_a_refused_name_leaves_nothing(itune: Run, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert "itune plugins new filters my-own" in itune("plugins", "new", "filters", "MyOwn", code=2).stderr
    assert "E-PLUGIN-003" in itune("plugins", "new", "fliters", "my-own", code=3).stderr
    assert sorted(tmp_path.iterdir()) == before


def test_the_documentation_shows_an_objective_as_it_is_written() -> None:
    page = (ROOT / "docs" / "objectives.md").read_text("utf-8")
    files = render(Names("objectives", "least-squares"), None, 2026)
    path = "itune_least_squares/least_squares.py"
    assert f'```python title="{path}"\n{files[path]}```' in page
