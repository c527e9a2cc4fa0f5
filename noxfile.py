"""One door for every task: ``nox -l`` lists them.

Every session installs into an environment of its own, with ``constraints.txt``: the exact set of versions that this
project is developed and tested with.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import nox
from packaging.requirements import Requirement
from packaging.version import Version

nox.options.sessions = ["lint", "types", "docs", "tests"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
TEST_TOOLS = [
    "hatchling",
    "editables",  # what hatchling installs a checkout with
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "hypothesis",
    "trl",
    "bitsandbytes",
    "ruff",
    "uv",
    "tensorboardX",
    "rouge-score",
    "scikit-learn",
    "faiss-cpu",
    "flaml[blendsearch]",
    "matplotlib",
    "kiwipiepy",
    "lexical-diversity",
    "lexicalrichness",
    "rjieba",
    "sudachidict-small",
    "sudachipy",
    "openai",
    "trustme",
    "xllamacpp",
]
# The kit that is described needs pytest, and the smallest recipe of trainers/trl is checked against TRL.
DOCS_TOOLS = ["sphinx", "myst-parser", "furo", "sphinx-copybutton", "pytest", "trl"]
BENCHMARKS = ["startup", "plugins", "hooks", "lock", "formatting", "mixing", "quickstart", "overhead"]
BENCHMARKS += ["sft_vs_trl", "dpo_vs_trl", "objectives_vs_trl", "rrhf_vs_plain", "second_run"]
BENCHMARKS += ["novelty", "near_duplicates", "text_scores", "diverse", "perplexity", "generation", "served_requests"]
# Not among them: task_similarity, sft_vs_llamafactory and generation_vs_distilabel, which must be told of rows or of an
# environment of their own (ITUNE_LLAMAFACTORY, ITUNE_DISTILABEL: the session hands its environment on).


def _install_workspace(session: nox.Session, *tools: str) -> None:
    """The core and every plugin, editable, with the pinned versions of what they need."""
    session.install("--upgrade", "pip", "-c", "constraints.txt", silent=True)
    editable = [part for folder in (ROOT, *PLUGINS) for part in ("-e", str(folder))]
    session.install("-c", "constraints.txt", *editable, *tools, silent=True)


def _quiet_environment(session: nox.Session) -> None:
    """Nothing phones home, nothing fights over cores, nothing is read from or written to the user's hub cache."""
    session.env.update({"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})


@nox.session
def tests(session: nox.Session) -> None:
    """All tests of the core and of the plugins; arguments go to pytest."""
    _install_workspace(session, *TEST_TOOLS)
    _quiet_environment(session)
    session.env["OMP_NUM_THREADS"] = "1"
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    # A worker a core; the slow ones, which hold a real model in memory each, then one after the other. No test may be
    # skipped on CI, so those of DeepSpeed are left to their own session.
    session.run("pytest", "-q", "-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile", "-m", "not slow")
    session.run("pytest", "-q", "-m", "slow and not deepspeed")


@nox.session
def trackers(session: nox.Session) -> None:
    """Forwarding against the newest release of every tracker, with none of the pins: it is their formats that move."""
    used = [folder for folder in PLUGINS if folder.name.removeprefix("itune-") in ("formatters", "filters", "scorers")]
    editable = [part for folder in (ROOT, *used) for part in ("-e", str(folder))]
    extras = "plugins/itune-extensions[tensorboard,trackio,wandb,mlflow]"
    session.install(*editable, "-e", extras, "pytest", "pytest-timeout", "hypothesis", silent=True)
    tests = ("test_trackers.py", "test_conformance_extensions.py")
    session.run("pytest", "-q", *(f"plugins/itune-extensions/tests/{name}" for name in tests))


@nox.session
def deepspeed(session: nox.Session) -> None:
    """Training under DeepSpeed's ZeRO-3, in two processes on the CPU: its import takes longer than all other tests of
    launching together, so it has a session of its own."""
    session.env["DS_BUILD_OPS"] = "0"
    _install_workspace(session, *TEST_TOOLS, "setuptools", "wheel")
    session.install("-c", "constraints.txt", "--no-build-isolation", "deepspeed", silent=True)
    _quiet_environment(session)
    session.env["OMP_NUM_THREADS"] = "1"
    folder = "plugins/itune-trainers/tests"
    session.run("pytest", "-q", f"{folder}/test_launch.py", f"{folder}/test_launch_curves.py")


@nox.session
def quickstart(session: nox.Session) -> None:
    """Run the quickstart: format, filter, score, mix, tune, align, measure. Prints a table and a report's path."""
    _install_workspace(session)
    _quiet_environment(session)
    session.run("itune", "run", "examples/quickstart/recipe.yaml", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and imports."""
    session.install("-c", "constraints.txt", "ruff", silent=True)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy: strict on the core, plain on the plugins."""
    session.install("-c", "constraints.txt", "-e", ".", "mypy", "types-PyYAML", "numpy", "pytest", silent=True)
    session.run("mypy", "itune_core")
    for folder in PLUGINS:
        package = folder / folder.name.replace("-", "_")
        session.run("mypy", "--config-file", "mypy-plugins.ini", str(package))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into ``site``: generated pages must be up to date, and a dead link is an error."""
    _install_workspace(session, *DOCS_TOOLS)
    for page in ("errors", "components", "stages"):
        session.run("python", f"docs/{page}_page.py", "--check")
    session.run("sphinx-build", "-b", "dirhtml", "-W", "--keep-going", "-n", "-E", "-q", "docs", "site")
    session.log("to read it: python -m http.server --directory site")


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks against the named peers; prints tables and writes benchmarks/results/*.json."""
    _install_workspace(session, "trl", "hatchling", "editables", "datasketch", "rouge-score")
    _quiet_environment(session)
    session.env["OMP_NUM_THREADS"] = "1"
    for name in session.posargs or BENCHMARKS:
        session.run("python", f"benchmarks/{name}.py", "--json", f"benchmarks/results/{name}.json")


@nox.session
def study(session: nox.Session) -> None:
    """Every objective on the same real pairs (about an hour and a half; stopped, it goes on where it was).

    The rows are those of ``ITUNE_TEST_DATA``; arguments go to ``itune run``.
    """
    _install_workspace(session)
    _quiet_environment(session)
    data = os.environ.get("ITUNE_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    recipe = "examples/objectives/recipe.yaml"
    session.run("itune", "run", recipe, "--set", f"vars.data={Path(data).resolve()}", *session.posargs)


@nox.session
def mining(session: nox.Session) -> None:
    """InstructMining, whole: the rule, its validation, the best size (hours; stopped, it goes on where it was).

    The rows are those of ``ITUNE_TEST_DATA``; arguments go to every ``itune run``. What was found is shown with ``itune
    show`` in the folder of the recipe; the sizes and the plot are in the session's folder.
    """
    _install_workspace(session, "flaml[blendsearch]", "matplotlib")
    _quiet_environment(session)
    data = Path(os.environ.get("ITUNE_TEST_DATA", str(ROOT.parent / "shared" / "data"))).resolve()
    folder, kept = ROOT / "examples" / "instruct-mining", Path(session.create_tmp()).resolve()
    asked = kept / "evaluation.jsonl"
    session.run("python", str(folder / "evaluation.py"), str(data), str(asked))
    settings = ["--set", f"vars.data={data}", "--set", f"vars.evaluation={asked}", *session.posargs]
    session.run("itune", "run", str(folder / "recipe.yaml"), *settings)
    with session.chdir(folder):
        shown = session.run("itune", "show", "mined", "--json", "--rows", "1000", silent=True)
    (kept / "mined.json").write_text(str(shown), "utf-8")
    session.run("python", str(folder / "plot.py"), str(kept / "mined.json"), str(kept / "mined.svg"))
    session.run("python", str(folder / "sizes.py"), "--out", str(kept / "sizes.json"), "--", *settings)
    session.log(f"the plot and the sizes are in {kept}")


@nox.session
def downstream(session: nox.Session) -> None:
    """The plugins' conformance tests: with the core of the working tree, then with the oldest core that each claims."""
    _install_workspace(session, *TEST_TOOLS)
    _quiet_environment(session)
    session.env["OMP_NUM_THREADS"] = "1"
    modules = {folder: sorted(map(str, folder.glob("tests/test_conformance_*.py"))) for folder in PLUGINS}
    session.run("pytest", "-q", *(module for found in modules.values() for module in found))
    here = Version(_project(ROOT)["version"])
    for folder, found in modules.items():
        oldest = _oldest_core(folder)
        if oldest is None or not found:
            session.log(f"{folder.name}: no component, no conformance tests")
        elif oldest == here:
            session.log(f"{folder.name}: the oldest core it claims is {oldest}, that of the working tree: done above")
        else:
            session.install("-c", "constraints.txt", f"itune-core=={oldest}", silent=True)
            session.run("pytest", "-q", *found)
            session.install("--no-deps", "-e", ".", silent=True)


def _project(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def _oldest_core(folder: Path) -> Version | None:
    """The lower bound on itune-core in a plugin's metadata; None if it does not need the core."""
    for requirement in map(Requirement, _project(folder)["dependencies"]):
        if requirement.name == "itune-core":
            return min(Version(part.version) for part in requirement.specifier if part.operator in (">=", "==", "~="))
    return None


@nox.session
def lowest(session: nox.Session) -> None:
    """The fast tests, with the oldest versions that the packages' metadata admits."""
    # pip first: it takes torch from where the other sessions do, and uv then leaves it as it is. What locks are synced
    # with is a tool of the environment, not of the metadata: a pip that knows locks.
    session.install("-c", "constraints.txt", "--upgrade", "pip", "torch", "uv", silent=True)
    editable = [part for folder in (ROOT, *PLUGINS) for part in ("-e", str(folder))]
    session.run("uv", "pip", "install", "--quiet", "--resolution", "lowest-direct", "torch==2.13.0", *editable)
    session.install(*TEST_TOOLS, silent=True)
    _quiet_environment(session)
    session.env["OMP_NUM_THREADS"] = "1"
    session.run("pytest", "-q", "-n", "2", "--dist", "loadfile", "-m", "not slow")
