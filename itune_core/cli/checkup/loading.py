"""Loads plugins in a process that may be lost: ``python -c "from itune_core.cli.checkup.loading import main; main()"``.

Standard input is one JSON object: ``path`` for ``sys.path``, ``allow`` and ``entries``. For each entry a line with its
number is written before it is loaded, and after it a line ``[number, code, what, fix]``, nulls if all is well; so a
reader knows which one ended the process. These lines begin with :data:`MARK`: what Python's own start-up files print
comes before them on the same stream.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

MARK = "itune-doctor:"


def main() -> None:
    """Load the entries of standard input, one after the other."""
    given = json.load(sys.stdin)
    sys.path[:] = given["path"]
    # what plugins print while they are imported must not be read as an answer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    from itune_core.api.errors import PluginError
    from itune_core.plugins import loader
    from itune_core.plugins.catalog import Entry
    from itune_core.plugins.policy import Policy

    policy = Policy.of(given["allow"])
    for number, values in enumerate(given["entries"]):
        answers.write(f"\n{MARK}{number}\n")
        answer: list[Any] = [number, None, None, None]
        try:
            loader.load(Entry(**{**values, "requires": tuple(values["requires"])}), policy)
        except PluginError as error:
            why = f": {error.why}" if error.why else ""
            answer = [number, error.code, f"{error.what}{why}", error.fix]
        answers.write(f"{MARK}{json.dumps(answer)}\n")
