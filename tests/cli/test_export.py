"""``itune export``: what it writes, that others can load it, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from itune_core.api import ModelError, ModelSource, Trainer

Call = Callable[..., Result]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def logits(model: Any, tokenizer: Any) -> Any:
    import torch

    asked = tokenizer.apply_chat_template([{"role": "user", "content": "Count to 3."}], return_tensors="pt")
    with torch.no_grad():
        return model.eval()(**asked).logits


def front_matter(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1]))


def test_an_adapter_with_its_tokenizer(trained: Path, call: Call, tiny: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    call("export", "sft", "--to", "out")
    out = trained / "out"
    assert names(out) == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
    tokenizer = AutoTokenizer.from_pretrained(out)
    ends = GenerationConfig.from_pretrained(out)
    assert (ends.eos_token_id, ends.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
    base = AutoModelForCausalLM.from_pretrained(tiny)
    plain = logits(base, tokenizer)
    assert (logits(PeftModel.from_pretrained(base, out), tokenizer) - plain).abs().max() > 0.1
    assert front_matter(out)["library_name"] == "peft"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_merged_it_is_what_the_adapter_was(dtype: str, trained: Path, call: Call, tiny: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    said = call("export", "sft", "--to", "adapter").stdout
    assert "logit" not in said
    said = call("export", "sft", "--to", "merged", "--merge", "--dtype", dtype).stdout
    assert f"merged in {dtype}: no logit differs by more than" in said
    tokenizer = AutoTokenizer.from_pretrained(trained / "merged")
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), trained / "adapter")
    merged = AutoModelForCausalLM.from_pretrained(trained / "merged")
    assert merged.dtype == getattr(torch, dtype)
    apart = (logits(merged, tokenizer).float() - logits(adapted, tokenizer)).abs().max().item()
    assert apart < (1e-4 if dtype == "float32" else 1.0)
    assert "adapter_config.json" not in names(trained / "merged")
    assert f"Whole weights in {dtype}, into which" in (trained / "merged" / "README.md").read_text("utf-8")


def test_whole_weights_are_a_model_of_a_recipe_again(trained: Path, call: Call, tiny: Path) -> None:
    call("export", "full", "--to", "out/full")
    first = (trained / "recipe.yaml").read_text().partition("  full:")[0]
    (trained / "second.yaml").write_text(first.replace(f'"{tiny}"', "out/full"))
    call("run", "second.yaml")
    assert front_matter(trained / "out" / "full") == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["itune", "sft"],
    }


def test_an_adapter_on_a_step_says_where_it_sits(trained: Path, call: Call) -> None:
    call("export", "again", "--to", "out")
    assert json.loads((trained / "out" / "adapter_config.json").read_text())["base_model_name_or_path"] == "full"
    assert "sits on the weights that step full trained" in (trained / "out" / "README.md").read_text("utf-8")
    call("export", "again", "--to", "merged", "--merge")
    assert "sits on" not in (trained / "merged" / "README.md").read_text("utf-8")


def test_an_adapter_without_tokenizer_gets_that_of_its_base(trained: Path, call: Call) -> None:
    from transformers import AutoTokenizer

    run = json.loads(next((trained / ".itune" / "runs").glob("*/run.json")).read_text())
    model = trained / ".itune" / "store" / run["steps"]["sft"]["key"] / "model"
    for path in model.iterdir():
        if not path.name.startswith("adapter"):
            path.unlink()
    call("export", "sft", "--to", "out")
    assert AutoTokenizer.from_pretrained(trained / "out").chat_template
    assert (trained / "out" / "generation_config.json").is_file()


def test_nothing_tells_of_this_machine(trained: Path, call: Call, tiny: Path) -> None:
    call("export", "sft", "--to", "adapter")
    call("export", "full", "--to", "full")
    call("export", "sft", "--to", "merged", "--merge")
    for path in trained.glob("*/*"):
        if path.suffix in (".json", ".md", ".jinja") and path.parent.name in ("adapter", "full", "merged"):
            text = path.read_text("utf-8")
            assert str(trained) not in text, path
            assert str(tiny.parent) not in text, path


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("sft", "--to", "."), "E-EXPORT-001", 1),
        (("sft", "--to", "rows.jsonl"), "E-EXPORT-001", 1),
        (("sft", "--to", "out", "--dtype", "bfloat16"), "E-EXPORT-003", 2),
        (("rows", "--to", "out"), "E-EXPORT-004", 1),
        (("full", "--to", "out", "--merge"), "E-EXPORT-005", 2),
        (("other", "--to", "out"), "E-STORE-007", 1),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], code: str, exit_code: int, trained: Path, call: Call) -> None:
    before = names(trained)
    assert code in call("export", *arguments, code=exit_code).output
    assert names(trained) == before, "nothing is left of what was begun"


@pytest.mark.parametrize(
    "now", ["  other: {uses: trainers/sft, ", "  sft:   {uses: filters/exact-duplicates, from: rows}  # {"]
)
def test_a_recipe_that_lost_the_step(now: str, trained: Path, call: Call) -> None:
    recipe = trained / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("  sft:   {uses: trainers/sft, ", now))
    assert "E-EXPORT-006" in call("export", "sft", "--to", "out", code=1).output


def test_the_base_is_what_the_run_had(trained: Path, call: Call, tiny: Path) -> None:
    """Not what a recipe that was changed since then calls so."""
    call("export", "full", "--to", "before")
    identity = _line(trained / "before", "Identity")
    assert re.fullmatch("[0-9a-f]{32}", identity)
    shutil.copytree(tiny, trained / "changed")
    config = json.loads((tiny / "config.json").read_text())
    (trained / "changed" / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-4}))
    recipe = trained / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(f'"{tiny}"', '"./changed"'))
    call("export", "sft", "--to", "adapter")  # its manifest knows
    call("export", "full", "--to", "full")
    assert (_line(trained / "adapter", "Identity"), _line(trained / "adapter", "Model")) == (
        identity,
        "tiny (a local folder)",
    )
    assert _line(trained / "full", "Identity") == "no longer known"
    assert _line(trained / "full", "Model").startswith("base (so the recipe called it")


def test_a_model_that_the_recipe_calls_otherwise_now(trained: Path, call: Call) -> None:
    recipe = trained / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("  base:", "  start:").replace("model: base", "model: start"))
    call("export", "sft", "--to", "adapter")
    call("export", "full", "--to", "full")
    assert _line(trained / "adapter", "Model") == "tiny (a local folder)"
    assert _line(trained / "full", "Identity") == "no longer known"


def test_whole_weights_do_not_need_their_base(trained: Path, call: Call, tiny: Path) -> None:
    recipe = trained / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(f'"{tiny}"', '"./gone"'))
    call("export", "full", "--to", "full")
    assert _line(trained / "full", "Identity") == "no longer known"


def test_a_card_cites_no_other_trainer(trained: Path, call: Call) -> None:
    """The step before, which the recipe has as another component now."""
    recipe = trained / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("  full:\n    uses: trainers/sft", "  full:\n    uses: trainers/orpo"))
    recipe.write_text(recipe.read_text().replace("    from: rows\n", "    from: pairs\n"))
    recipe.write_text(recipe.read_text() + "  pairs: {uses: formatters/pairs, with: {path: rows.jsonl}}\n")
    call("export", "again", "--to", "out")
    card = (trained / "out" / "README.md").read_text("utf-8")
    assert "2403.07691" not in card
    assert card.count("What it optimises is not known here") == 1


def _line(folder: Path, name: str) -> str:
    """What the card says behind a name in its list."""
    lines = (folder / "README.md").read_text("utf-8").splitlines()
    return next(line.removeprefix(f"- {name}: ") for line in lines if line.startswith(f"- {name}: "))


def test_a_merge_that_fails_leaves_nothing(trained: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from itune_trainers.objective import Objective

    def fails(self: Any, source: ModelSource, folder: Path, dtype: str) -> Any:
        (folder / "model.safetensors").write_text("half")
        raise ModelError("E-TRAIN-080", "merging changes what the model computes")

    monkeypatch.setattr(Objective, "merge", fails)
    assert "E-TRAIN-080" in call("export", "sft", "--to", "out", "--merge", code=4).output
    assert not list(trained.glob("out*"))


def test_a_trainer_that_cannot_merge_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Trainer cannot merge an adapter") as found:
        Trainer(None).merge(ModelSource(tmp_path, "transformers", "1", "m"), tmp_path, "float32")
    assert found.value.fix == "leave --merge out"
