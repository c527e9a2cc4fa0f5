"""What a request to a server costs beside the waiting: CPU time of the backend `openai`, and of the engine with it,
against a bare loop over httpx.

The test server (``itune mock-llm``, in a process of its own) answers after 20 ms. Who asks is a process of its own, of
which the asking alone is counted: not its imports.

    python benchmarks/served_requests.py --rows 2000 --repeats 3 --json served_requests.json
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from contest import Goal, contest, options, peer
from training_recipe import ITUNE

BARE, BACKEND, ENGINE = "bare httpx", "backend openai", "engine and backend openai"
AT_ONCE = 16
GOALS = [Goal(BACKEND, BARE, 1.2), Goal(ENGINE, BARE, 1.2)]


def main() -> None:
    given = options(__doc__, rows=2000, repeats=3)
    command = [*ITUNE, "mock-llm", "--no-token", "--latency-ms", "20", "--json"]
    with (
        TemporaryDirectory() as temporary,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server,
    ):
        assert server.stdout is not None
        base_url = json.loads(server.stdout.readline())["base_url"]
        folder = Path(temporary)
        asked = (base_url, given.rows, AT_ONCE)
        contenders = [
            peer(BARE, "bare_httpx.py", *asked, folder=folder),
            peer(BACKEND, "own_requests.py", *asked, "backend", folder=folder),
            peer(ENGINE, "own_requests.py", *asked, "engine", folder=folder),
        ]
        try:
            contest(given, contenders, GOALS, at_once=AT_ONCE)
        finally:
            server.terminate()
    for contender in contenders:
        if contender.turns[-1]["answered"] != given.rows:
            sys.exit(f"{contender.name}: {contender.turns[-1]['answered']} answers: this compares nothing")
        print(f"{contender.name}: {contender.cpu / given.rows * 1e6:.0f} microseconds a request")


if __name__ == "__main__":
    main()
