"""A finished run whose rows try everything that a row can try."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from itune_core.engine import runner
from itune_core.engine.home import Home
from itune_core.engine.project import Project
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store
from itune_core.recipe.plan import compile

HOSTILE = (
    "<script>alert('row')</script>",
    "</div></details></main><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    '" onmouseover="alert(4)" x="',
    "{{ 7*7 }} {% raw %} {% for x in ().__class__.__mro__ %} {# note",
    "&lt;b&gt; &amp;amp; <!-- --> <![CDATA[ ]]>",
    "\x1b[31mred\x1b]0;title\x07 \x9b2J bell\x07 back\x08space\r",
    "\u202eevil.exe\u202c \u2066isolated\u2069 zero\u200bwidth \ufeffbom \u00a0space",
    "\u05e9\u05dc\u05d5\u05dd mixed with latin \u0645\u0631\u062d\u0628\u0627",
    "\U000e0041\U000e0042 tags, \u2028 separator",
    "very long " * 2_000,
    "x" * 50_000,
)

RECIPE = """
# </pre><script>alert('recipe')</script> {{ 7*7 }}
itune: 1
name: hostile
seed: 3
models:
  tiny: {{backend: transformers, model: "{tiny}"}}
steps:
  rows:   {{uses: formatters/alpaca, with: {{path: rows.jsonl}}, max_failed: 0.5}}
  short:  {{uses: filters/length, from: rows, with: {{response: {{max_words: 40}}, prompt: {{max_characters: 400}}}}}}
  parts:  {{uses: filters/split, from: short, with: {{held_out: 0.4}}}}
  size:   {{uses: scorers/length, from: parts.train}}
  mixed:  {{uses: mixers/proportional, from: [size], with: {{cap: 20}}}}
  sft:    {{uses: trainers/sft, from: mixed, with: {{model: tiny, batch_size: 2, max_length: 2048}}}}
  loss:   {{uses: evaluators/inference-loss, from: parts.held_out, with: {{models: [tiny, sft]}}}}
  style:  {{uses: evaluators/pattern, from: parts.held_out, with: {{models: [tiny, sft], pattern: "a", max_tokens: 4}}}}
"""


class Made(NamedTuple):
    """A run and the store that its artifacts are in."""

    run: RunRecord
    store: Store


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Made:
    """A run of six stages over :data:`HOSTILE` rows, with the two-layer model."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [
        {"instruction": f"{number}: {text}", "input": "", "output": f"{text} {number}"}
        for number in range(3)
        for text in HOSTILE
    ]
    lines = [json.dumps(row) for row in rows]
    lines.insert(2, '{"instruction": "<script>alert(5)</script>", "output": 7}')
    (folder / "rows.jsonl").write_text("\n".join(lines))
    (folder / "recipe.yaml").write_text(RECIPE.format(tiny=tiny))
    project = Project(compile(folder / "recipe.yaml"), Home(folder / ".itune"))
    return Made(runner.run(project).record, project.store)
