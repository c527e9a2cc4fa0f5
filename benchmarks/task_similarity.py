"""What task selection by instructions picks: a Markdown table over the Super-NaturalInstructions tasks at hand.

For each target task the five nearest of the others are chosen by their definitions (INSTA, arXiv:2404.16418), the
target's own task and all of its data sets left out, as ``mixers/task-similarity`` does it with ``embedded:minilm``.
Two means are shown of the five chosen tasks and, for comparison, of any five drawn at random (which is the mean over
all candidates):

- of the cosines of the definitions, by which they were chosen;
- of the cosines of the tasks' mean embedded *inputs*, which the choice has not seen.

python benchmarks/task_similarity.py ../shared/data/natural_instructions/tasks
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from itune_core.api import Embed, Failed, Reply, Request, Vectors
from itune_core.engine.digest import FileDigests
from itune_core.engine.models import Resolver
from itune_core.testing import BenchContext, answer_with
from itune_mixers.instructions import Task
from itune_mixers.task_similarity import TaskSimilarity, eligible, embedded, rank

TARGETS = (
    "task036_qasc_topic_word_to_generate_related_fact",
    "task1409_dart_text_generation",
    "task1540_parsed_pdfs_summarization",
    "task586_amazonfood_polarity_classification",
    "task827_copa_commonsense_reasoning",
)
CHARACTERS = 1000
"""Of a text that are embedded: the model reads 256 tokens."""

INPUTS = 20
"""Instances of a task whose inputs are embedded."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tasks", type=Path, help="folder of task files")
    arguments.add_argument("--top-k", type=int, default=5)
    given = arguments.parse_args()
    files = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(given.tasks.glob("*.json"))}
    tasks = {name: _task(name, file) for name, file in files.items()}
    with tempfile.TemporaryDirectory() as folder:
        reply = _minilm(Path(folder))
        config = TaskSimilarity.Config(model="minilm", top_k=given.top_k, first_characters=CHARACTERS)
        vectors = embedded(list(tasks.values()), config, BenchContext(Path(folder), reply=reply))
    inputs = {name: _mean_input(file, reply) for name, file in files.items()}

    print(
        "| target | the nearest tasks (cosine of the definitions) | chosen | by chance | inputs: chosen | by chance |"
    )
    print("|---|---|---:|---:|---:|---:|")
    for name in TARGETS:
        candidates = eligible(tasks.values(), [tasks[name]])
        ranked = rank(candidates, [tasks[name]], vectors)
        chosen = ranked[: given.top_k]
        alike = {task.name: float(inputs[task.name] @ inputs[name]) for task in candidates}
        cells = (
            f"`{name}`",
            "<br>".join(f"`{task.name}` ({cosine:.2f})" for task, cosine in chosen),
            *(f"{statistics.mean(cosine for _, cosine in of):.3f}" for of in (chosen, ranked)),
            *(f"{statistics.mean(alike[task.name] for task, _ in of):.3f}" for of in (chosen, ranked)),
        )
        print(f"| {' | '.join(cells)} |")


def _task(name: str, file: Mapping[str, Any]) -> Task:
    return Task(name, dict.fromkeys(file["Definition"]), set(file["Source"]))


def _minilm(folder: Path) -> Callable[[Request], Reply | Failed]:
    source = Resolver(FileDigests(folder / "digests.json"), offline=False, base=folder).find("embedded:minilm")
    cls = entry_points(group="itune.backends", name="transformers")["transformers"].load()
    backend = cls(cls.Config(model="embedded:minilm", dtype="float32", device="cpu"))
    backend.open(source)
    return answer_with(backend)


def _mean_input(file: Mapping[str, Any], reply: Callable[[Request], Reply | Failed]) -> np.ndarray[Any, Any]:
    """The direction of the mean of the embedded inputs of a task's first instances."""
    texts = [item["input"][: CHARACTERS // 2] for item in file["Instances"][:INPUTS]]
    found = reply(Embed("minilm", texts))
    if not isinstance(found, Vectors):
        raise SystemExit(f"the inputs cannot be embedded: {found}")
    mean = np.mean(np.array(found.values), axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


if __name__ == "__main__":
    main()
