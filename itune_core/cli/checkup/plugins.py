"""Every plugin: whether it may be imported, and whether it can be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from itune_core.api.errors import PluginError
from itune_core.cli.checkup.finding import Finding
from itune_core.cli.checkup.loading import MARK
from itune_core.plugins import catalog
from itune_core.plugins.catalog import Entry
from itune_core.plugins.policy import Policy, check

CHILD = "from itune_core.cli.checkup.loading import main; main()"
SECONDS = 120


def plugins(allow: Sequence[str] = ()) -> Iterator[Finding]:
    """A finding for each entry point. What the policy does not let in is listed, and not imported.

    The others are imported in a process of their own: one that ends it or never comes back is found out, and the
    doctor goes on.

    Args:
        allow: distributions to let in besides the first-party ones.
    """
    entries = [entry for stage in catalog.GROUPS for entry in catalog.entries(stage)]
    yield from _claimed_twice(entries)
    policy = Policy.of(allow)
    allowed = []
    for entry in entries:
        try:
            check(entry, policy)
        except PluginError as error:
            if error.code == "E-PLUGIN-010":
                advice = f"if you trust it: itune doctor --allow {entry.distribution}, or plugins.allow in a recipe"
                yield Finding(entry.label, True, f"{entry.owner} is installed, not allowed: not imported", advice)
            else:
                yield _bad(entry, error.code, error.what, error.fix)
        else:
            allowed.append(entry)
    yield from _load(allowed, allow)


def _bad(entry: Entry, code: str | None, what: str, fix: str | None) -> Finding:
    return Finding(entry.label, False, f"{code}: {what}" if code else what, fix)


def _claimed_twice(entries: Sequence[Entry]) -> Iterator[Finding]:
    for label in dict.fromkeys(entry.label for entry in entries):
        if sum(entry.label == label for entry in entries) > 1:
            try:
                catalog.find(*catalog.parse(label))
            except PluginError as error:
                yield Finding(label, False, f"{error.code}: {error.what}: {error.why}", error.fix)


def _load(entries: Sequence[Entry], allow: Sequence[str]) -> Iterator[Finding]:
    """Import entries, in a new process after each that is lost."""
    while entries:
        begun, ended, said = -1, "", ""
        given = {"path": sys.path, "allow": list(allow), "entries": [asdict(entry) for entry in entries]}
        try:
            done = subprocess.run(
                [sys.executable, "-c", CHILD],
                input=json.dumps(given),
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
            printed, ended = done.stdout, f"ended the process with {_ending(done.returncode)}"
            said = done.stderr.strip().rpartition("\n")[2]
        except subprocess.TimeoutExpired as error:
            output = error.stdout or b""
            printed = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
            ended = f"did not come back within {SECONDS} s"
        answered = 0
        for line in printed.splitlines():
            if not line.startswith(MARK):
                continue
            answer = json.loads(line.removeprefix(MARK))
            if isinstance(answer, int):
                begun = answer
            else:
                number, code, what, fix = answer
                answered = number + 1
                yield (
                    _bad(entries[number], code, what, fix)
                    if code
                    else Finding(entries[number].label, True, entries[number].owner)
                )
        if answered == len(entries):
            return
        if begun >= answered:
            lost = entries[begun]
            yield _bad(
                lost, None, f"{lost.owner}: importing it {ended}", f"report it, or pip uninstall {lost.distribution}"
            )
            entries = entries[begun + 1 :]
        elif answered:  # something that a plugin left running; which one's it was is not known
            seen = f"something that an import left running {ended}, after that of {entries[answered - 1].label}"
            yield Finding("plugins", False, seen, "pip uninstall what was installed last, and ask the doctor again")
            entries = entries[answered:]
        else:
            count = f"{len(entries)} plugins were not looked at: " if len(entries) > 1 else ""
            why = f": {said}" if said else ""
            yield Finding(
                "plugins",
                False,
                f"{count}starting Python {ended} before it came to a plugin{why}",
                f"try: {sys.executable} -c 'import itune_core'",
            )
            return


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
