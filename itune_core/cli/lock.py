"""``itune lock``: write down exactly what is installed, beside the recipe; or say whether that still holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itune_core.cli.opening import Allow, Overrides, RecipeFile
from itune_core.cli.terminal import safe

if TYPE_CHECKING:
    from itune_core.plugins.locks.lock import Lock
    from itune_core.recipe.plan import Plan

app = typer.Typer(help="Write the lock of a recipe: exactly what is installed now.")


@app.command()
def lock(
    recipe: RecipeFile,
    overrides: Overrides = [],  # noqa: B006  # typer copies it
    wanted: Annotated[
        list[str],
        typer.Option(
            "--with",
            metavar="DIST",
            help="Lock this distribution too, and let it in: acme-itune-pii, or acme-itune-pii==1.2. Repeatable.",
        ),
    ] = [],  # noqa: B006
    find_links: Annotated[
        list[Path], typer.Option("--find-links", metavar="DIR", help="A folder of wheels to take from. Repeatable.")
    ] = [],  # noqa: B006
    index_url: Annotated[
        str | None, typer.Option("--index-url", metavar="URL", help="The package index.", show_default=False)
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the lock does not fit the recipe or this machine.")
    ] = False,
    allow: Allow = [],  # noqa: B006
) -> None:
    """Write pylock.itune.toml (PEP 751) beside the recipe.

    It names the core, all plugin distributions that are installed and allowed (by the recipe, --allow or --with), and
    everything that they need, each at the version that is installed here, with hashes. From then on a recipe of that
    folder runs only where exactly this is installed; `itune sync RECIPE` installs it. Plugin distributions of an older
    lock stay in it as long as they are installed.
    """
    from itune_core.plugins.locks import lock as lockfile

    file = lockfile.beside(recipe)
    if check:
        _check(recipe, file, overrides, allow)
        return

    from packaging.requirements import InvalidRequirement, Requirement

    from itune_core.plugins.locks.locking import write_lock
    from itune_core.recipe.plan import compile

    try:
        names = [Requirement(text).name for text in wanted]
    except InvalidRequirement as error:
        raise typer.BadParameter(f"--with: {error}") from error
    before = _before(recipe)
    locked = before.distributions if before else ()
    plan = compile(recipe, overrides=overrides, allow=[*allow, *names, *locked], locked=False)
    written = write_lock(file, [*wanted, *_plugins(plan, names)], find_links=find_links, index_url=index_url)
    _describe(written, recipe)
    if before:
        _compare(before, written, {*allow, *names, *plan.recipe.allow})


def _before(recipe: Path) -> Lock | None:
    """The lock that is there already, after saying where this environment is not that one.

    It is told before anything is imported: this command takes the environment as it is, whatever has become of it.
    """
    from itune_core.api.errors import PluginError
    from itune_core.plugins.locks import lock as lockfile
    from itune_core.plugins.locks.drift import drifts

    try:
        before = lockfile.find(recipe)
    except PluginError as error:
        typer.echo(safe(f"the lock before counts for nothing: {error.what}"))
        return None
    found = drifts(before, recipe) if before else []
    if found:
        typer.echo("changed since the lock before, and now locked as it is:")
    for drift in found:
        typer.echo(safe(f"  {drift.error.code}: {drift.error.what}"))
    return before


def _compare(before: Lock, written: Lock, named: Iterable[str]) -> None:
    """Say which distributions stand in the lock because they stood there, and which do so no longer."""
    from packaging.utils import canonicalize_name

    from itune_core.plugins.policy import FIRST_PARTY

    anyway = {*FIRST_PARTY, *map(canonicalize_name, named)}
    if still := sorted((before.distributions & written.distributions) - anyway):
        typer.echo(safe(f"still locked: {', '.join(still)}, as before; to leave one out, uninstall it and lock again"))
    if gone := sorted(before.distributions - written.packages.keys()):
        typer.echo(safe(f"no longer locked: {', '.join(gone)}"))


def _check(recipe: Path, file: Path, overrides: list[str], allow: list[str]) -> None:
    """Exit 1 if there is no lock, it does not hold, or the recipe uses what cannot be had here."""
    from itune_core.api.errors import PluginError
    from itune_core.cli.terminal import show_error
    from itune_core.plugins.locks import lock as lockfile
    from itune_core.recipe.errors import RecipeProblems
    from itune_core.recipe.plan import compile

    try:
        plan = compile(recipe, overrides=overrides, allow=allow)
        if plan.policy.lock is None:
            raise lockfile.none_beside(recipe)
    except PluginError as error:
        show_error(error)
        raise typer.Exit(1) from error
    except RecipeProblems as error:
        # Of a sound recipe whose plugins are not here, the lock does not fit; another mistake is the recipe's own.
        if not all(problem.code.startswith(("E-PLUGIN-", "E-LOCK-")) for problem in error.problems):
            raise
        show_error(error)
        raise typer.Exit(1) from error
    typer.echo(safe(f"{file.name} fits: {_counted(plan.policy.lock)}"))


def _plugins(plan: Plan, wanted: list[str]) -> list[str]:
    """The plugin distributions to lock: those that are installed and allowed, and are not in `wanted` already."""
    from packaging.utils import canonicalize_name

    from itune_core.api.errors import PluginError
    from itune_core.plugins import catalog
    from itune_core.plugins.catalog import CORE
    from itune_core.plugins.policy import check

    named = {canonicalize_name(name) for name in (*wanted, CORE)}
    found: dict[str, None] = {}
    for entry in (entry for stage in catalog.GROUPS for entry in catalog.entries(stage)):
        try:
            check(entry, plan.policy)
        except PluginError:  # not allowed, or broken: not part of the project; verifying names it as one too many
            continue
        name = canonicalize_name(entry.distribution)
        if name not in named:
            found[name] = None
    return list(found)


def _describe(lock: Lock, recipe: Path) -> None:
    from itune_core.plugins.locks.drift import drifts

    typer.echo(safe(f"wrote {lock.file}: {_counted(lock)}"))
    for name in sorted(lock.distributions):
        package = lock.packages[name]
        typer.echo(safe(f"  {name} {package.version}: {', '.join(package.entry_points)}"))
    if lock.development:
        typer.echo(
            safe(
                f"for development only: {', '.join(lock.development)} are locked as checkouts on this machine; "
                "install them from wheels to make a lock for others"
            )
        )
    for drift in drifts(lock, recipe):
        typer.echo(f"\n{safe(str(drift.error))}")


def _counted(lock: Lock) -> str:
    count = len(lock.distributions)
    return f"{len(lock.packages)} packages, {count} plugin distribution{'' if count == 1 else 's'}"
