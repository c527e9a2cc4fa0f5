"""``itune``: a table of commands, each imported when it is called and not before.

``itune COMMAND`` imports ``itune_core.cli.COMMAND`` (``try_`` for ``try``, which Python keeps for itself, ``mock_llm``
for ``mock-llm``) and runs its ``app``, a ``typer.Typer``: one ``@app.command()`` in it makes a plain command, several
make a group. Help and completion of ``itune`` itself read :data:`COMMANDS` only, so they import nothing but typer.
Commands raise :class:`~itune_core.api.errors.ItuneError` and print nothing about it; what becomes of it is decided
here.

Exit codes: 0 done, 1 a check said no, 2 the recipe or the command line is wrong, 3 a plugin problem, 4 a step failed,
70 a bug, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from keyword import iskeyword
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from itune_core import __version__

COMMANDS = {
    "init": "Write a first recipe and its rows into a folder.",
    "check": "Find every mistake in a recipe; run nothing.",
    "plan": "Show what a run would do, and what is already done.",
    "run": "Run a recipe; finished steps are taken from the store.",
    "lock": "Write the lock of a recipe: exactly what is installed now.",
    "sync": "Install exactly what the lock of a recipe names.",
    "try": "Run one component on a file of rows, without a recipe.",
    "runs": "List the runs; say how two of them differ.",
    "show": "Show a run, or one step of it.",
    "inspect": "Show rows as a trainer sees them: tokens, loss mask, prompt.",
    "ledger": "Say what became of each record, and why.",
    "report": "Write the HTML report of a run.",
    "cache": "List or clean the store; explain why a step would run again.",
    "fetch": "Fetch everything a recipe needs, to run it offline later.",
    "plugins": "List and describe what is installed.",
    "doctor": "Check this machine and installation.",
    "chat": "Talk to a model that a step has trained.",
    "export": "Write the model of a training step into a folder, with a card.",
    "selftest": "Try out on a model what a training relies on.",
    "mock-llm": "Serve a made-up language model, with faults on demand.",
}
"""Command to its one line of help, in the order of help."""

CRASH = 70  # EX_SOFTWARE of sysexits.h: not one of our verdicts


class Shell(TyperGroup):
    """A group whose commands are names and help texts until one is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, help in COMMANDS.items():
            self.add_command(TyperCommand(name, help=help, short_help=help, rich_markup_mode=None))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _settle(self)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        command = command and _import(str(name))
        if ctx.params["no_extensions"] and _reads_a_recipe(command, rest):
            end = rest.index("--") if "--" in rest else len(rest)
            rest = [*rest[:end], "--set", "extensions={}", *rest[end:]]
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from None
        except _expected() as error:
            from itune_core.cli.terminal import show_error, show_traceback

            if ctx.params["traceback"]:
                show_traceback(error)
            show_error(error)
            raise typer.Exit(error.exit_code) from error


def _expected() -> Any:
    """The errors that are printed as a paragraph. Imported when something was raised, which ``--help`` never does."""
    from itune_core.api.errors import ItuneError

    return ItuneError


def _import(name: str) -> Any:
    """The command `name` as typer builds it, in our one style."""
    module = importlib.import_module(f"itune_core.cli.{name.replace('-', '_')}{'_' if iskeyword(name) else ''}")
    command = typer.main.get_command(module.app)
    # typer gives every app its own options of completion; they belong to `itune` alone
    command.params = [option for option in command.params if not str(option.name).endswith("_completion")]
    _settle(command)
    return command


def _reads_a_recipe(command: Any, arguments: list[str]) -> bool:
    """Whether what `arguments` lead to, the command or one of its group, takes ``--set``."""
    inner = getattr(command, "commands", {})
    if inner:
        command = next((inner[word] for word in arguments if word in inner), None)
    return command is not None and any("--set" in option.opts for option in command.params)


def _settle(command: Any) -> None:
    """Spare a command what it does not need: rich panels in help, and pydantic to check options that were not given."""
    command.rich_markup_mode = None
    for option in command.get_params(typer.Context(command)):
        if option.default is None and getattr(option, "is_flag", False):
            option.default = False
        if getattr(option, "multiple", False):
            option.process_value = partial(_check_if_given, option.process_value)
    for inner in getattr(command, "commands", {}).values():
        _settle(inner)


def _check_if_given(check: Callable[[Any, Any], Any], context: Any, values: Any) -> Any:
    """The values of a repeatable option: checked by pydantic, which is imported only if there are any."""
    return check(context, values) if values else []


app = typer.Typer(cls=Shell, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"itune {__version__}")
        raise typer.Exit


@app.callback()
def root(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")] = False,
    no_extensions: Annotated[
        bool,
        typer.Option(
            "--no-extensions",
            help="Load no extension, whatever the recipe says. Steps that one would wrap have other keys without it, "
            "so they may run again.",
        ),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Instruction tuning and alignment as a chain of pip-installable stages."""


def main() -> None:
    """The console script. Ends the process with the code of what happened."""
    try:
        typer.main.get_command(app)(prog_name="itune")
    except Exception as error:  # whatever arrives here is a bug; Python's own exit code 1 would read "a check said no"
        from itune_core.cli.terminal import show_traceback

        show_traceback(error)
        sys.stderr.write("This is a bug in itune or in a plugin named above; please report it with these lines.\n")
        sys.exit(CRASH)


if __name__ == "__main__":
    main()
