"""``itune mock-llm``: a language model's server on this machine, to test clients against."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated, Any

import typer

from itune_core.api.errors import RecipeError
from itune_core.cli.terminal import safe

app = typer.Typer(help="Serve a made-up language model, with faults on demand.")


@app.command("mock-llm")
def mock_llm(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1; 0 takes a free one.")] = 0,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="env:NAME|file:PATH", help="What clients must send; random if not given.", show_default=False
        ),
    ] = None,
    no_token: Annotated[bool, typer.Option("--no-token", help="Ask clients for nothing.")] = False,
    answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML with scripted answers: a list of {match, answer}.", show_default=False),
    ] = None,
    model: Annotated[
        list[str], typer.Option("--model", metavar="NAME", help="A model there is; any if none is named. Repeatable.")
    ] = [],  # noqa: B006  # typer copies it
    latency_ms: Annotated[float, typer.Option(min=0, help="How long an answer takes.")] = 0,
    jitter_ms: Annotated[float, typer.Option(min=0, help="How much longer at most.")] = 0,
    fault: Annotated[
        list[str],
        typer.Option(
            "--fault",
            metavar="NAME=SHARE",
            help="Share of requests that go wrong: 429, 429-date, 500, garbage, truncate, hang-up, hang or drip. "
            "Repeatable.",
        ),
    ] = [],  # noqa: B006
    first: Annotated[
        list[str],
        typer.Option("--first", metavar="NAME", help="Fault of the first request, the second, ...; or none."),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Of the faults.")] = 0,
    retry_after: Annotated[int, typer.Option(min=0, help="Seconds that a fault 429 asks to wait.")] = 1,
    drip_ms: Annotated[float, typer.Option(min=0, help="Pause after each byte of a reply that drips.")] = 10,
    max_at_once: Annotated[
        int | None, typer.Option(min=1, help="Most questions at once; 429 beyond.", show_default=False)
    ] = None,
    rpm: Annotated[
        int | None, typer.Option(min=1, help="Questions per minute; 429 beyond.", show_default=False)
    ] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens per minute; 429 beyond.", show_default=False)] = None,
    batch_ms: Annotated[float, typer.Option(min=0, help="How long a batch takes.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Serve chat completions, embeddings, models, files and batches in the form of OpenAI's API, on 127.0.0.1.

    An answer is a function of model, messages, sampling and seed; nothing of it is true. GET /stats says what was
    asked. Ctrl-C or SIGTERM ends it, and the counts are printed.

    With --json: one line with base_url, token (null: none is needed) and stats (an address) when it is ready, and one
    line with the counts at its end.
    """
    from itune_core.testing.mock_llm import MockLLM

    shares = _shares(fault)
    server = MockLLM(
        port=port,
        token=_secret(token) if token else None,
        auth=not no_token,
        seed=seed,
        models=model,
        answers=answers or (),
        latency_ms=latency_ms,
        jitter_ms=jitter_ms,
        faults=shares,
        first=first,
        retry_after=retry_after,
        drip_ms=drip_ms,
        max_at_once=max_at_once,
        rpm=rpm,
        tpm=tpm,
        batch_ms=batch_ms,
    )
    told: SimpleQueue[int] = SimpleQueue()  # an Event's lock could be held by what the signal interrupts
    before = {number: signal.signal(number, lambda got, _: told.put(got)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with server:
            _say(as_json, {"base_url": server.base_url, "token": server.token, "stats": f"{server.url}/stats"})
            told.get()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _say(as_json, server.stats())


def _shares(faults: list[str]) -> dict[str, float]:
    shares = {}
    for text in faults:
        name, _, share = text.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise RecipeError("E-MOCK-007", f"{text!r} is not NAME=SHARE", fix="for example --fault 429=0.1") from None
    return shares


def _secret(given: str) -> str:
    """What stands in the variable or in the file: a token on the command line could be read by every process."""
    form, _, name = given.partition(":")
    found: str | None = None
    if form == "env":
        found = os.environ.get(name)
    elif form == "file":
        found = Path(name).read_text("utf-8").strip() if Path(name).is_file() else None
    if not found:
        raise RecipeError(
            "E-MOCK-008",
            "--token names no variable or file with a token in it",
            fix="--token env:NAME or --token file:PATH; without it the token is random",
        )
    return found


def _say(as_json: bool, told: dict[str, Any]) -> None:
    if as_json:
        typer.echo(json.dumps(told))
        return
    width = max(map(len, told))
    for name, value in told.items():
        shown = ", ".join(f"{key}: {count}" for key, count in value.items()) if isinstance(value, dict) else value
        if shown not in ("", None):
            typer.echo(safe(f"{name:<{width}}  {shown}"))
