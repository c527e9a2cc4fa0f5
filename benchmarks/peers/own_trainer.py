"""itune's own trainer called by hand, without recipe, plan or store. Arguments: rows.jsonl, folder, dtype."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import datasets

from itune_core.api import Kind, conversation, features
from itune_core.engine.digest import FileDigests
from itune_core.engine.models import Resolver
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.sft import SFT

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from training_recipe import MODEL, SETTINGS

rows, folder, dtype = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
messages = [json.loads(line)["messages"] for line in rows.read_text("utf-8").splitlines()]
records = [conversation(row).replace(id=str(number)) for number, row in enumerate(messages)]
source = Resolver(FileDigests(folder / "digests.json"), True, folder).find(MODEL)
config = SFT.Config(**{**SETTINGS, "dtype": dtype, "device": "cpu"})
made = SFT(config).train(
    {"train": datasets.Dataset.from_list([dict(record) for record in records], features=features(Kind.CONVERSATION))},
    BenchContext(folder, models={"student": source}),
)
print(json.dumps({"loss": made.metrics["loss"]}))
