"""The shell: commands are names until they are called, and every error ends the same way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from itune_core.api.errors import DataError, ItuneError, PluginError, RecipeError
from itune_core.cli import main as shell
from itune_core.cli.terminal import safe


def python(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a function in the place of ``itune chat``."""

    def put(function: Callable[..., object]) -> None:
        module = types.ModuleType("itune_core.cli.chat")
        module.app = typer.Typer()  # type: ignore[attr-defined]
        module.app.command()(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "itune_core.cli.chat", module)

    return put


@pytest.mark.parametrize("name", shell.COMMANDS)
def test_every_command_of_the_table_is_there_and_explains_itself(name: str) -> None:
    done = CliRunner().invoke(shell.app, [name, "--help"], prog_name="itune")
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.stdout.startswith(f"Usage: itune {name}")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []], ids=" ".join)
def test_the_shell_itself_imports_only_typer(arguments: list[str]) -> None:
    script = """
import json, sys
import typer
before = set(sys.modules)
from itune_core.cli.main import main
sys.argv = ["itune", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""
    new = set(json.loads(python(script, *arguments).stderr.splitlines()[-1]))
    assert {name for name in new if name.startswith("itune_")} == {
        "itune_core",
        "itune_core.cli",
        "itune_core.cli.main",
    }
    assert not {"pydantic", "pluggy", "stevedore", "rich", "packaging", "torch", "importlib.metadata"} & new


def test_help_does_not_need_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shell.COMMANDS, "absent", "Has no module.")
    done = CliRunner().invoke(shell.app, ["--help"])
    assert done.exit_code == 0
    assert "Has no module." in done.stdout


def test_completion_of_commands_imports_none_of_them() -> None:
    script = """
import sys
from itune_core.cli.main import main
try:
    main()
finally:
    print([name for name in sys.modules if name.startswith(("itune_core.cli.", "torch", "itune_torch"))])
"""
    done = python(script, _ITUNE_COMPLETE="complete_bash", COMP_WORDS="itune pl", COMP_CWORD="1")
    *words, modules = done.stdout.splitlines()
    assert words == ["plan", "plugins"]
    assert modules == "['itune_core.cli.main']"


def test_a_misspelt_command_is_told_with_the_nearest() -> None:
    done = CliRunner().invoke(shell.app, ["plugns"])
    assert done.exit_code == 2
    assert "Did you mean" in done.stderr  # whether it goes on with one name or all near ones depends on typer
    assert "'plugins'" in done.stderr


def test_completion_belongs_to_itune_alone() -> None:
    assert "--install-completion" in CliRunner().invoke(shell.app, ["--help"]).stdout
    assert "--install-completion" not in CliRunner().invoke(shell.app, ["chat", "--help"]).stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError("E-RECIPE-001", "wrong", where="r.yaml:3", fix="mend it"), 2),
        (PluginError("E-PLUGIN-001", "absent"), 3),
        (DataError("E-DATA-002", "unreadable"), 4),
        (ItuneError("E-X-001", "general"), 4),
    ],
)
def test_an_error_is_one_paragraph_and_its_exit_code(command, error: ItuneError, code: int) -> None:
    def fail() -> None:
        raise error

    command(fail)
    done = CliRunner().invoke(shell.app, ["chat"])
    assert done.exit_code == code
    assert done.stderr.strip() == str(error)
    assert done.stdout == ""


def test_the_traceback_is_shown_on_request(command) -> None:
    def fail() -> None:
        try:
            raise KeyError("the cause")
        except KeyError as cause:
            raise RecipeError("E-RECIPE-001", "wrong") from cause

    command(fail)
    done = CliRunner().invoke(shell.app, ["--traceback", "chat"])
    assert done.exit_code == 2
    assert "KeyError: 'the cause'" in done.stderr
    assert done.stderr.rstrip().endswith("E-RECIPE-001: wrong")


def test_an_interrupt_ends_with_130(command) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    command(stop)
    done = CliRunner().invoke(shell.app, ["chat"])
    assert done.exit_code == 130
    assert done.stderr == "interrupted\n"


def test_a_command_may_choose_its_exit_code(command) -> None:
    def no() -> None:
        raise typer.Exit(1)

    command(no)
    assert CliRunner().invoke(shell.app, ["chat"]).exit_code == 1


def test_what_an_error_quotes_is_shown_and_not_obeyed(command) -> None:
    def fail() -> None:
        raise DataError("E-DATA-002", "[bold]x[/bold] [/nothing] \x1b[2J\x07 \x9b31m \u202eexe.txt")

    command(fail)
    for options in ([], ["--traceback"]):
        shown = CliRunner().invoke(shell.app, [*options, "chat"]).stderr
        assert "[bold]x[/bold] [/nothing] \\x1b[2J\\x07 \\x9b31m \\u202eexe.txt" in shown
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


def test_a_crash_is_no_verdict() -> None:
    """Python's own exit code, 1, would read as "a check said no"."""
    script = """
import sys, types, typer
module = types.ModuleType("itune_core.cli.chat")
module.app = typer.Typer()
@module.app.command()
def crash(): {}["\\x1b[2J"]
sys.modules["itune_core.cli.chat"] = module
sys.argv = ["itune", "chat"]
from itune_core.cli.main import main
main()
"""
    done = python(script)
    assert done.returncode == 70
    assert "KeyError" in done.stderr
    assert "bug" in done.stderr
    assert "\x1b" not in done.stderr


@given(st.text())
def test_safe_text_has_no_control_characters_and_keeps_the_rest(text: str) -> None:
    shown = safe(text)
    forbidden = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067"}
    assert not (forbidden - {"\t", "\n"}) & set(shown)
    assert safe(shown) == shown
    if text.isprintable():
        assert shown == text
