"""Answers of a server by distilabel: its TextGeneration over the prompts of a file, with its defaults.

Arguments: base_url, rows.jsonl, cache folder, seconds for a try. Prints how many rows came out, and how many are blank.
"""

from __future__ import annotations

import json
import os
import sys

base_url, rows, cache, timeout = sys.argv[1:]
os.environ["DISTILABEL_CACHE_DIR"] = cache


def main() -> None:
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.tasks import TextGeneration

    with open(rows, encoding="utf-8") as stream:
        prompts = [{"instruction": json.loads(line)["prompt"]} for line in stream]
    with Pipeline(name="answers") as pipeline:
        load = LoadDataFromDicts(data=prompts, batch_size=50)
        model = OpenAILLM(
            model="m",
            base_url=base_url,
            api_key="x",
            timeout=float(timeout),
            generation_kwargs={"max_new_tokens": 64, "temperature": 0.7},
        )
        load >> TextGeneration(llm=model, input_batch_size=50)
    made = list(pipeline.run()["default"]["train"])
    answered = [row for row in made if (row.get("generation") or "").strip()]
    print(json.dumps({"rows": len(made), "blank": len(made) - len(answered)}))


if __name__ == "__main__":  # its steps are processes, which import this file again
    main()
