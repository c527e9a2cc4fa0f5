"""``itune cache``: what the store holds, what of it may go, and why a step would run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itune_core.api.errors import RecipeError
from itune_core.cli.choosing import Json
from itune_core.cli.opening import Allow, Offline, Overrides, RecipeFile, open_project
from itune_core.cli.terminal import print_json, print_table, safe, size
from itune_core.engine.home import Home
from itune_core.engine.runs import all_runs
from itune_core.engine.store import Artifact, Store

if TYPE_CHECKING:
    from itune_core.engine.why import Cause, Explanation

app = typer.Typer(help="List or clean the store; explain why a step would run again.", no_args_is_help=True)

TYPES = {"filters": "mask", "scorers": "columns", "mixers": "draws", "trainers": "model", "evaluators": "metrics"}
"""Stage to type of artifact; the other stages leave records."""


@app.command("ls")
def list_artifacts(as_json: Json = False) -> None:
    """List the artifacts in the store, oldest first.

    With --json: a list of mappings with key, component, type (records, mask, columns, draws, model or metrics), kind,
    rows (of all outputs; null for models and metrics), bytes, created and runs (names of those that used it).
    """
    home = Home.here()
    store = Store(home)
    used: dict[str, list[str]] = {}
    for run in all_runs(home):
        for step in run.data["steps"].values():
            used.setdefault(step["key"], []).append(run.name)
    found = [_facts(artifact, store, used.get(artifact.key, [])) for artifact in store.all()]
    if as_json:
        print_json(found)
    elif found:
        print_table(
            ["key", "component", "type", "rows", "size", "made", "runs"],
            [
                [
                    item["key"][:12],
                    item["component"],
                    item["type"],
                    "" if item["rows"] is None else f"{item['rows']:,}",
                    size(item["bytes"]),
                    item["created"],
                    str(len(item["runs"])),
                ]
                for item in found
            ],
            right=["rows", "size", "runs"],
        )
        typer.echo(f"{len(found)} artifacts, {size(sum(item['bytes'] for item in found))}")
    else:
        typer.echo("the store is empty")


def _facts(artifact: Artifact, store: Store, runs: list[str]) -> dict[str, Any]:
    manifest = artifact.manifest
    rows = [output["rows"] for output in manifest["outputs"].values() if "rows" in output]
    return {
        "key": artifact.key,
        "component": manifest["component"],
        "type": TYPES.get(manifest["stage"], "records"),
        "kind": manifest["kind"],
        "rows": sum(rows) if rows else None,
        "bytes": store.size(artifact),
        "created": manifest["created"],
        "runs": runs,
    }


@app.command()
def gc(
    keep_runs: Annotated[
        int | None,
        typer.Option(
            "--keep-runs", metavar="N", min=0, help="Forget all runs but the newest N first.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Remove from the store what no run used, and what stopped runs left behind, their checkpoints included.

    Refused while a run is going on here (each run holds a lock, which the system releases even if it is killed); runs
    that begin meanwhile wait. The journal stays: no answer of a model is asked for again.

    With --json: dry_run, runs (names of forgotten ones), artifacts (keys of removed ones) and bytes.
    """
    from itune_core.engine.clearing import clear

    cleared = clear(Home.here(), keep_runs=keep_runs, dry_run=dry_run)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "runs": [run.name for run in cleared.runs],
                "artifacts": [artifact.key for artifact in cleared.artifacts],
                "bytes": cleared.bytes,
            }
        )
        return
    for artifact in cleared.artifacts:
        typer.echo(safe(f"{artifact.key[:12]}  {artifact.manifest['component']}"))
    verb = "would remove" if dry_run else "removed"
    runs = f"{len(cleared.runs)} runs, " if cleared.runs else ""
    typer.echo(f"{verb} {runs}{len(cleared.artifacts)} artifacts, {size(cleared.bytes)}")


@app.command()
def why(
    recipe: RecipeFile,
    step: Annotated[str, typer.Argument(metavar="STEP", help="A step of the recipe; all its variants if it has any.")],
    overrides: Overrides = [],  # noqa: B006  # typer copies it
    allow: Allow = [],  # noqa: B006
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Say whether a step would run, and which change since it was last made is the reason, back to where it began.

    What is different in the environment is named too; it is no reason to run again.

    With --json: a list, one mapping a variant, with step, state (cached, run or waits), key, compared_with (key and
    run), causes (a list of path, old, new, words, step, because: the causes in that step), environment (a list of path,
    old, new) and waits_for (a list of the same shape as this one).
    """
    from itune_core.engine.why import explain

    project = open_project(recipe, overrides, allow=allow, offline=offline)
    nodes = [node for node in project.plan.nodes.values() if step in (node.name, node.step)]
    if not nodes:
        raise RecipeError("E-CACHE-001", f"no step {step!r}", fix=f"steps: {', '.join(project.plan.nodes)}")
    runs = list(all_runs(project.home))
    found = [explain(project, node, runs) for node in nodes]
    project.digests.save()
    if as_json:
        print_json([_plain(item) for item in found])
    else:
        for item in found:
            _print(item, "")


def _print(found: Explanation, indent: str) -> None:
    say = {"cached": "is in the store", "run": "would run", "waits": "waits for what stands before it"}[found.state]
    typer.echo(safe(f"{indent}{found.step} {say}{_reason(found)}"))
    _print_causes(found.causes, f"{indent}  ")
    if found.environment:
        typer.echo(f"{indent}  different in the environment, and no reason to run again:")
        for change in found.environment:
            typer.echo(safe(f"{indent}    {change}"))
    for other in found.waits_for:
        _print(other, f"{indent}  ")


def _reason(found: Explanation) -> str:
    if found.state == "waits":
        return ":"
    if found.compared is None:
        return ": no run has made it yet"
    where = f" by run {found.run}" if found.run else ""
    if found.state == "cached":
        return f": made {found.compared.manifest['created']}, key {found.key}"
    return f": since it was made {found.compared.manifest['created']}{where}, this changed:"


def _print_causes(causes: Iterable[Cause], indent: str) -> None:
    for cause in causes:
        typer.echo(safe(f"{indent}{cause.words}{', because:' if cause.because else ''}"))
        _print_causes(cause.because, f"{indent}  ")


def _plain(found: Explanation) -> dict[str, Any]:
    return {
        "step": found.step,
        "state": found.state,
        "key": found.key,
        "compared_with": found.compared and {"key": found.compared.key, "run": found.run},
        "causes": [_plain_cause(cause) for cause in found.causes],
        "environment": [change._asdict() for change in found.environment],
        "waits_for": [_plain(other) for other in found.waits_for],
    }


def _plain_cause(cause: Cause) -> Mapping[str, Any]:
    plain = {name: getattr(cause, name) for name in ("path", "old", "new", "words", "step")}
    return {**plain, "because": [_plain_cause(behind) for behind in cause.because]}
