"""``itune check``: every mistake of a recipe at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from itune_core.cli.opening import Allow, Overrides, RecipeFile
from itune_core.cli.terminal import safe, stdout

if TYPE_CHECKING:
    from rich.text import Text

    from itune_core.recipe.errors import Problem

app = typer.Typer(help="Find every mistake in a recipe; run nothing.")


@app.command()
def command(
    recipe: RecipeFile,
    overrides: Overrides = [],  # noqa: B006  # typer copies it
    allow: Allow = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="Print the mistakes as JSON.")] = False,
) -> None:
    """Find every mistake in a recipe in one pass: where it is, what was expected, and how to mend it.

    No data and no model is opened. The exit code is 0 if the recipe is fine, and 2 if not.
    """
    from itune_core.recipe.errors import RecipeProblems
    from itune_core.recipe.plan import compile

    problems: Sequence[Problem] = ()
    summary = ""
    try:
        plan = compile(recipe, overrides=overrides, allow=allow)
        summary = f"{_counted(len(plan.nodes), 'step')}, {_counted(len(plan.models), 'model')}"
    except RecipeProblems as error:
        problems = error.problems
    if as_json:
        typer.echo(json.dumps([asdict(problem) for problem in problems], indent=2, ensure_ascii=False))
    elif problems:
        print_problems(problems)
    else:
        typer.echo(f"recipe is fine: {summary}")
    if problems:
        raise typer.Exit(2)


def print_problems(problems: Sequence[Problem]) -> None:
    """Print mistakes to standard output, one paragraph each, and how many there are."""
    console = stdout()
    for problem in problems:
        console.print(_paragraph(problem), soft_wrap=True)
    console.print(f"{_counted(len(problems), 'mistake')}", style="bold")


def _paragraph(problem: Problem) -> Text:
    from rich.text import Text

    # Text takes no markup, so what a recipe says is shown and not obeyed; safe() does the same for control characters.
    text = Text()
    text.append(f"{safe(problem.where)} ", "bold")
    text.append(problem.code, "bold red")
    text.append(f" {safe(problem.what)}\n")
    for label, value, style in (
        ("at", problem.path, "cyan"),
        ("expected", problem.expected, ""),
        ("fix", problem.fix, "green"),
    ):
        if value:
            text.append(f"  {label:<9}", "dim")
            text.append(f"{safe(value)}\n", style)
    return text


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
