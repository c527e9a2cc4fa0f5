"""``itune chat``: talk to a model that a step has trained."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from itune_core.api.asking import Ask
from itune_core.api.errors import ModelError
from itune_core.api.outcomes import Failed
from itune_core.api.records import message
from itune_core.cli.opening import Allow, Overrides, reopen
from itune_core.cli.terminal import safe
from itune_core.engine.errors import StoreError

app = typer.Typer(help="Talk to a model that a step has trained.")


@app.command()
def chat(
    names: Annotated[list[str], typer.Argument(metavar="[RUN] STEP", help="The step; RUN is the latest if not given.")],
    system: Annotated[str | None, typer.Option(help="A system message to begin with.")] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 256,
    overrides: Overrides = [],  # noqa: B006  # typer copies it
    allow: Allow = [],  # noqa: B006
) -> None:
    """Talk to the model of a training step, or to a base model of the recipe. An empty line or end of input ends it.

    Each line of standard input is one turn, so that it can be scripted.
    """
    from itune_core.engine.home import Home
    from itune_core.engine.runs import find_run

    if len(names) > 2:
        raise typer.BadParameter("give STEP, or RUN and STEP")
    step, run = names[-1], find_run(Home.here(), names[0] if len(names) == 2 else None)
    project = reopen(run, overrides, allow=allow)
    if step in run.data["steps"]:
        run.artifact(project.store, step)
    trained = [name for name, node in project.plan.nodes.items() if node.stage == "trainers"]
    models = [*project.plan.models, *(name for name in trained if name in project.artifacts)]
    if step not in models:
        raise StoreError(
            "E-STORE-004", f"{step!r} is no model of this run and its recipe", fix=f"one of: {', '.join(models)}"
        )
    served = project.served(step)
    served.backend.open(served.source)
    turns = [message("system", system)] if system else []
    try:
        while line := _read():
            turns.append(message("user", line))
            ask = Ask(step, tuple(turns), max_tokens=max_tokens, temperature=temperature)
            (reply,) = served.backend.generate([(ask, (secrets.randbits(62),))])
            if isinstance(reply, Failed):
                raise ModelError(reply.code, reply.message)
            typer.echo(safe(reply.text))
            turns.append(message("assistant", reply.text))
    finally:
        served.backend.close()


def _read() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        return ""
