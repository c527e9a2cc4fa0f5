"""The same questions by the backend `openai` alone, or with the engine: dialogues, keys, the journal.

Arguments: base_url, questions, requests at once, ``backend`` or ``engine``. Prints the CPU seconds of asking, imports
aside.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import itune_backends.remote.client  # noqa: F401  # what a backend imports when it is opened
from itune_backends.openai_backend import OpenAI
from itune_core.api import Answer, Ask, derive_seed, message
from itune_core.engine.asking import drive
from itune_core.engine.journal import Journal
from itune_core.engine.opened import Served
from itune_core.engine.serving import Serving

base_url, count, at_once, what = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
backend = OpenAI(OpenAI.Config(model="m", base_url=base_url, max_concurrency=at_once))


def ask(number: int) -> Ask:
    return Ask("served", [message("user", f"Question number {number}?")], max_tokens=64, temperature=0.7)


def dialogue(number: int) -> Iterator[Any]:
    answer = yield ask(number)
    return answer.text  # type: ignore[attr-defined]


began = time.process_time()
if what == "backend":
    backend.open(None)
    replies = [future.result() for future in [backend.submit(ask(number), number) for number in range(count)]]
    answered = sum(isinstance(reply, Answer) for reply in replies)
    backend.close()
else:
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite")
        serving = Serving(lambda name: Served(backend, None, name), journal, lambda *place: derive_seed(0, *place))
        asked = ((str(number), dialogue(number)) for number in range(count))
        answered = sum(isinstance(item.result, str) for item in drive(asked, serving.exchange))  # type: ignore[arg-type]
        serving.close()
        journal.close()
print(json.dumps({"cpu": time.process_time() - began, "answered": answered}))
