"""The conformance tests that the authors of these plugins would write. Run by ``test_hostile_plugins.py``."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from itune_core.api import Answer, Ask, Completion
from itune_core.testing import (
    BackendConformance,
    EvaluatorConformance,
    ExecutorConformance,
    ExtensionConformance,
    FilterConformance,
    FormatterConformance,
    GeneratorConformance,
    MixerConformance,
    ScorerConformance,
    TrainerConformance,
)

ROWS = [{"question": f"Is {number} even?", "answer": "no" if number % 2 else "yes"} for number in range(4)]

STAGES: Mapping[str, type] = {
    "formatters": FormatterConformance,
    "generators": GeneratorConformance,
    "filters": FilterConformance,
    "scorers": ScorerConformance,
    "mixers": MixerConformance,
    "trainers": TrainerConformance,
    "evaluators": EvaluatorConformance,
    "backends": BackendConformance,
    "executors": ExecutorConformance,
    "extensions": ExtensionConformance,
}


def write(self: Any, rows: Sequence[Mapping[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["question", "answer"])
        writer.writeheader()
        writer.writerows(rows)


CSV = {"rows": ROWS, "bad_rows": [{"question": "Why?", "answer": ""}], "file": "rows.csv", "write": write}


def reply(self: Any, request: Ask) -> Answer:
    return Answer([Completion(f"You said {request.messages[-1]['content']}", "stop", 1, 1)] * request.n)


MORE: Mapping[str, Mapping[str, Any]] = {
    "formatters/loses-rows": {"rows": ROWS},
    "formatters/fills-in": {"rows": ROWS},
    "formatters/stops-at-a-bad-row": {"rows": ROWS},
    "formatters/skips-every-second": CSV,
    "formatters/table": CSV,
    "formatters/questions": {"rows": [*ROWS, {"question": "And?", "answer": " "}]},
    "filters/depends-on-order": {"scope": "whole"},
    "filters/rare": {"scope": "whole"},
    "filters/swallows-in-its-hook": {"scope": "whole"},
    "scorers/swallows-a-failed-reply": {"config": {"model": "judge"}, "reply": reply},
    "filters/dice": {"order": "defined", "scope": "whole"},
    "filters/batches": {"order": "defined", "scope": "whole"},
    "filters/longest": {"scope": "group"},
    "mixers/guesses": {"config": {"model": "judge"}, "reply": reply, "order": "free"},
    "mixers/once": {"order": "free"},
    "mixers/replays": {"order": "free"},
    "generators/forgets-a-row": {"order": "defined", "scope": "whole"},
    "generators/asks": {"config": {"model": "teacher"}, "reply": reply},
    "evaluators/infinite": {"config": {"models": ["tiny"]}, "reply": reply},
    "evaluators/words": {"config": {"models": ["tiny"]}, "reply": reply},
    "trainers/pickles": {"resumes": False},
    "backends/sloppy": {"config": {"model": "sloppy"}},
}
"""What a class declares beyond its component, by label."""


def case(label: str) -> type:
    stage, _, name = label.partition("/")
    title = "Test" + "".join(part.capitalize() for part in name.split("-"))
    return type(title, (STAGES[stage],), {"component": label, "__module__": __name__, **MORE.get(label, {})})


def cases() -> dict[str, type]:
    """A class for every component that is published from this folder."""
    labels = {
        f"{point.group.removeprefix('itune.')}/{point.name}"
        for owner in distributions()
        if owner.name.startswith("kit-")
        for point in owner.entry_points
    }
    return {found.__name__: found for found in map(case, sorted(labels))}


globals().update(cases())
