"""All mistakes of a recipe as a list, for those who want to show them rather than be stopped by them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from itune_core.recipe.drafts import Load
from itune_core.recipe.errors import Problem, RecipeProblems
from itune_core.recipe.plan import compile, load_installed


def check(file: Path, overrides: Sequence[str] = (), *, load: Load = load_installed) -> list[Problem]:
    """Every mistake in a recipe, in the order of lines; none if it can be run."""
    try:
        compile(file, load=load, overrides=overrides)
    except RecipeProblems as error:
        return list(error.problems)
    return []
