"""Render the templates of a stage, and write them as a new folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from itune_core import __version__
from itune_core.scaffold.errors import ScaffoldError
from itune_core.scaffold.names import Names
from itune_core.scaffold.stages import STAGES

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

TEMPLATES = Path(__file__).with_name("templates")

FILES = {
    ".github/workflows/publish.yml": "publish.yml",
    ".gitignore": "gitignore",
    "LICENSE": "LICENSE",
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "{package}/__init__.py": "package.py",
    "{package}/py.typed": "py.typed",
    "{package}/{module}.py": "{template}/component.py",
    "tests/test_conformance.py": "{template}/conformance.py",
    "tests/test_{module}.py": "{template}/behaviour.py",
}
"""What is written, and the template that it comes from (without its suffix ``.jinja``)."""


def render(names: Names, author: str | None, year: int, core_version: str = __version__) -> dict[str, str]:
    """The files of a new distribution: path inside its folder to text. Writes nothing.

    Args:
        names: what the component is called.
        author: for the licence and the metadata; None: neither names a person.
        year: for the licence.
        core_version: of the core whose API it is written for.
    """
    bound = api_bound(core_version)
    stage = STAGES[names.template]
    facts = {
        "names": names,
        "stage": stage,
        "author": author,
        "owner": author or f"the authors of {names.distribution}",
        "year": year,
        "requires": [f"itune-core{bound}", *(library.format(bound=bound) for library in stage.libraries)],
    }
    environment = _environment()
    parts = {"package": names.package, "module": names.module, "template": names.template}
    return {
        target.format(**parts): environment.get_template(f"{template.format(**parts)}.jinja").render(facts)
        for target, template in FILES.items()
    }


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write `files` into `folder`, which must not exist.

    Raises:
        ScaffoldError: ``E-SCAFFOLD-006`` the folder exists; ``E-SCAFFOLD-007`` it cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        for name, text in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    except FileExistsError as error:
        raise ScaffoldError(
            "E-SCAFFOLD-006",
            f"{error.filename} exists, and nothing is overwritten",
            fix="choose another name, or another place with --dir",
        ) from error
    except OSError as error:
        raise ScaffoldError(
            "E-SCAFFOLD-007",
            f"cannot write {folder}",
            why=error.strerror or str(error),
            fix="name a folder that you may write to with --dir",
        ) from error


def this_year() -> int:
    """The year that a licence written now bears."""
    return datetime.now(UTC).year


def api_bound(core_version: str) -> str:
    """The versions of the core that a plugin written for this one works with: up to the next major version."""
    version = Version(core_version)
    lowest = core_version if version.is_prerelease else f"{version.major}.{version.minor}"
    return f">={lowest},<{version.major + 1}"


def _environment() -> SandboxedEnvironment:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # What JSON writes of printable text is a basic string of TOML too.
    environment.filters["toml"] = lambda text: json.dumps(text, ensure_ascii=False)
    return environment
